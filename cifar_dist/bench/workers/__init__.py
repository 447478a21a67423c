"""Programs that a bench starts: the rivals, and the smallest script for launchers."""
