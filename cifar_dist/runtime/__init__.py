"""Where a worker stands: its device, its group, and what the group can do together."""
