"""Whether a run's numbers are sound: rules, checksums and the report, as functions of values."""
