"""Recipes of cifar_dist: found by name, and checked before any worker starts.

The check is a child process of cifar_dist itself, so that the launcher needs to know nothing about
recipes and never imports it.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from launcher.contract import EXIT_TEMPORARY, EXIT_USAGE
from launcher.errors import LauncherError, NotReadyError, UsageError
from launcher.planning.environment import leftovers
from launcher.resume import NONE
from launcher.supervision.samples import read_stat
from launcher.supervision.signals import WITHOUT_WORKERS, Signals

_PR_SET_PDEATHSIG = 1
_STOP_S = 5.0
SILENT_S = 120.0
"""A check that has not run on any core for so long hangs: on a dead disk, in a lock."""
LONGEST_S = 3 * 3600.0
"""How long a check may take at the most; a download in it gives up after two hours by itself."""


class RecipeRefusedError(LauncherError):
    """The check has already told the user why it refuses; only its exit code is passed on."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("")
        self.exit_code = exit_code


class CheckStoppedError(LauncherError):
    """A signal ended the launcher while it was checking the recipe."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__(f"stopped by {name} while the recipe was checked; nothing was started")
        self.exit_code = 128 + number


class CheckedRecipe(NamedTuple):
    """What the check found out."""

    recipe: Mapping[str, Any] = MappingProxyType({})
    versions: Mapping[str, str] = MappingProxyType({})
    seed: int | None = None
    batch_size_per_rank: int | None = None


def find_recipe(name: str) -> Path:
    """Return the file of a recipe: a path, or the bare name of one that ships with cifar_dist.

    Raises:
        UsageError: there is no such recipe; the message names the nearest ones.
    """
    path = Path(os.path.expanduser(name))
    if path.is_file():
        return path
    shipped = {recipe.name: recipe for recipe in _shipped_recipes()}
    if name in shipped:
        return shipped[name]
    if path.is_dir():
        raise UsageError(f"--config {name}: this is a folder; a recipe is one YAML file")
    from difflib import get_close_matches

    near = get_close_matches(path.name, shipped, n=3)
    guess = f" (did you mean {' or '.join(near)}?)" if near else ""
    known = ", ".join(sorted(shipped)) or "none: is cifar_dist installed for this Python?"
    raise UsageError(
        f"--config {name}: there is no such file, and no recipe of that name ships{guess}; "
        f"recipes that ship: {known}"
    )


def _shipped_recipes() -> Iterator[Path]:
    package = importlib.util.find_spec("cifar_dist")
    for folder in (package and package.submodule_search_locations) or ():
        yield from Path(folder, "recipes").glob("*.yaml")


def check_recipe(
    recipe: Path,
    overrides: tuple[str, ...],
    *,
    world_size: int,
    output: Path | None,
    signals: Signals,
    resume: str = NONE,
) -> CheckedRecipe:
    """Check recipe, data and batch for this world size and write the resolved recipe.

    What the check says on stderr goes to the terminal as it comes (it may be downloading data).
    The checkpoint that ``resume`` asks for, where 'auto' is one in the folder of ``output``, must
    fit the recipe. Without an output nothing is written or downloaded: recipe and batch alone are
    checked.

    Raises:
        RecipeRefusedError: it refused, and has said why.
        CheckStoppedError: a signal came first.
        NotReadyError: it hangs.
        RuntimeError: it broke; this is a bug.
    """
    whole, written = ([], []) if output is None else (["--check"], ["--output", str(output)])
    command = [sys.executable, "-m", "cifar_dist", "config", *whole]
    command += ["--world-size", str(world_size), "--config", str(recipe)]
    if output is not None and resume != NONE:
        command += ["--resume", resume, "--run-dir", str(output.parent)]
    command += [*written, "--json", *overrides]
    with _child(command) as child:
        printed = _read_all(child, signals)
        code = _end_of(child)
    if code in (EXIT_USAGE, EXIT_TEMPORARY):
        raise RecipeRefusedError(code)
    if -code in WITHOUT_WORKERS:
        raise CheckStoppedError(-code)
    try:
        if code != 0:
            raise ValueError(f"exit code {code}")
        found = json.loads(printed)
        batch = found.get("batch_size_per_rank")
        return CheckedRecipe(found["recipe"], found["versions"], found["seed"], batch)
    except (ValueError, KeyError, TypeError) as error:
        shown = printed.decode("utf-8", "replace")
        raise RuntimeError(f"the check {command} broke: {error}; it printed {shown!r}") from error


@contextmanager
def _child(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    libc, parent = ctypes.CDLL(None), os.getpid()

    def die_with_the_launcher() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    of_another_rank = leftovers(os.environ)
    child = subprocess.Popen(
        command,
        env={name: text for name, text in os.environ.items() if name not in of_another_rank},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=die_with_the_launcher,
    )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                child.kill()
                with suppress(subprocess.TimeoutExpired):  # a dead disk may hold it for ever
                    child.wait(_STOP_S)
        if child.stdout is not None:
            child.stdout.close()


def _read_all(child: subprocess.Popen[bytes], signals: Signals) -> bytes:
    """Return all that the child prints; a stopping signal to the launcher ends the wait."""
    assert child.stdout is not None
    printed = b""
    patience = _Patience(child.pid)
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        selector.register(signals, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(SILENT_S / 10):
                if key.fileobj is signals:
                    for number in signals.read():
                        if number in WITHOUT_WORKERS:
                            raise CheckStoppedError(number)
                    continue
                data = os.read(child.stdout.fileno(), 65536)
                if not data:
                    return printed
                printed += data
            patience.look()


def _end_of(child: subprocess.Popen[bytes]) -> int:
    """Return the exit code of a child that has closed its output: it is about to end."""
    try:
        return child.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        raise NotReadyError(
            _hangs(f"has closed its output, but not ended in {_STOP_S:g} s")
        ) from None


class _Patience:
    """Ends when a process has not run on any core for too long, or altogether runs for too long."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._begun_s = self._moved_s = time.monotonic()
        self._seen = self._used()

    def look(self) -> None:
        """Raise NotReadyError when it is over."""
        now_s, used = time.monotonic(), self._used()
        if used != self._seen:
            self._seen, self._moved_s = used, now_s
        if now_s - self._moved_s > SILENT_S:
            raise NotReadyError(_hangs(f"has not moved for {SILENT_S:g} s"))
        if now_s - self._begun_s > LONGEST_S:
            raise NotReadyError(_hangs(f"has not ended in {LONGEST_S / 3600:g} hours"))

    def _used(self) -> tuple[object, ...]:
        """Return what changes whenever one of the threads runs (the first by the nanosecond)."""
        with suppress(OSError):
            return read_stat(self._pid), Path(f"/proc/{self._pid}/schedstat").read_text()
        return (time.monotonic(),)  # nobody can tell: it counts as moving


def _hangs(how: str) -> str:
    return (
        f"the check of recipe and data {how}: a disk or a lock that does not answer? Nothing was "
        "started; python -m cifar_dist config --check --config RECIPE does the same by hand"
    )
