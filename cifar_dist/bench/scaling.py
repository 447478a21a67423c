"""Two ranks on one core each against one rank on both, the same global batch."""

from __future__ import annotations

from cifar_dist.bench.contest import compete
from cifar_dist.bench.result import Comparison, Result
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import spread, times_faster
from cifar_dist.bench.training import ours

GLOBAL_BATCH_SIZE = 128
ONE, TWO = "one_rank", "two_ranks"


def run(settings: Settings) -> Result:
    """Measure ResNet-18, which is all arithmetic."""
    steps = 1 if settings.quick else 2
    turns = compete(
        [
            ours(ONE, "resnet18", settings, batch_size=GLOBAL_BATCH_SIZE, steps=steps),
            ours(
                TWO, "resnet18", settings, batch_size=GLOBAL_BATCH_SIZE // 2, steps=steps, ranks=2
            ),
        ],
        repetitions=settings.repetitions,
        folder=settings.subfolder("scaling"),
        timeout_s=settings.timeout_s,
    )
    row = Comparison(
        key="scaling_resnet18",
        what=f"2 ranks on 1 core each, ResNet-18, global batch {GLOBAL_BATCH_SIZE}",
        own=spread(turns[TWO].images_per_s),
        rival=spread(turns[ONE].images_per_s),
        ratio=spread(times_faster(turns[TWO].seconds, turns[ONE].seconds)),
        unit="images/s",
        rival_name="1 rank on 2 cores",
        target=0.85,
    )
    return Result("scaling", (row,))
