"""Times how long a job of Slurm on two nodes takes to end when a rank of the second node fails.

    python -m tests.e2e.slurm_cluster python scripts/bench_slurm.py     in a Slurm on this machine
    python scripts/bench_slurm.py --options="--partition=npu"           in the one that is there

LeNet-5 trains on one CPU rank of each node; at a step the last rank raises an exception, or is
killed by SIGKILL. The time runs from there to the end of srun. Exits with 1 if it exceeds the bound
or the output does not say which rank of which node failed and why.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BOUND_S = 10.0
STEP = 12
SAID = {"raises": "ValueError: made to fail", "killed": "SIGKILL (signal 9)"}
RECIPE = (
    "--config", "lenet5.yaml", "data.source=synthetic", "data.synthetic_train_images=3200",
    "data.global_batch_size=32", "monitor.log_interval=1", "checkpoint.interval_steps=1000",
)  # fmt: skip


def _positive(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}: one run is the least")
    return int(text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench_slurm", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=_positive, default=5, help="of each kind of failure")
    parser.add_argument("--options", default="", help="of srun, such as --partition=npu")
    parser.add_argument("--bound", type=float, default=BOUND_S, metavar="S")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    took_s: dict[str, list[float]] = {how: [] for how in SAID}
    for run in range(args.runs):
        for how, times in took_s.items():
            with tempfile.TemporaryDirectory(prefix="bench-slurm-", dir=Path.cwd()) as folder:
                times.append(fail_once(how, Path(folder), shlex.split(args.options)))
            print(
                f"run {run + 1}: rank 1 {how}, srun has ended after {times[-1]:.2f} s", flush=True
            )
    if args.json is not None:
        args.json.write_text(json.dumps({"bound_s": args.bound, "took_s": took_s}, indent=1) + "\n")
    longest_s = max(max(times) for times in took_s.values())
    is_met = longest_s < args.bound
    print(f"longest {longest_s:.2f} s, bound {args.bound:g} s: {'holds' if is_met else 'EXCEEDED'}")
    return 0 if is_met else 1


def fail_once(how: str, folder: Path, options: list[str]) -> float:
    """Return the seconds from the failure of rank 1 to the end of the job."""
    moment = folder / "moment"
    launcher = (sys.executable, "-m", "launcher", "--device-target", "CPU", "--nproc", "1")
    worker = ("--run-dir", str(folder / "run"), "--", __file__, how, str(moment), *RECIPE)
    command = ["srun", "-N2", "--ntasks-per-node=1", *options, *launcher, *worker]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    ended_s = time.time()
    words = f"rank 1 of 2 failed: {SAID[how]}"
    if not moment.exists() or done.returncode == 0 or words not in done.stdout + done.stderr:
        sys.exit(f"srun did not end with {words!r}:\n{done.stdout}\n{done.stderr}")
    return ended_s - float(moment.read_text())


def worker(how: str, moment: Path, arguments: list[str]) -> int:
    """Be a rank, the last of which fails at a step."""
    from cifar_dist.cli import main as trainer
    from cifar_dist.engine.step import TrainStep

    run = TrainStep.__call__

    def call(self: TrainStep, *inputs: object) -> object:
        loss = run(self, *inputs)  # type: ignore[arg-type]
        if os.environ["RANK_ID"] == "1" and int(self.steps.asnumpy()) == STEP:
            moment.write_text(str(time.time()))
            if how == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("made to fail")
        return loss

    TrainStep.__call__ = call  # type: ignore[assignment,method-assign]
    return trainer(["train", *arguments])


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in SAID:
        sys.exit(worker(sys.argv[1], Path(sys.argv[2]), sys.argv[3:]))
    sys.exit(main())
