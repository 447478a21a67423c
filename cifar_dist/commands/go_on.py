"""How a run that has ended goes on: the command, with the options that its launcher had."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def lines_to_go_on(manifest: Path, run_dir: Path, *, world_size: int) -> list[str]:
    """Return the command with which more epochs are trained, and above it where it is to be typed.

    Args:
        manifest: of the run, where a launcher has written one.
        run_dir: as it is typed.
        world_size: ranks of the whole job.
    """
    known = _read(manifest)
    plan, options = known.get("plan"), known.get("options")
    plan = plan if isinstance(plan, dict) else {}
    nnodes, ranks = plan.get("nnodes"), plan.get("ranks")
    is_one = not isinstance(nnodes, int) or nnodes < 2
    if not isinstance(options, list) or not options:
        options = ["--nproc", len(ranks) if isinstance(ranks, list) else world_size]
        options += [] if is_one else ["--nnodes", nnodes]
    again = ["--config", run_dir / "config.yaml", "--run-dir", run_dir, "--resume", "auto"]
    words = ["python", "-m", "launcher", *options, *again, "train.epochs=N"]
    command = shlex.join(map(str, words))
    if is_one:
        return [command]
    own = ", each with its own --node-rank" if "--node-rank" in options else ""
    return [f"on all {nnodes} nodes, as before{own}:", command]


def _read(manifest: Path) -> Mapping[str, Any]:
    try:
        values = json.loads(manifest.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
