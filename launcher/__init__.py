"""Start one worker per device, watch them, end them together, and say what went wrong.

``python -m launcher --help`` is the way in; :func:`run` is the same from Python. Nothing is
imported until it is asked for, so that a worker may import ``launcher.contract`` for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.cli import main
    from launcher.errors import LauncherError, NotReadyError, RankTableError, UsageError
    from launcher.job import LaunchResult
    from launcher.launch import run
    from launcher.options import LaunchSpec

__all__ = [
    "LaunchResult",
    "LaunchSpec",
    "LauncherError",
    "NotReadyError",
    "RankTableError",
    "UsageError",
    "main",
    "run",
]

_HOMES = {
    "LaunchResult": "job",
    "LaunchSpec": "options",
    "LauncherError": "errors",
    "NotReadyError": "errors",
    "RankTableError": "errors",
    "UsageError": "errors",
    "main": "cli",
    "run": "launch",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'launcher' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"launcher.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
