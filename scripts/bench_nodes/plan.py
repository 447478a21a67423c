"""How long the plan of a large job takes to make and to print."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from job import ROOT

NNODES, NPROC = 1250, 8
LIMIT_S = 2.0


def plan_times(folder: Path, trials: int) -> dict[str, list[float]]:
    """Return the seconds of ``--dry-run`` for each way to say which nodes there are."""
    addresses = [f"10.1.{node // 250}.{node % 250 + 1}" for node in range(NNODES)]
    rows = "".join(
        f"  - {{name: n{node}, address: {address}}}\n" for node, address in enumerate(addresses)
    )
    cluster = folder / "many.yaml"
    cluster.write_text(f"device_target: CPU\nnproc: {NPROC}\nnodes:\n{rows}")
    ways = {
        "by a cluster file": ["--cluster", str(cluster)],
        "by options": ["--nnodes", str(NNODES), "--master-addr", addresses[0],
                       "--nproc", str(NPROC), "--device-target", "CPU"],
    }  # fmt: skip
    return {name: [_seconds(way, folder) for _ in range(trials)] for name, way in ways.items()}


def _seconds(way: list[str], folder: Path) -> float:
    command = [sys.executable, "-m", "launcher", "--dry-run", "--node-rank", str(NNODES - 1)]
    began_s = time.monotonic()
    done = subprocess.run(
        [*command, *way, "--", "true"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    took_s = time.monotonic() - began_s
    plan = json.loads(done.stdout)
    ranks = [worker["rank"] for worker in plan["ranks"]]
    assert plan["world_size"] == NNODES * NPROC
    assert ranks == list(range((NNODES - 1) * NPROC, NNODES * NPROC))
    return took_s
