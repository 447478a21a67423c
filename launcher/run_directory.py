"""The folder of one run: its name, and that nothing of another run is in it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from launcher.errors import UsageError
from launcher.options import LaunchSpec

_MOST_OF_ONE_SECOND = 1000


def run_name(spec: LaunchSpec) -> str:
    """Return what a run is called: its recipe, script or module."""
    if spec.recipe is not None:
        return Path(spec.recipe).stem
    if spec.command[0] == "-m":
        return spec.command[1] if len(spec.command) > 1 else "module"
    return Path(spec.command[0]).stem


def shown(path: Path) -> str:
    """Return a path as short as it can be typed here."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


class RunDirectory(NamedTuple):
    """The folder of a run, and which folders were made for it, the outermost first."""

    path: Path
    made: tuple[Path, ...]

    def remove_unused(self) -> None:
        """Take away what was made, as far as nothing is in it: there was no run."""
        with suppress(OSError):
            for folder in reversed(self.made):
                folder.rmdir()


def make_run_dir(wanted: Path, *, exact: bool) -> RunDirectory:
    """Make the folder of a new run.

    Args:
        wanted: its path; a suffix is added where that is taken.
        exact: take this path or none: it may exist, but hold no other run.

    Raises:
        UsageError: it holds another run, or cannot be written.
    """
    if exact and wanted.is_dir() and any(wanted.iterdir()):
        raise UsageError(
            f"--run-dir {shown(wanted)}: the folder is not empty, and what an earlier run left "
            "there is not overwritten; name a new folder, or remove it"
        )
    missing = [folder for folder in reversed(wanted.parents) if not folder.exists()]
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        existed = exact and wanted.is_dir()
        folder = wanted if existed else _make(wanted, exact=exact)
        probe = folder / ".probe"
        probe.touch()
        probe.unlink()
        return RunDirectory(folder, tuple(missing if existed else [*missing, folder]))
    except OSError as error:
        raise UsageError(
            f"run directory {shown(wanted)} cannot be used: {error.strerror or error}; name "
            "another one with --run-dir"
        ) from error


def _make(wanted: Path, *, exact: bool) -> Path:
    """Make the folder, or the first of its name with a suffix that does not exist."""
    if exact:
        wanted.mkdir()
        return wanted
    for number in range(_MOST_OF_ONE_SECOND):
        folder = wanted.with_name(f"{wanted.name}-{number}") if number else wanted
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            continue
    raise FileExistsError(f"{_MOST_OF_ONE_SECOND} folders of this name exist")
