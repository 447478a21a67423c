"""Cluster files: found by name (`find`), read (`load`), and what they say (`model`)."""
