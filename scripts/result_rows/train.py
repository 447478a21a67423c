"""One run of a row: the command, the machine, the time; the run directory has all of it."""

from __future__ import annotations

import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cifar_dist.bench.machine import describe_machine
from cifar_dist.config import find_recipe, load_config
from cifar_dist.config.load import RECIPES
from launcher.host.busyness import Busyness, Counters
from scripts.result_rows.kept import RESULT, ROOT
from scripts.result_rows.rows import Row


class RunFailedError(Exception):
    """A run that did not end well; the text says where to look."""


def command_of(
    row: Row, seed: int, *, images: str, run_dir: Path, more: Sequence[str] = ()
) -> list[str]:
    """Return the command line of a run, without the Python in front.

    Args:
        row: what is trained.
        seed: of the run.
        images: the folder cifar-10-batches-bin.
        run_dir: where the run goes.
        more: further overrides, of a trial that is not for the table.
    """
    overrides = [f"train.seed={seed}", f"data.dir={images}", *row.overrides, *more]
    recipe = RECIPES / f"{row.recipe}.yaml"
    epochs = load_config(recipe, overrides).config.train.epochs
    overrides = [*overrides, f"eval.interval_epochs={epochs}", "monitor.tensorboard=false"]
    options = ["--run-dir", _shown(run_dir), "--config", recipe.name, *overrides]
    if row.program == "model_train":
        return ["-m", "scripts.result_rows.model_train", *options]
    return ["-m", "launcher", "--nproc", str(row.nproc), "--device-target", "CPU", *options]


def train(row: Row, seed: int, *, images: str, run_dir: Path, more: Sequence[str] = ()) -> None:
    """Run a row with one seed and write result.json into its run directory; arguments as above.

    Raises:
        RunFailedError: the command has failed.
    """
    command = command_of(row, seed, images=images, run_dir=run_dir, more=more)
    machine, revision = describe_machine(), _revision()
    started = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    start_s, before, own_s = time.perf_counter(), Counters.read(), _children_cpu_s()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = subprocess.call([sys.executable, *command], cwd=ROOT, env=environment)
    if code != 0:
        raise RunFailedError(f"{row.name}, seed {seed}: exit code {code}; look into {run_dir}")
    wall_s, busy = time.perf_counter() - start_s, Busyness.since(before).busy
    cpu_s = _children_cpu_s() - own_s
    facts: dict[str, Any] = {
        "row": row.name,
        "recipe": find_recipe(f"{row.recipe}.yaml", recipes=RECIPES).name,
        "command": shlex.join(["python", *command]),
        "seed": seed,
        "ranks": row.nproc,
        "epochs": load_config(run_dir / "config.yaml").config.train.epochs,
        "started": started,
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "others_busy": others_busy(busy, cpu_s=cpu_s, wall_s=wall_s),
        "revision": revision,
        "machine": machine,
    }
    (run_dir / RESULT).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def others_busy(busy: float | None, *, cpu_s: float, wall_s: float) -> float | None:
    """Return the share of all cores' time, 0 to 1, that others used beside a run: 0 is alone.

    Args:
        busy: the share that was used by all; None where the host does not tell.
        cpu_s: what the run itself used.
        wall_s: how long it took.
    """
    if busy is None:
        return None
    return round(max(0.0, busy - cpu_s / (wall_s * (os.cpu_count() or 1))), 3)


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _revision() -> str:
    """Return the commit, with "+" behind it where files differ from it."""
    head = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
    done = subprocess.run(head, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
