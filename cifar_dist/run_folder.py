"""The run directory as a worker sees it: given by the launcher, or made here without one."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cifar_dist.config import Recipe, dump_config
from cifar_dist.errors import CifarDistError, ConfigError
from cifar_dist.versions import installed_versions
from launcher.contract import RankEnv, RunPaths, default_run_dir, write_atomic

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolder:
    """A run directory.

    ``is_ours`` says that no launcher of ours made it, so that config.yaml and manifest.json are
    ours to write.
    """

    paths: RunPaths
    is_ours: bool
    started_s: float = field(default_factory=time.time)

    def check_unused(self, *, resume: str) -> None:
        """Refuse a folder that holds another run; rank 0 calls it.

        Args:
            resume: "none", "auto", or where to go on from: within this folder it may.

        Raises:
            ConfigError: it holds a run that nobody wants to go on with.
        """
        root = self.paths.root.resolve()
        goes_on = resume == "auto" or (
            resume != "none" and Path(resume).resolve().is_relative_to(root)
        )
        if self.is_ours and not goes_on and self.paths.manifest.exists():
            raise ConfigError(
                f"run directory {self.paths.root} holds an earlier run, which is not overwritten: "
                "name another one with --run-dir, or go on with it by --resume auto"
            )

    @contextmanager
    def recorded(self, recipe: Recipe) -> Iterator[None]:
        """Write down what is run before the block, and how it ended after it; rank 0 calls it.

        Raises:
            ConfigError: the folder cannot be written.
        """
        self.write_start(recipe)
        code = 1
        try:
            yield
            code = 0
        except CifarDistError as error:
            code = error.exit_code
            raise
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
            raise
        finally:
            self.write_end(recipe, code)

    def write_start(self, recipe: Recipe) -> None:
        """Write what is known before training.

        Raises:
            ConfigError: the folder cannot be written.
        """
        if not self.is_ours:
            return
        try:
            write_atomic(self.paths.config, dump_config(recipe.config))
            self._write_manifest(recipe, {})
        except OSError as error:
            raise ConfigError(
                f"run directory {self.paths.root} cannot be written ({error.strerror}): "
                "name another one with --run-dir"
            ) from error

    def write_end(self, recipe: Recipe, exit_code: int) -> None:
        """Complete the manifest; a full disk is said and ends nothing."""
        if not self.is_ours:
            return
        try:
            self._write_manifest(recipe, {"end": _moment(time.time()), "exit_code": exit_code})
        except OSError as error:
            _log.warning("%s cannot be written: %s", self.paths.manifest, error)

    def _write_manifest(self, recipe: Recipe, end: dict[str, Any]) -> None:
        values = {
            "command": sys.orig_argv,
            "directory": os.getcwd(),
            "host": os.uname().nodename,
            "python": ".".join(map(str, sys.version_info[:3])),
            "versions": installed_versions(),
            "seed": recipe.config.train.seed,
            "recipe": str(recipe.source),
            "start": _moment(self.started_s),
            "end": None,
            "exit_code": None,
            **end,
        }
        write_atomic(self.paths.manifest, json.dumps(values, indent=2) + "\n")


def locate_run(env: RankEnv, recipe: Recipe, *, wanted: Path | None) -> RunFolder:
    """Return where this run goes; nothing is made yet.

    Under another launcher (msrun) all ranks must come to the same folder without a word between
    them: its name is then the time at which their common parent was started.
    """
    if env.run_dir is not None:
        return RunFolder(RunPaths(env.run_dir, env.node_rank), is_ours=False)
    parent_counts = env.world_size > 1
    started_s = psutil.Process(os.getppid()).create_time() if parent_counts else time.time()
    folder = wanted or default_run_dir(recipe.source.stem, time.localtime(started_s))
    return RunFolder(RunPaths(folder.absolute()), is_ours=True)


def _moment(seconds: float) -> str:
    """Return local time with its offset (ISO 8601)."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))
