"""Which run ``--resume`` goes on with: the rules for run directories (DESIGN section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from launcher.contract import RunPaths
from launcher.run_lock import is_free

NONE, AUTO = "none", "auto"


def goes_on(resume: str, folder: Path) -> bool:
    """Return whether a run directory is continued: by auto, or from a checkpoint within it."""
    if resume in (NONE, AUTO):
        return resume == AUTO
    return Path(resume).resolve().is_relative_to(folder.resolve())


def newest_run(folder: Path) -> Path | None:
    """Return the run directory in ``folder`` that was written to last and is not running now."""
    runs = sorted(_runs(folder), reverse=True)
    return next((run for _, run in runs if is_free(RunPaths(run))), None)


def holds_a_run(folder: Path) -> bool:
    """Return whether a folder is the run directory of an earlier run."""
    paths = RunPaths(folder)
    return any(path.exists() for path in (paths.manifest, paths.events, paths.checkpoints))


def for_another_attempt(resume: str, paths: RunPaths, started_s: float) -> str:
    """Return from where the group is restarted.

    That is the newest checkpoint; but where a run began from another run's and has saved none of
    its own since ``started_s`` (seconds of the wall clock), it begins from there again.
    """
    if resume in (NONE, AUTO):
        return AUTO
    try:
        saved_s = max((path.stat().st_mtime for path in paths.checkpoints.iterdir()), default=0.0)
    except OSError:
        saved_s = 0.0
    return AUTO if saved_s >= started_s else resume


def _runs(folder: Path) -> Iterator[tuple[int, Path]]:
    """Give each run directory with the time at which its manifest was written."""
    try:
        inside = list(folder.iterdir())
    except OSError:
        return
    for run in inside:
        try:
            yield RunPaths(run).manifest.stat().st_mtime_ns, run
        except OSError:
            continue
