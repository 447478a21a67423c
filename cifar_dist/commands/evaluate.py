"""``cifar_dist evaluate``: count every test image once with a saved network, on any rank count."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from cifar_dist.checkpoint.store import CONFIG, find_checkpoint, load_checkpoint
from cifar_dist.config import load_config
from cifar_dist.data.source import open_dataset
from cifar_dist.observe.confusion_table import confusion_table
from cifar_dist.observe.console import ConsoleLines, Span, say
from cifar_dist.observe.metrics_file import MetricsFile
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.observe.records import Observer
from launcher.contract import RankEnv, RunPaths

DESCRIPTION = """Evaluate a checkpoint with the recipe it was trained with. On several ranks:
'python -m launcher --nproc N -- -m cifar_dist evaluate RUN_DIR'; the numbers are the same."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "evaluate", help="evaluate a checkpoint", description=DESCRIPTION
    )
    parser.add_argument(
        "checkpoint", type=Path, help="a run directory (its newest checkpoint) or ckpt/step_*"
    )
    parser.add_argument("--device-target", choices=["Ascend", "CPU", "auto"], default="auto")
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    env = RankEnv.from_environ(os.environ)
    path = find_checkpoint(args.checkpoint)
    checkpoint = load_checkpoint(path)
    config = load_config(path / CONFIG, args.overrides).config
    test_set = open_dataset(config.data, "test")

    from cifar_dist.engine.state import load_network
    from cifar_dist.engine.task import build_eval_task
    from cifar_dist.engine.trainer import Outlets, run_evaluation
    from cifar_dist.runtime.context import check_precision, choose_target, enter

    target = choose_target(
        env.device_target if args.device_target == "auto" else args.device_target
    )
    check_precision(config.train, target)
    context = enter(env, mode=config.train.mode, device_target=target)
    task = build_eval_task(config, context, test_set)
    load_network(task.network, checkpoint, origin=str(path))
    observers: list[Observer] = []
    if context.is_main:
        observers.append(ConsoleLines(Span(checkpoint.epoch, checkpoint.step, 1)))
        if env.run_dir is not None:
            observers.append(MetricsFile(RunPaths(env.run_dir).metrics))
    progress = ProgressFile(env.run_dir, context.rank)
    outlets = Outlets(observers, progress, path)
    record = run_evaluation(task, outlets, step=checkpoint.step, epoch=checkpoint.epoch)
    progress.phase("done")
    for observer in observers:
        observer.close()
    if context.is_main:
        say(confusion_table(record.confusion_matrix, record.per_class))
    return 0
