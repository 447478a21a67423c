"""What a rank needs beyond MindSpore's own, with all of CIFAR-10; several share its pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import psutil

from cifar_dist.bench.contest import BenchError, Contestant, Running
from cifar_dist.bench.machine import proportional_memory_mb
from cifar_dist.bench.result import Figure, Result
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import spread
from cifar_dist.bench.training import model_train, ours

LIMIT_MB = 250
STEPS = 40
BATCH_SIZE = 64
TOGETHER = 3
"""So many processes have MindSpore's libraries in common where two ranks and a scheduler run."""


def run(settings: Settings) -> Result:
    """Compare the memory (PSS) of training processes after some steps of LeNet-5.

    MindSpore's own is a process that trains the same network on one batch that lies ready: no
    mindspore.dataset, nothing of cifar_dist but the network. It is taken of one process alone and
    of several at once, for what is beside it: pages of a library count by the share of those that
    map them.
    """
    found: dict[str, list[float]] = {"alone": [], "of two": [], "Model.train": []}
    one = {"batch_size": BATCH_SIZE, "steps": STEPS}
    fixed = model_train("lenet5", settings, batch_size=BATCH_SIZE, steps=STEPS, fixed=True)
    for number in range(settings.repetitions):
        folder = settings.subfolder(f"memory_{number}")
        alone = ours(f"memory_{number}_alone", "lenet5", settings, **one)
        two = ours(f"memory_{number}_two", "lenet5", settings, **one, ranks=2)
        graph = model_train("lenet5", settings, batch_size=BATCH_SIZE, steps=STEPS)
        bare = per_process([fixed], folder, settings, processes=1)
        several = [replace(fixed, name=f"fixed_{i}") for i in range(TOGETHER)]
        bare_together = per_process(several, folder, settings, processes=TOGETHER)
        found["alone"].append(per_process([alone], folder, settings, processes=1) - bare)
        found["of two"].append(per_process([two], folder, settings, processes=2) - bare_together)
        found["Model.train"].append(per_process([graph], folder, settings, processes=1) - bare)
    return _result(found)


def _result(found: dict[str, list[float]]) -> Result:
    """Return the figures of MB beyond MindSpore's own."""
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


def per_process(
    contestants: Sequence[Contestant], folder: Path, settings: Settings, *, processes: int
) -> float:
    """Return the MB of each process that computes, all at once after one stretch.

    Raises:
        BenchError: there are not as many such processes as there should be.
    """
    with ExitStack() as stack:
        running = [
            stack.enter_context(Running(one, folder, settings.timeout_s)) for one in contestants
        ]
        sizes = [size for one in running for size in sizes_mb(one.pid)]
    if len(sizes) != processes:
        raise BenchError(
            f"{len(sizes)} processes of {contestants[0].name} compute, not {processes}: "
            "one has ended"
        )
    return fmean(sizes)


def sizes_mb(pid: int) -> Iterator[float]:
    """Yield the MB of a process and of those below it that compute; one that ends has none."""
    with suppress(psutil.NoSuchProcess):
        for one in [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]:
            with suppress(FileNotFoundError, ProcessLookupError):
                if _computes(one):
                    yield proportional_memory_mb(one)


def _computes(pid: int) -> bool:
    """Tell whether MindSpore's kernels are loaded, and it is no scheduler."""
    if "libdnnl" not in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8"):
        return False
    return b"MS_ROLE=MS_SCHED" not in Path(f"/proc/{pid}/environ").read_bytes()
