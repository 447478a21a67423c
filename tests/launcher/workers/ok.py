# ruff: noqa: T201
"""Ends well at once."""

print("ready")
