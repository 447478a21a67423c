"""Shows what many nodes cost, without training: many launchers on this machine, and a large plan.

    python scripts/bench_nodes                      8, 16, 32 and 64 launchers, a plan of 1250 nodes
    python scripts/bench_nodes --nodes 4 64 --json FILE

Each job starts its sleeping workers, sits still for a while, loses one worker to SIGKILL and ends.
Exits with 1 if a process is left, an exit code is wrong, or a node costs more among many.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import plan
from job import FailedError, Job, mean, running

Row = dict[str, float]
IDLE_S = 5.0
COLUMNS = (
    ("nodes", "nodes", "d"),
    ("start_s", "start s", ".1f"),
    ("end_s", "end s", ".1f"),
    ("left", "left", "d"),
    ("cpu_s", "CPU s", ".2f"),
    ("idle_ms", "idle ms/s", ".2f"),
    ("memory_mib", "MiB", ".1f"),
    ("files", "files", "d"),
    ("messages", "messages", ".1f"),
    ("bytes", "bytes", ".0f"),
    ("head_cpu_s", "CPU s of 0", ".2f"),
    ("head_memory_mib", "MiB of 0", ".1f"),
    ("head_bytes", "bytes of 0", ".0f"),
)
LEGEND = """\
of every node but 0, the mean: CPU seconds with all its processes, CPU ms of the launcher per second
of sleep, its memory and open files; messages and bytes to and from node 0.
of node 0: CPU seconds, memory; its bytes divided by the other nodes"""


def measure(nnodes: int, nproc: int, folder: Path) -> Row:
    """Run a job of so many nodes, and return what it cost.

    Raises:
        FailedError: it did not run or end as it must.
    """
    began_s = time.monotonic()
    with running(nnodes, nproc, folder) as job:
        start_s = time.monotonic() - began_s
        others = job.launchers[1:]
        used_s = [one.used_s() for one in others]
        time.sleep(IDLE_S)
        idle_s = [one.used_s() - before_s for one, before_s in zip(others, used_s, strict=True)]
        row: Row = {
            "nodes": nnodes,
            "start_s": start_s,
            "idle_ms": 1000 * mean(idle_s) / IDLE_S,
            "memory_mib": mean([one.memory_kib() for one in others]) / 1024,
            "files": max(one.open_files() for one in others),
            "head_memory_mib": job.launchers[0].memory_kib() / 1024,
        }
        victim = nproc * (nnodes // 2) + 1
        lost_s = time.monotonic()
        os.kill(job.workers()[victim], signal.SIGKILL)
        job.wait_until_ended()
        row["end_s"] = time.monotonic() - lost_s
        row["left"] = len(job.left())
        _check_words(job, victim)
        return row | _costs(job)


def _costs(job: Job) -> Row:
    traffic = [
        (event["messages_sent"] + event["messages_received"],
         event["bytes_sent"] + event["bytes_received"])
        for event in job.events("traffic")
    ]  # fmt: skip
    if len(traffic) != job.nnodes:
        raise FailedError(f"{len(traffic)} of {job.nnodes} nodes told what they exchanged")
    return {
        "cpu_s": mean([one.cpu_s for one in job.launchers[1:]]),
        "head_cpu_s": job.launchers[0].cpu_s,
        "messages": mean([messages for messages, _ in traffic[1:]]),
        "bytes": mean([size for _, size in traffic[1:]]),
        "head_bytes": traffic[0][1] / (job.nnodes - 1),
    }


def _check_words(job: Job, victim: int) -> None:
    """Check the exit codes, and that node 0 names the rank that was lost and its node."""
    codes = {one.code for one in job.launchers}
    if codes != {128 + signal.SIGKILL}:
        raise FailedError(f"exit codes {codes} in place of 137\n{job.said(0)}")
    node, size = victim // job.nproc, job.nnodes * job.nproc
    for words in (f"node {node} (", f"rank {victim} of {size} failed: SIGKILL"):
        if words not in job.said(0):
            raise FailedError(f"node 0 does not say {words!r}:\n{job.said(0)}")


def judge(rows: Sequence[Row]) -> list[tuple[str, bool]]:
    """Return what must hold, and whether it does: the most nodes against the fewest."""
    few, many = rows[0], rows[-1]
    nodes = f"{many['nodes']:.0f} nodes against {few['nodes']:.0f}"
    return [
        ("no process is left", all(row["left"] == 0 for row in rows)),
        (f"CPU seconds of a node, {nodes}: at most half as much again",
         many["cpu_s"] <= 1.5 * few["cpu_s"] + 0.02),
        (f"CPU of a launcher that waits, {nodes}: at most 1 ms per second more",
         many["idle_ms"] <= few["idle_ms"] + 1),
        (f"memory of a node, {nodes}: at most 1 MiB more",
         many["memory_mib"] <= few["memory_mib"] + 1),
        (f"open files of a node, {nodes}: no more", many["files"] <= few["files"]),
        (f"messages of a node, {nodes}: no more than one", many["messages"] <= few["messages"] + 1),
        (f"bytes of a node, {nodes}: at most a tenth more", many["bytes"] <= 1.1 * few["bytes"]),
        (f"bytes of node 0 for each other, {nodes}: at most a tenth more",
         many["head_bytes"] <= 1.1 * few["head_bytes"]),
    ]  # fmt: skip


def _show(row: Row) -> None:
    cells = [f"{int(row[name]) if form == 'd' else row[name]:>{len(title)}{form}}"
             for name, title, form in COLUMNS]  # fmt: skip
    print("  ".join(cells), flush=True)


def _several(text: str) -> int:
    if int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text}: from 2 on there are others to measure")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench_nodes", description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=_several, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument("--nproc", type=int, default=8, help="sleeping workers of each launcher")
    parser.add_argument("--plans", type=int, default=5, help="how often the plan is made")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-nodes-") as name:
        print("  ".join(title for _, title, _ in COLUMNS), flush=True)
        rows = []
        for nnodes in sorted(args.nodes):
            try:
                rows.append(measure(nnodes, args.nproc, Path(name)))
            except FailedError as error:
                print(f"{nnodes} nodes: {error}", file=sys.stderr)
                return 1
            _show(rows[-1])
        print(LEGEND, flush=True)
        plans = plan.plan_times(Path(name), args.plans)
    claims = judge(rows)
    for way, times in plans.items() if args.plans else ():
        took_s = statistics.median(times)
        span = f"{took_s:.2f} s (median; {min(times):.2f} to {max(times):.2f})"
        what = f"plan of {plan.NNODES} nodes x {plan.NPROC} {way}: {span}"
        claims.append((f"{what}, limit {plan.LIMIT_S:g} s", took_s < plan.LIMIT_S))
    for text, holds in claims:
        print(f"{'PASS' if holds else 'FAIL'}  {text}")
    if args.json:
        args.json.write_text(json.dumps({"rows": rows, "plans": plans}, indent=2) + "\n")
    return 0 if all(holds for _, holds in claims) else 1


if __name__ == "__main__":
    sys.exit(main())
