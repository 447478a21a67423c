"""Which jobs run on this host, and how they stand."""
