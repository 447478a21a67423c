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
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from launcher.contract import EXIT_TEMPORARY, EXIT_USAGE
from launcher.errors import LauncherError, UsageError
from launcher.supervision.signals import STOPPING, Signals

_PR_SET_PDEATHSIG = 1
_STOP_S = 5.0


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
    recipe: Path, overrides: tuple[str, ...], *, world_size: int, output: Path, signals: Signals
) -> CheckedRecipe:
    """Check recipe, data and batch for this world size and write the resolved recipe.

    What the check says on stderr goes to the terminal as it comes (it may be downloading data).

    Raises:
        RecipeRefusedError: it refused, and has said why.
        CheckStoppedError: a signal came first.
        RuntimeError: it broke; this is a bug.
    """
    command = [sys.executable, "-m", "cifar_dist", "config", "--check"]
    command += ["--world-size", str(world_size), "--config", str(recipe)]
    command += ["--output", str(output), "--json", *overrides]
    with _child(command) as child:
        printed = _read_all(child, signals)
        code = child.wait()
    if code in (EXIT_USAGE, EXIT_TEMPORARY):
        raise RecipeRefusedError(code)
    if code < 0 and -code in STOPPING:
        raise CheckStoppedError(-code)
    try:
        if code != 0:
            raise ValueError(f"exit code {code}")
        found = json.loads(printed)
        return CheckedRecipe(found["recipe"], found["versions"], found["seed"])
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

    child = subprocess.Popen(
        command,
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
                child.wait()
        if child.stdout is not None:
            child.stdout.close()


def _read_all(child: subprocess.Popen[bytes], signals: Signals) -> bytes:
    """Return all that the child prints; a stopping signal to the launcher ends the wait."""
    assert child.stdout is not None
    printed = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        selector.register(signals, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is signals:
                    for number in signals.read():
                        if number in STOPPING:
                            raise CheckStoppedError(number)
                    continue
                data = os.read(child.stdout.fileno(), 65536)
                if not data:
                    return printed
                printed += data
