"""What may change between a checkpoint and the run that goes on from it."""

from __future__ import annotations

import pytest

from cifar_dist.checkpoint.position import Position, Recent, Results, SavedBest
from cifar_dist.checkpoint.rules import changes, check_same_run, recipe_sha256
from cifar_dist.config import Config, find_recipe, load_config
from cifar_dist.errors import CheckpointError


def recipe(*overrides: str) -> Config:
    return load_config(find_recipe("lenet5"), overrides).config


def position(world_size: int = 2, global_batch_size: int = 64) -> Position:
    return Position(
        seed=0,
        world_size=world_size,
        global_batch_size=global_batch_size,
        recipe_sha256=recipe_sha256(recipe()),
        train_s=1.5,
        results=Results(last={"last": 0.5}, best=0.6, best_saved=SavedBest(step=3, accuracy=0.6)),
        recent=Recent(losses=[2.5, 2.25], skipped_in_a_row=1, skipped_steps=3),
        is_planned=True,
        is_evaluation_due=False,
    )


FREE = (
    "train.epochs=40",
    "train.max_steps=7",
    "train.accumulation_steps=2",
    "eval.batch_size=7",
    "checkpoint.keep=1",
    "monitor.log_interval=1",
    "data.dir=/elsewhere",
    "data.source=cifar10",
    "data.batch_size=32",
)


@pytest.mark.parametrize("change", FREE)
def test_what_does_not_decide_the_weights_may_change(change: str) -> None:
    now = recipe(change)
    check_same_run(recipe(), now, position=position(), global_batch_size=64, origin="here")
    assert recipe_sha256(now) == recipe_sha256(recipe())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("model.name=resnet20", "model.name: lenet5 in the checkpoint, resnet20 now"),
        ("train.seed=1", "train.seed"),
        ("train.amp=O2", "train.amp"),
        ("optimizer.lr=0.5", "optimizer.lr: 0.02 in the checkpoint, 0.5 now"),
        ("schedule.name=constant", "schedule.name"),
        ("data.flip=none", "data.flip"),
        ("train.ema_decay=0.9", "train.ema_decay: null in the checkpoint, 0.9 now"),
    ],
)
def test_what_decides_the_weights_is_refused_by_name(change: str, named: str) -> None:
    now = recipe(change)
    with pytest.raises(CheckpointError, match=named):
        check_same_run(recipe(), now, position=position(), global_batch_size=64, origin="here")
    assert recipe_sha256(now) != recipe_sha256(recipe())


def test_all_that_differs_is_named_at_once() -> None:
    now = recipe("train.seed=1", "optimizer.lr=0.5")
    with pytest.raises(CheckpointError, match=r"(?s)optimizer.lr.*train.seed.*global batch: 64"):
        check_same_run(recipe(), now, position=position(), global_batch_size=32, origin="here")


def test_other_ranks_with_the_same_batch_go_on_and_are_told() -> None:
    found = list(changes(recipe(), recipe(), position=position(2), world_size=3))
    assert len(found) == 1
    assert found[0].startswith("2 ranks before, 3 now")


def test_a_longer_run_is_told_of_its_rates() -> None:
    found = list(changes(recipe(), recipe("train.epochs=40"), position=position(), world_size=2))
    assert found == ["train.epochs 20 before, 40 now; the learning rates follow it"]


def test_a_position_comes_back_from_json() -> None:
    assert Position.of(position().model_dump(mode="json"), origin="here") == position()


@pytest.mark.parametrize("change", [{"world_size": 0}, {"train_s": "x"}, {"results": None}])
def test_a_position_that_is_none_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(CheckpointError, match=next(iter(change))):
        Position.of({**position().model_dump(mode="json"), **change}, origin="here")


def test_a_checkpoint_of_weights_alone_cannot_be_continued() -> None:
    with pytest.raises(CheckpointError, match="only evaluated"):
        Position.of({}, origin="here")


def test_results_know_the_best_of_all_and_the_best_that_is_saved() -> None:
    results = Results().plus({"last": 0.5, "ema": 0.9}, saved_step=10)
    results = results.plus({"last": 0.7}, saved_step=None)
    results = results.plus({"last": 0.6}, saved_step=30)
    results = results.plus({"last": 0.6}, saved_step=40)
    assert results == Results(
        last={"last": 0.6}, best=0.7, best_saved=SavedBest(step=30, accuracy=0.6)
    )
