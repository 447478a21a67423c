"""Which runs there are: those of running processes, and those below ./runs."""

from __future__ import annotations

from pathlib import Path

from launcher.host.jobs import Processes
from launcher.report.files import list_folder

MOST_DEPTH = 3
MOST_FOLDERS = 5000
_MANIFEST = "manifest.json"


def find_runs(processes: Processes, below: Path, *, most: int) -> list[Path]:
    """Return the run directories of running jobs, then the newest others, at most so many.

    Args:
        processes: what runs on this host.
        below: the folder that is searched, runs/ of the working directory.
        most: how many ended ones are wanted.
    """
    running = sorted({path.absolute() for path in processes.run_dirs.values() if path.is_dir()})
    others = [path for path in _below(below.absolute()) if path not in running]
    others.sort(key=_moment, reverse=True)
    return [*running, *others[:most]]


def _below(folder: Path) -> list[Path]:
    """Return the folders that hold a manifest; links are not followed, and it is bounded."""
    found: list[Path] = []
    level, seen = [folder], 0
    for _ in range(MOST_DEPTH):
        following: list[Path] = []
        for place in level:
            for path in list_folder(place):
                seen += 1
                if seen > MOST_FOLDERS or path.is_symlink() or not path.is_dir():
                    continue
                if (path / _MANIFEST).is_file():
                    found.append(path)
                else:
                    following.append(path)
        level = following
    return found


def _moment(path: Path) -> float:
    try:
        return (path / _MANIFEST).stat().st_mtime
    except OSError:
        return 0.0
