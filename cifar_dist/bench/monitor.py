"""What monitoring costs: all that the loop does beside its steps, against a step of LeNet-5."""

from __future__ import annotations

from cifar_dist.bench.contest import compete
from cifar_dist.bench.result import Figure, Result
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import spread
from cifar_dist.bench.training import monitored_loop, ours

ONE = "one_rank"
BATCH_SIZE = 64


def run(settings: Settings) -> Result:
    """Time what is not a step by itself; the step in a run of its own."""
    steps = 60 if settings.quick else 200
    loop = monitored_loop()
    turns = compete(
        [ours(ONE, "lenet5", settings, batch_size=BATCH_SIZE, steps=steps), loop],
        repetitions=settings.repetitions,
        folder=settings.subfolder("monitor"),
        timeout_s=settings.timeout_s,
    )
    step_s = spread([one / steps for one in turns[ONE].seconds]).median
    costs = [facts["cost_s"] for facts in turns[loop.name].facts]
    share = Figure(
        "monitor_percent",
        f"monitoring at default settings, of a step of LeNet-5, batch {BATCH_SIZE}, one rank",
        spread([100 * one / step_s for one in costs]),
        "%",
        1.0,
    )
    cost = Figure("monitor_us", "monitoring, a step", spread([1e6 * one for one in costs]), "us")
    return Result("monitor", figures=(share, cost))
