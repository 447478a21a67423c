"""The folder of one run: its name, and that nothing of another run is in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from launcher.contract import RunPaths, write_atomic
from launcher.errors import NotReadyError, UsageError
from launcher.options import LaunchSpec
from launcher.resume import holds_a_run
from launcher.run_lock import in_use, is_free

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
            events = RunPaths(self.path).events
            if self.path in self.made and events.stat().st_size == 0:
                events.unlink()
        with suppress(OSError):
            for folder in reversed(self.made):
                folder.rmdir()


def make_run_dir(wanted: Path, *, exact: bool, goes_on: bool = False) -> RunDirectory:
    """Make the folder of a run.

    Args:
        wanted: its path; a suffix is added where that is taken.
        exact: take this path or none: it may exist, but hold no other run.
        goes_on: a run that it holds is continued.

    Raises:
        UsageError: it holds another run, or cannot be written.
        NotReadyError: another launcher is running there.
    """
    if exact and wanted.is_dir() and any(wanted.iterdir()):
        _check_occupied(wanted, goes_on)
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


def _check_occupied(folder: Path, goes_on: bool) -> None:
    if not is_free(RunPaths(folder)):
        raise NotReadyError(in_use(RunPaths(folder)))
    if not goes_on:
        raise UsageError(
            f"--run-dir {shown(folder)}: the folder is not empty, and what an earlier run left "
            "there is not overwritten; name a new folder, or go on with that run by --resume auto"
        )
    if not holds_a_run(folder):
        raise UsageError(
            f"--run-dir {shown(folder)}: the folder is not empty, but holds no run to go on with; "
            "name another one"
        )


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


@contextmanager
def keeping(file: Path, name: str) -> Iterator[None]:
    """Keep what a file holds beside it, under another name, should the block change it."""
    if not file.is_file():
        yield
        return
    before, kept = file.read_bytes(), file.with_name(name)
    write_atomic(kept, before)
    try:
        yield
    finally:
        if file.read_bytes() == before:
            kept.unlink()
