"""What monitoring costs: all that the loop does for people, against a step of LeNet-5."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cifar_dist.bench.contest import compete
from cifar_dist.bench.result import Figure, Result
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import spread
from cifar_dist.bench.training import ours

ONE = "one_rank"
LOG_INTERVAL = 20
INTERVALS = 25


def run(settings: Settings) -> Result:
    """Time meter, progress file and records by themselves; the step in a run of its own.

    The difference of two runs, one of them without monitoring, would drown in their noise.
    """
    steps = 60 if settings.quick else 200
    contestant = ours(ONE, "lenet5", settings, batch_size=64, steps=steps)
    folder = settings.subfolder("monitor")
    turns = compete(
        [contestant],
        repetitions=settings.repetitions,
        folder=folder,
        timeout_s=settings.timeout_s,
    )
    step_s = spread([one / steps for one in turns[ONE].seconds]).median
    costs = [_cost_s(folder / str(number)) for number in range(settings.repetitions)]
    share = Figure(
        "monitor_percent",
        f"monitoring, a report every {LOG_INTERVAL} steps, of a step of LeNet-5, batch 64",
        spread([100 * one / step_s for one in costs]),
        "%",
        1.0,
    )
    cost = Figure("monitor_us", "monitoring, a step", spread([1e6 * one for one in costs]), "us")
    return Result("monitor", figures=(share, cost))


def _cost_s(folder: Path) -> float:
    """Return the seconds a step that meter, progress and records take at default settings."""
    import mindspore as ms
    from mindspore import Tensor

    from cifar_dist.engine.meter import Meter
    from cifar_dist.observe.progress import ProgressFile
    from cifar_dist.runtime.collectives import Alone

    folder.mkdir(parents=True)
    losses = [Tensor(1.0, ms.float32) for _ in range(LOG_INTERVAL)]
    scale = Tensor(1.0, ms.float32)
    meter, progress = Meter(Alone()), ProgressFile(folder, 0)
    observers = _observers(folder)
    meter.step_done(losses[0])
    start, step = time.perf_counter(), 0
    for _ in range(INTERVALS):
        for loss in losses:
            step += 1
            meter.waits_for_batch()
            meter.batch_arrived()
            meter.step_done(loss)
            progress.step(0, step)
            with meter.paused():
                pass
        reading = meter.read()
        record = _record(step, reading.loss, float(scale.asnumpy()))
        for observer in observers:
            observer.record(record)
    seconds = time.perf_counter() - start
    for observer in observers:
        observer.close()
    return seconds / step


def _observers(folder: Path) -> list[Any]:
    from cifar_dist.observe.console import ConsoleLines, Span
    from cifar_dist.observe.metrics_file import MetricsFile
    from cifar_dist.observe.prometheus import FILE_NAME, PrometheusFile
    from cifar_dist.observe.tensorboard import TensorBoard

    log = (folder / "rank_0.log").open("w")
    return [
        MetricsFile(folder / "metrics.jsonl"),
        PrometheusFile(folder / FILE_NAME, run="bench"),
        ConsoleLines(Span(1, 1000, 64), say=lambda line: print(line, file=log, flush=True)),
        TensorBoard(folder / "tb", recipe_yaml=""),
    ]


def _record(step: int, loss: float, loss_scale: float) -> Any:
    from cifar_dist.observe.records import TrainRecord

    return TrainRecord(
        epoch=1,
        step=step,
        loss=loss,
        lr=0.1,
        images_per_s=1000.0,
        step_ms=20.0,
        data_wait_ms=0.1,
        loss_scale=loss_scale,
        world_size=1,
    )
