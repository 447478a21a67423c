# ruff: noqa: T201
"""Holds the interpreter lock in native code for ever."""

import ctypes

print("ready")
ctypes.PyDLL(None).sleep(600)
