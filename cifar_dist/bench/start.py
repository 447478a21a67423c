"""From the command to the first step, and from the last step to the end, against msrun."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cifar_dist.bench.contest import ROOT, BenchError
from cifar_dist.bench.result import Comparison, Figure, Result
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import spread, times_faster
from cifar_dist.bench.training import WORKERS
from cifar_dist.bench.workers.moments import MOMENTS

RANKS = 2
STEPS = 10
SCRIPT = str(WORKERS / "moments.py")
MSRUN = Path(sys.executable).with_name("msrun")
_TAIL_CHARS = 2000
_END_S = 30.0

Command = Callable[[Path, Sequence[str]], list[str]]
"""How a launcher is told to run the script with its arguments, in a run directory."""


@dataclass(frozen=True)
class Life:
    """One job: seconds from its command to the first step, and from the last step to its end."""

    to_first_step_s: float
    to_end_s: float


def run(settings: Settings) -> Result:
    """Measure LeNet-5 on two ranks, the same script under both launchers, turn by turn."""
    folder = settings.subfolder("start")
    own, rival, imports = [], [], []
    for number in range(settings.repetitions):
        own.append(_live(folder / f"own_{number}", _ours, settings))
        rival.append(_live(folder / f"msrun_{number}", _msrun, settings))
        imports.append(_seconds_to_import(settings.timeout_s))
    rows = (
        _row(
            "start_first_step",
            "command to first step",
            [one.to_first_step_s for one in own],
            [one.to_first_step_s for one in rival],
            target=1 / 0.6,
        ),
        _row(
            "start_end",
            "last step to exit",
            [one.to_end_s for one in own],
            [one.to_end_s for one in rival],
            target=1 / 0.3,
        ),
    )
    figure = Figure("import_mindspore", "python -c 'import mindspore'", spread(imports), "s")
    return Result("start", rows, (figure,))


def _row(
    key: str, what: str, own_s: Sequence[float], rival_s: Sequence[float], *, target: float
) -> Comparison:
    return Comparison(
        key=key,
        what=f"{what}, LeNet-5 on {RANKS} ranks",
        own=spread(own_s),
        rival=spread(rival_s),
        ratio=spread(times_faster(own_s, rival_s)),
        unit="s",
        rival_name="msrun",
        target=round(target, 2),
    )


def _ours(run_dir: Path, arguments: Sequence[str]) -> list[str]:
    options = [f"--nproc={RANKS}", f"--run-dir={run_dir}", "--device-target=CPU"]
    return [sys.executable, "-m", "launcher", *options, "--", SCRIPT, *arguments]


def _msrun(run_dir: Path, arguments: Sequence[str]) -> list[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workers = [f"--worker_num={RANKS}", f"--local_worker_num={RANKS}", f"--master_port={port}"]
    where = [f"--log_dir={run_dir.with_suffix('.logs')}", "--join=True"]
    own = [f"--run-dir={run_dir}", "--device-target=CPU"]
    return [str(MSRUN), *workers, *where, SCRIPT, *own, *arguments]


def _live(run_dir: Path, command: Command, settings: Settings) -> Life:
    """Run one job from its command to its end."""
    moments = run_dir.with_suffix(".moments")
    recipe = [
        "--config=lenet5.yaml",
        f"data.dir={settings.data}",
        "data.source=cifar10",
        f"train.max_steps={STEPS}",
        "monitor.log_interval=1",
        "eval.in_mid_epoch=false",
    ]
    # msrun starts its workers with the python of PATH.
    path = os.pathsep.join([str(MSRUN.parent), os.environ.get("PATH", os.defpath)])
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), MOMENTS: str(moments)}
    began_s = time.time()
    _finish(command(run_dir, recipe), run_dir.with_suffix(".log"), environ, settings.timeout_s)
    ended_s = time.time()
    lines = moments.read_text(encoding="ascii").splitlines()
    at_s = {int(step): float(clock_s) for step, clock_s in map(str.split, lines)}
    return Life(at_s[1] - began_s, ended_s - at_s[STEPS])


def _finish(command: Sequence[str], log: Path, environ: dict[str, str], timeout_s: float) -> None:
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            cwd=log.parent,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        if process.poll() is None:
            _end(process)
    if code != 0:
        how = f"ended with {code}" if code is not None else f"did not end within {timeout_s:g} s"
        said = log.read_text(encoding="utf-8", errors="replace")[-_TAIL_CHARS:]
        raise BenchError(f"{' '.join(command[:3])} {how}; the end of what it said:\n{said}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a launcher, which ends its workers; by force where it does not."""
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_S)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _seconds_to_import(timeout_s: float) -> float:
    """Return what no launcher can save: MindSpore's own import, one process alone."""
    began_s = time.perf_counter()
    command = [sys.executable, "-c", "import mindspore"]
    subprocess.run(command, check=True, capture_output=True, timeout=timeout_s)
    return time.perf_counter() - began_s
