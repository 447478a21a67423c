"""Those to whom rank 0 of a run tells what happens, as the recipe wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cifar_dist.observe.console import ConsoleLines, Span
from cifar_dist.observe.metrics_file import MetricsFile
from cifar_dist.observe.prometheus import FILE_NAME, PrometheusFile
from cifar_dist.observe.records import Observer
from cifar_dist.observe.report_pictures import ReportPictures
from launcher.contract import RunPaths

if TYPE_CHECKING:
    from cifar_dist.engine.task import TrainTask


def open_observers(task: TrainTask, paths: RunPaths) -> list[Observer]:
    """Return them in the order in which they are told; who calls this closes them."""
    config = task.evaluation.config
    span = Span(config.train.epochs, task.total_steps, task.batches.plan.global_batch_size)
    run = "/".join(paths.root.parts[-2:])
    observers: list[Observer] = [
        MetricsFile(paths.metrics),
        PrometheusFile(paths.root / FILE_NAME, run=run),
        ConsoleLines(span),
    ]
    from cifar_dist.commands.board import drawn_evaluations, open_board

    observers.append(ReportPictures(paths.report, has_pictures=drawn_evaluations(task)))
    if config.monitor.tensorboard:
        observers.append(open_board(task, paths))
    return observers
