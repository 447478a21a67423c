"""From the command to the first step, and from the last step to the end, against launchers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from cifar_dist.bench.contest import ROOT, BenchError
from cifar_dist.bench.result import Comparison, Figure, Result
from cifar_dist.bench.settings import WITHOUT_PYTORCH, Settings
from cifar_dist.bench.spread import spread, times_faster
from cifar_dist.bench.training import WORKERS, torch_train
from cifar_dist.bench.workers.moments import MOMENTS
from launcher.contract import RunPaths

RANKS = 2
STEPS = 10
SCRIPT = str(WORKERS / "moments.py")
BATCH_SIZE = 64
OWN, MSRUN, TORCHRUN = "own", "msrun", "torchrun"
FIRST_STEP, LAST_STEP = "command to first step", "last step to exit"
to_first_step = attrgetter("to_first_step_s")
to_end = attrgetter("to_end_s")
_MSRUN_PATH = Path(sys.executable).with_name("msrun")
_TAIL_CHARS = 2000
_END_S = 30.0

Command = Callable[[Path, Settings], list[str]]
"""How a launcher is told to run its script in a run directory."""


@dataclass(frozen=True)
class Life:
    """One job, in seconds.

    ``parts_s`` are those of the start of rank 0, as the run itself has measured them.
    """

    to_first_step_s: float
    to_end_s: float
    parts_s: Mapping[str, float] = field(default_factory=dict)


def run(settings: Settings) -> Result:
    """Measure LeNet-5 on two ranks; msrun has the same script, torchrun one like it."""
    folder = settings.subfolder("start")
    commands: dict[str, Command] = {OWN: _ours, MSRUN: _msrun}
    if settings.torch_python:
        commands[TORCHRUN] = _torchrun
    lives: dict[str, list[Life]] = {name: [] for name in commands}
    imports = []
    for number in range(settings.repetitions):
        for name, command in commands.items():
            lives[name].append(_live(folder / f"{name}_{number}", command, settings))
        imports.append(_seconds_to_import(settings.timeout_s))
    rows = [
        _row("start_first_step", FIRST_STEP, to_first_step, lives, MSRUN, target=1 / 0.6),
        _row("start_end", LAST_STEP, to_end, lives, MSRUN, target=1 / 0.3),
        _row("start_joining", "of it: joining", lambda one: one.parts_s["cluster"], lives, MSRUN),
    ]
    if settings.torch_python:
        rows += [
            _row("start_first_step_torchrun", FIRST_STEP, to_first_step, lives, TORCHRUN),
            _row("start_end_torchrun", LAST_STEP, to_end, lives, TORCHRUN),
        ]
    figures = [Figure("import_mindspore", "python -c 'import mindspore'", spread(imports), "s")]
    for part in lives[OWN][0].parts_s:
        seconds = spread([one.parts_s[part] for one in lives[OWN]])
        figures.append(Figure(f"start_{part}", f"{part}, of our start", seconds, "s"))
    notes = () if settings.torch_python else (WITHOUT_PYTORCH,)
    return Result("start", tuple(rows), tuple(figures), notes)


def _row(
    key: str,
    what: str,
    seconds_of: Callable[[Life], float],
    lives: Mapping[str, Sequence[Life]],
    rival: str,
    target: float | None = None,
) -> Comparison:
    own_s, rival_s = ([seconds_of(one) for one in lives[name]] for name in (OWN, rival))
    return Comparison(
        key=key,
        what=f"{what}, LeNet-5 on {RANKS} ranks",
        own=spread(own_s),
        rival=spread(rival_s),
        ratio=spread(times_faster(own_s, rival_s)),
        unit="s",
        rival_name=rival,
        target=None if target is None else round(target, 2),
    )


def _ours(run_dir: Path, settings: Settings) -> list[str]:
    options = [f"--nproc={RANKS}", f"--run-dir={run_dir}", "--device-target=CPU"]
    return [sys.executable, "-m", "launcher", *options, "--", SCRIPT, *_recipe(settings)]


def _msrun(run_dir: Path, settings: Settings) -> list[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workers = [f"--worker_num={RANKS}", f"--local_worker_num={RANKS}", f"--master_port={port}"]
    where = [f"--log_dir={run_dir.with_suffix('.logs')}", "--join=True"]
    own = [f"--run-dir={run_dir}", "--device-target=CPU"]
    return [str(_MSRUN_PATH), *workers, *where, SCRIPT, *own, *_recipe(settings)]


def _recipe(settings: Settings) -> list[str]:
    return [
        "--config=lenet5.yaml",
        f"data.dir={settings.data}",
        "data.source=cifar10",
        "data.global_batch_size=null",
        f"data.batch_size={BATCH_SIZE}",
        f"train.max_steps={STEPS}",
        "monitor.log_interval=1",
        "eval.in_mid_epoch=false",
    ]


def _torchrun(run_dir: Path, settings: Settings) -> list[str]:
    assert settings.torch_python is not None
    one = {"batch_size": BATCH_SIZE, "steps": STEPS, "ranks": RANKS}
    training = torch_train("lenet5", settings.torch_python, settings, **one)
    return [*training.command, f"--steps={STEPS}", f"--moments={_moments(run_dir)}"]


def _moments(run_dir: Path) -> Path:
    return run_dir.with_suffix(".moments")


def _live(run_dir: Path, command: Command, settings: Settings) -> Life:
    """Run one job from its command to its end."""
    moments = _moments(run_dir)
    # msrun starts its workers with the python of PATH.
    path = os.pathsep.join([str(_MSRUN_PATH.parent), os.environ.get("PATH", os.defpath)])
    environ = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), MOMENTS: str(moments)}
    began_s = time.time()
    log = run_dir.with_suffix(".log")
    _finish(command(run_dir, settings), log, environ, settings.timeout_s)
    ended_s = time.time()
    lines = moments.read_text(encoding="ascii").splitlines()
    at_s = {int(step): float(clock_s) for step, clock_s in map(str.split, lines)}
    return Life(at_s[1] - began_s, ended_s - at_s[STEPS], _parts_s(run_dir))


def _parts_s(run_dir: Path) -> dict[str, float]:
    """Return the parts of the start that a run of ours has recorded; none of another one."""
    path = RunPaths(run_dir).metrics
    if not path.is_file():
        return {}
    end = json.loads(path.read_text(encoding="utf-8").splitlines()[-1])
    return {**end["start_s"], "compile": end["compile_s"]}


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
