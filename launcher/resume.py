"""Which run ``--resume`` goes on with: the rules for run directories (DESIGN section 2)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from launcher.contract import RunPaths
from launcher.errors import UsageError
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
    """Return whether a folder is the run directory of an earlier run, or a node's part of one."""
    names = ("manifest.json", "events.jsonl", "manifest_node_*.json", "events_node_*.jsonl")
    return RunPaths(folder).checkpoints.exists() or any(
        path.exists() for name in names for path in folder.glob(name)
    )


def newest_step(paths: RunPaths) -> int:
    """Return after which step the newest checkpoint of a run is; -1 where it has none."""
    names = (path.name.removeprefix("step_") for path in paths.checkpoints.glob("step_*"))
    return max((int(name) for name in names if name.isdecimal()), default=-1)


def refuse_older(resume: str, paths: RunPaths, step: int, *, node_0: str) -> None:
    """Refuse to go on from what node 0 has where a node's own disk has more of the run.

    That is how it is when nodes have changed places; rank 0, on node 0, is the one that reads.

    Args:
        paths: of this node's run directory.
        step: after which step the newest checkpoint on node 0 is; -1 = it has none.

    Raises:
        UsageError: the message says where the newer one is.
    """
    own = newest_step(paths)
    if resume != AUTO or own <= step:
        return
    theirs = f"one after step {step}" if step >= 0 else "none"
    raise UsageError(
        f"--resume auto: {paths.checkpoints} on this node has a checkpoint after step {own}, but "
        f"{node_0}, which reads it, has {theirs}: make this node 0 again, copy the checkpoint "
        "there, or take it away here"
    )


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
