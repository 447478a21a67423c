"""``cifar_dist evaluate``: all numbers of a saved network, the same on any number of ranks."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_dist.commands.decide import (
    Wish,
    add_wish_arguments,
    decide,
    factor,
    wish_of,
)
from cifar_dist.commands.saved import Saved, add_saved_arguments, enter_device, open_saved
from cifar_dist.commands.write import write_json
from cifar_dist.config import DataConfig
from cifar_dist.data.cifar_files import Split
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.source import open_dataset
from cifar_dist.errors import ConfigError, DataError
from cifar_dist.metrics.calibration import MAX_IMAGES
from cifar_dist.metrics.confusion import row_names
from cifar_dist.metrics.report import report
from cifar_dist.observe.console import ConsoleLines, Span, say
from cifar_dist.observe.metrics_file import MetricsFile
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.observe.records import Observer, eval_record
from cifar_dist.observe.report_table import report_table
from launcher.contract import RankEnv, RunPaths

if TYPE_CHECKING:
    from cifar_dist.engine.full_evaluation import Counted
    from cifar_dist.runtime.context import DistContext

DESCRIPTION = """Evaluate a checkpoint with the recipe it was trained with. On several ranks:
'python -m launcher --nproc N -- -m cifar_dist evaluate RUN_DIR'; the numbers are the same."""

_LIMITS = {
    "test": "data.max_test_images",
    "validation": "data.validation_images",
    "train": "data.max_train_images",
}


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "evaluate", help="evaluate a checkpoint", description=DESCRIPTION
    )
    add_saved_arguments(parser)
    parser.add_argument("--split", choices=list(_LIMITS), default="test", help="which images")
    parser.add_argument(
        "--beta", type=factor, default=1.0, help="of F-beta: recall counts beta times as much"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there too")
    add_wish_arguments(parser)
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.set_defaults(run=run)


@dataclass(frozen=True, eq=False)
class _Job:
    """What is evaluated, and what was asked about it."""

    saved: Saved
    images: Dataset
    wish: Wish | None
    args: argparse.Namespace

    @property
    def num_classes(self) -> int:
        return self.saved.config.model.num_classes


def run(args: argparse.Namespace) -> int:
    env = RankEnv.from_environ(os.environ)
    saved = open_saved(args.checkpoint, args.overrides)
    images = _images(saved.config.data, args.split)
    job = _Job(saved, images, wish_of(args, images), args)
    context = enter_device(env, saved.config, args.device_target)
    progress = ProgressFile(env.run_dir, context.rank)
    progress.phase("evaluate")
    start = time.perf_counter()
    counted = _count(job, context, progress)
    if context.is_main:
        _tell(job, counted, env.run_dir, eval_s=time.perf_counter() - start)
    progress.phase("done")
    from cifar_dist.runtime.departure import depart

    depart(env, context)
    return 0


def _images(data: DataConfig, split: Split) -> Dataset:
    if split == "validation" and not data.validation_images:
        raise ConfigError(
            "--split validation: the network's recipe holds out no images "
            "(data.validation_images is 0); use --split test"
        )
    images = open_dataset(data, split)
    if len(images) > MAX_IMAGES:
        raise DataError(
            f"{len(images):,} images are more than evaluate can count exactly: "
            f"use at most {MAX_IMAGES:,} ({_LIMITS[split]})"
        )
    return images


def _count(job: _Job, context: DistContext, progress: ProgressFile) -> Counted:
    from cifar_dist.engine.full_evaluation import Share, evaluate_fully
    from cifar_dist.engine.inference import restored_network
    from cifar_dist.engine.step import EvalStep
    from cifar_dist.runtime.collectives import collectives_of

    saved = job.saved
    network = restored_network(
        saved.config, saved.checkpoint, origin=str(saved.path), weights=job.args.weights
    )
    return evaluate_fully(
        EvalStep(network),
        job.images,
        Share(saved.config.eval.batch_size, context.rank, collectives_of(context)),
        num_classes=job.num_classes,
        score_class=job.wish.index if job.wish else None,
        on_batch=progress.alive,
    )


def _tell(job: _Job, counted: Counted, run_dir: Path | None, *, eval_s: float) -> None:
    """Print everything, and write it where it was asked for; rank 0 only."""
    saved, args = job.saved, job.args
    step, epoch = saved.checkpoint.step, saved.checkpoint.epoch
    record = eval_record(counted.tally, job.images.classes, epoch=epoch, step=step, eval_s=eval_s)
    record = replace(record, split=args.split, weights=args.weights)
    observers: list[Observer] = [ConsoleLines(Span(epoch, step, 1))]
    if run_dir is not None:
        observers.append(MetricsFile(RunPaths(run_dir).metrics))
    for observer in observers:
        observer.record(record)
        observer.close()
    names = row_names(job.images.classes, job.num_classes)
    found = report(counted.tally, counted.sums, names, beta=args.beta)
    say(report_table(found))
    place = args.json or (RunPaths(run_dir).report / "evaluation.json" if run_dir else None)
    values = {"checkpoint": str(saved.path), "step": step, "epoch": epoch}
    values |= {"split": args.split, "weights": args.weights, **found.to_json()}
    try:
        if job.wish is not None:
            folder = place.parent if place else Path()
            values["decision"] = decide(job.wish, counted.scores, job.images.labels, folder)
    finally:  # a wish that nothing fulfils takes no number away
        if place is not None:
            write_json(place, values)
