"""What the launcher costs: start, memory, idle CPU; and launches side by side."""

from __future__ import annotations

import compileall
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from measure import Measure
from systems import System, ours
from trial import HERE, WORKER, trial

IDLE_S = 30.0


def start(system: System, trials: int, nproc: int) -> Measure:
    """Seconds from starting the launcher to the first line of a worker, less plain Python's.

    The launcher's modules are compiled beforehand, as they are where pip has installed them.
    """
    compileall.compile_dir(HERE.parents[1] / "launcher", quiet=1)
    plain_s = statistics.median(_plain_start_s() for _ in range(max(trials, 5)))
    values = []
    for _ in range(trials):
        with trial(system, nproc) as one:
            one.wait_for(lambda: one.moments("ready_"), "the first worker")
            one.wait_until_ready()
            first_ns = min(one.moments("ready_").values())
            values.append((first_ns - one.started_ns) / 1e9 - plain_s)
    return Measure(values, "s", 0.15, "median", f"plain Python: {plain_s:.3f} s")


def _plain_start_s() -> float:
    program = "import time; moment = time.monotonic_ns(); print(moment)"
    started_ns = time.monotonic_ns()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return (int(done.stdout) - started_ns) / 1e9


def idle(system: System, nproc: int, idle_s: float = IDLE_S) -> tuple[Measure, Measure]:
    """Resident MB and percent of one core while workers sleep, launcher and its own helpers."""
    with trial(system, nproc) as one:
        one.wait_until_ready()
        time.sleep(2)
        pids = [one.process.pid]
        before_ns = sum(map(_cpu_ns, pids))
        time.sleep(idle_s)
        used_ns = sum(map(_cpu_ns, pids)) - before_ns
        resident = sum(map(_resident_mb, pids))
    return (
        Measure([resident], "MB", 30),
        Measure([100 * used_ns / 1e9 / idle_s], "%", 0.2),
    )


def _cpu_ns(pid: int) -> int:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)


def _resident_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def side_by_side(rounds: int, launches: int = 20) -> Measure:
    """Port clashes when so many jobs with MindSpore's own scheduler are started at once."""
    clashes = []
    for _ in range(rounds):
        with ExitStack() as stack:
            system = ours(rendezvous="cluster")
            jobs = [
                stack.enter_context(trial(system, 2, script=[WORKER, "port", "port", "0", "2"]))
                for _ in range(launches)
            ]
            ports = []
            failed = 0
            for job in jobs:
                job.wait_for_end(600)
                failed += job.process.returncode != 0
                ports.append(min(job.moments("port_").values(), default=-1))
            clashes.append(launches - len(set(ports)) + failed)
    return Measure(clashes, "clashes", 0, "total", f"{launches} at once")
