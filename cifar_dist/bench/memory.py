"""What a rank needs beyond MindSpore's own, with all of CIFAR-10; several share its pages."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import psutil

from cifar_dist.bench.contest import Contestant, Running
from cifar_dist.bench.machine import proportional_memory_mb
from cifar_dist.bench.result import Figure, Result
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import spread
from cifar_dist.bench.training import model_train, ours

LIMIT_MB = 250
STEPS = 40
BATCH_SIZE = 64


def run(settings: Settings) -> Result:
    """Compare the memory (PSS) of training processes after some steps of LeNet-5.

    MindSpore's own is a process that trains the same network on one batch that lies ready: no
    mindspore.dataset, nothing of cifar_dist but the network.
    """
    found: dict[str, list[float]] = {"alone": [], "of two": [], "Model.train": []}
    for number in range(1 if settings.quick else 3):
        folder = settings.subfolder(f"memory_{number}")
        bare = _per_process(
            model_train("lenet5", settings, batch_size=BATCH_SIZE, steps=STEPS, fixed=True),
            folder,
            settings,
        )
        for title, contestant in {
            "alone": ours(
                f"memory_{number}_alone", "lenet5", settings, batch_size=BATCH_SIZE, steps=STEPS
            ),
            "of two": ours(
                f"memory_{number}_two",
                "lenet5",
                settings,
                batch_size=BATCH_SIZE,
                steps=STEPS,
                ranks=2,
            ),
            "Model.train": model_train("lenet5", settings, batch_size=BATCH_SIZE, steps=STEPS),
        }.items():
            found[title].append(_per_process(contestant, folder, settings) - bare)
    what = "memory of a rank beyond MindSpore's own, 50,000 images"
    return Result(
        "memory",
        figures=(
            Figure("memory_rank_mb", f"{what}, one rank", spread(found["alone"]), "MB", LIMIT_MB),
            Figure(
                "memory_rank_of_two_mb",
                f"{what}, each of two ranks (shared pages counted half)",
                spread(found["of two"]),
                "MB",
                LIMIT_MB,
            ),
            Figure(
                "memory_model_train_mb",
                "the same of Model.train with mindspore.dataset",
                spread(found["Model.train"]),
                "MB",
            ),
        ),
    )


def _per_process(contestant: Contestant, folder: Path, settings: Settings) -> float:
    """Return the MB of each process that computes, after one stretch."""
    with ExitStack() as stack:
        running = stack.enter_context(Running(contestant, folder, settings.timeout_s))
        processes = [running.pid, *(one.pid for one in _children(running.pid))]
        sizes = [proportional_memory_mb(pid) for pid in processes if _computes(pid)]
        return sum(sizes) / len(sizes)


def _children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _computes(pid: int) -> bool:
    """Tell whether MindSpore's kernels are loaded, and it is no scheduler."""
    if "libdnnl" not in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8"):
        return False
    return b"MS_ROLE=MS_SCHED" not in Path(f"/proc/{pid}/environ").read_bytes()
