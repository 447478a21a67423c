"""``cifar_dist train``: one rank of a training run, or the whole of it on a single card."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_dist.checkpoint.choose import NONE
from cifar_dist.commands.check import check_profile, check_recipe
from cifar_dist.commands.describe import describe
from cifar_dist.commands.go_on import lines_to_go_on
from cifar_dist.config import Recipe, find_recipe, load_config
from cifar_dist.config.schema import first_and_last
from cifar_dist.data.source import open_dataset, prepare, split_for_training
from cifar_dist.errors import BadNumbersError
from cifar_dist.observe.console import compiled_line, say
from cifar_dist.observe.progress import ProgressFile
from cifar_dist.observe.records import Observer
from cifar_dist.observe.start_times import StartTimes
from cifar_dist.peers import Peers
from cifar_dist.run_folder import RunFolder, locate_run
from launcher.contract import RankEnv

if TYPE_CHECKING:
    from cifar_dist.engine.start import Start
    from cifar_dist.engine.task import TrainTask
    from cifar_dist.runtime.context import DistContext
    from cifar_dist.runtime.stop import StopRequest

DESCRIPTION = """Train one network on CIFAR-10. Without a launcher: the single-card debug run;
'python -m launcher --nproc N --config RECIPE' starts one such process per device."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser("train", help="train a recipe", description=DESCRIPTION)
    parser.add_argument("--config", required=True, metavar="RECIPE", help="a path, or a name")
    parser.add_argument("--run-dir", type=Path, help="default: runs/<recipe>/<time>")
    parser.add_argument("--device-target", choices=["Ascend", "CPU", "auto"], default="auto")
    parser.add_argument(
        "--resume",
        metavar="auto|PATH|none",
        help="go on from the newest whole checkpoint of --run-dir (auto: begin anew where there is "
        "none), or from that of another run directory, or from one checkpoint",
    )
    parser.add_argument("overrides", nargs="*", metavar="section.key=value")
    parser.set_defaults(run=run)


def run(
    args: argparse.Namespace, *, more_observers: Callable[[], Sequence[Observer]] = list
) -> int:
    """Run one rank; rank 0 calls ``more_observers`` for who is told of records beside the usual."""
    times = StartTimes()
    env = RankEnv.from_environ(os.environ)
    recipe = load_config(find_recipe(args.config), args.overrides)
    config = recipe.config
    check_recipe(config, env.world_size)
    folder = locate_run(env, recipe, wanted=args.run_dir)
    if folder.is_ours:
        prepare(config.data)
    train_set = open_dataset(config.data, "train")
    check_profile(config, env.world_size, num_images=len(train_set))
    eval_set = open_dataset(config.data, split_for_training(config.data))
    times.ends("data")

    with _collector_off():
        from cifar_dist.engine.task import build_train_task
        from cifar_dist.runtime.context import check_precision, choose_target, enter
        from cifar_dist.runtime.departure import depart
        from cifar_dist.runtime.stop import dies_by, listening

    target = choose_target(
        env.device_target if args.device_target == "auto" else args.device_target
    )
    check_precision(config.train, target)
    times.ends("import")
    context = enter(env, mode=config.train.mode, device_target=target)
    times.ends("cluster")
    asked = args.resume or env.resume
    if context.is_main:
        folder.check_unused(resume=asked)

    def last_words(number: int, farewell: str | None) -> None:
        nothing = f"stopped by {signal.Signals(number).name}, without a step to save"
        say(farewell or nothing, stream=sys.stderr)
        if context.is_main:
            folder.write_end(recipe, 128 + dies_by(number))

    peers = Peers(folder.paths.events, env.attempt)
    with listening(is_alone=peers.have_ended, last_words=last_words) as stop:
        first_step = _on_first_step(context, times)
        progress = ProgressFile(folder.paths.root, context.rank, on_first_step=first_step)
        progress.phase("build")
        task = build_train_task(config, context, train_set, eval_set)
        times.ends("build")
        task.spent.start_s = times.parts_s
        rank = _Rank(recipe, folder, context, train_set.origin, stop, asked, more_observers)
        del train_set  # the task has its own, padded: 154 MB less while it trains
        _run_rank(rank, task, progress)
    depart(env, context)
    return 0


