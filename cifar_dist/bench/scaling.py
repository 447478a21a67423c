"""Two ranks on one core each against one rank on both, and against PyTorch's DDP."""

from __future__ import annotations

from cifar_dist.bench.contest import Turns, compete
from cifar_dist.bench.result import Comparison, Result
from cifar_dist.bench.settings import WITHOUT_PYTORCH, Settings
from cifar_dist.bench.spread import spread, times_faster
from cifar_dist.bench.training import PYTORCH, ours, torch_train

GLOBAL_BATCH_SIZE = 128
ONE, TWO = "one_rank", "two_ranks"


def run(settings: Settings) -> Result:
    """Measure ResNet-18, which is all arithmetic."""
    steps = 1 if settings.quick else 2
    half = GLOBAL_BATCH_SIZE // 2
    contestants = [
        ours(ONE, "resnet18", settings, batch_size=GLOBAL_BATCH_SIZE, steps=steps),
        ours(TWO, "resnet18", settings, batch_size=half, steps=steps, ranks=2),
    ]
    if python := settings.torch_python:
        contestants.append(
            torch_train("resnet18", python, settings, batch_size=half, steps=steps, ranks=2)
        )
    turns = compete(
        contestants,
        repetitions=settings.repetitions,
        folder=settings.subfolder("scaling"),
        timeout_s=settings.timeout_s,
    )
    rows = [_row("scaling_resnet18", turns, ONE, "1 rank on 2 cores", target=0.85)]
    if settings.torch_python:
        rows.append(_row("scaling_resnet18_ddp", turns, PYTORCH, "PyTorch's DDP on 2 ranks"))
    notes = () if settings.torch_python else (WITHOUT_PYTORCH,)
    return Result("scaling", tuple(rows), notes=notes)


def _row(
    key: str, turns: dict[str, Turns], rival: str, rival_name: str, *, target: float | None = None
) -> Comparison:
    own, other = turns[TWO], turns[rival]
    return Comparison(
        key=key,
        what=f"2 ranks on 1 core each, ResNet-18, global batch {GLOBAL_BATCH_SIZE}",
        own=spread(own.images_per_s),
        rival=spread(other.images_per_s),
        ratio=spread(times_faster(own.seconds, other.seconds)),
        unit="images/s",
        rival_name=rival_name,
        target=target,
    )