@contextmanager
def _collector_off() -> Iterator[None]:
    """Collect no garbage within the block: a tenth of the time that MindSpore takes to import."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@dataclass(frozen=True, eq=False)
class _Rank:
    """What one rank of a run has, once it has joined the group.

    ``images_from`` says where the training images come from, ``asked`` where to start: "none",
    "auto" or a path.
    """

    recipe: Recipe
    folder: RunFolder
    context: DistContext
    images_from: str
    stop: StopRequest
    asked: str
    more_observers: Callable[[], Sequence[Observer]]

    @property
    def goes_on(self) -> bool:
        return self.asked != NONE

    def observers(self, task: TrainTask) -> list[Observer]:
        """Return those to whom rank 0 tells what happens."""
        if not self.context.is_main:
            return []
        from cifar_dist.commands.observers import open_observers

        return [*open_observers(task, self.folder.paths), *self.more_observers()]


def _run_rank(rank: _Rank, task: TrainTask, progress: ProgressFile) -> None:
    """Find the start, and train; only rank 0 reports and writes."""
    from cifar_dist.engine.start import agree_on_start, take_up

    folder, context = rank.folder, rank.context
    start = agree_on_start(task, rank.asked, folder.paths, say=say)
    if not context.is_main:
        if start is None or not start.is_finished:
            _train(rank, task, progress, start)
        return
    if start is not None and start.is_finished:
        _say_finished(folder, start)
        return
    with folder.recorded(rank.recipe):
        if rank.goes_on:
            take_up(folder.paths, start)
        for line in describe(task, folder.paths, images_from=rank.images_from):
            say(line)
        say("compiling")
        _train(rank, task, progress, start)
    _say_next(folder, context.world_size)


def _on_first_step(context: DistContext, times: StartTimes) -> Callable[[float], None]:
    """Return what tells of the first step; only rank 0 does."""
    if context.is_main:
        return lambda seconds: say(compiled_line(seconds, before_s=times.parts_s))
    return lambda seconds: None


def _train(rank: _Rank, task: TrainTask, progress: ProgressFile, start: Start | None) -> None:
    """Train, and go back where the numbers went wrong and the recipe wants it."""
    from cifar_dist.engine.retreat import Retreat, first_start, with_left_out

    paths = rank.folder.paths
    if rank.goes_on:
        task = with_left_out(task, start, paths.checkpoints)
    may_go_back = rank.recipe.config.monitor.on_bad_numbers == "skip"
    first = first_start(task) if may_go_back and start is None else None
    retreat = Retreat(paths, first, say)
    while True:
        try:
            return _train_from(rank, task, progress, start)
        except BadNumbersError as error:
            rank.stop.busy()
            task, start = retreat.back(task, error)


def _train_from(rank: _Rank, task: TrainTask, progress: ProgressFile, start: Start | None) -> None:
    """Train with all observers, and close them whatever happens."""
    from cifar_dist.engine.outlets import Outlets
    from cifar_dist.engine.trainer import train
    from cifar_dist.runtime.profile import StepProfile

    paths = rank.folder.paths
    with ExitStack() as closing:
        observers = rank.observers(task)
        for observer in observers:
            closing.callback(observer.close)
        outlets = Outlets(observers, progress, paths.checkpoints, paths.report)
        closing.callback(outlets.settle)
        profile = StepProfile(
            first_and_last(rank.recipe.config.monitor.profile_steps),
            paths.profile,
            rank=rank.context.rank,
            say=say if rank.context.is_main else lambda text: None,
        )
        try:
            train(task, outlets, start, rank.stop, profile)
        except BadNumbersError:
            profile.close()  # a run that goes back may come to its steps again
            raise


def _say_finished(folder: RunFolder, start: Start) -> None:
    say(
        f"the run in {_short(folder.paths.root)} is finished: it has all {start.step} steps; "
        "a larger train.epochs or train.max_steps goes on"
    )


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _say_next(folder: RunFolder, world_size: int) -> None:
    shown = _short(folder.paths.root)
    say("what to do next:")
    say(f"  python -m launcher report {shown}")
    say(f"  tensorboard --logdir {shown}/tb")
    for line in lines_to_go_on(folder.paths.manifest, shown, world_size=world_size):
        say(f"  {line}")
