"""Everything a run computes with, built from a recipe, the data and the group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from cifar_dist.config.schema import Config
from cifar_dist.data.batches import (
    Batches,
    DrawnBatches,
    EvalBatch,
    TrainBatches,
    eval_batches,
    plan_batches,
)
from cifar_dist.data.cifar_files import Split
from cifar_dist.data.dataset import Dataset
from cifar_dist.data.source import split_for_training
from cifar_dist.engine.device_images import DeviceImages
from cifar_dist.engine.flip_average import FlipAverage
from cifar_dist.engine.graph_batches import GraphBatches
from cifar_dist.engine.meter import Spent
from cifar_dist.engine.precision import apply_precision
from cifar_dist.engine.step import EvalStep, TrainStep
from cifar_dist.engine.whitening import set_whitening
from cifar_dist.models import create_model
from cifar_dist.models.cpu_form import use_cpu_forms
from cifar_dist.runtime.collectives import Collectives, collectives_of
from cifar_dist.runtime.context import DistContext, is_cpu
from cifar_dist.schedule import rates_of_run

LOADERS: dict[str, type[TrainBatches] | type[GraphBatches]] = {
    "project": TrainBatches,
    "mindspore": GraphBatches,
}


@dataclass(frozen=True, eq=False)
class EvalTask:
    """A network and the images that it is evaluated on: ``split`` says which those are.

    ``flip_step`` evaluates it on their mirror images too (eval.flip_average).
    """

    config: Config
    context: DistContext
    group: Collectives
    network: nn.Cell
    step: EvalStep
    images: Dataset
    split: Split = "test"
    flip_step: EvalStep | None = None

    def with_flips(self) -> EvalTask | None:
        """Return the same evaluation with each image's mirror image, where the recipe has one."""
        return replace(self, step=self.flip_step) if self.flip_step is not None else None

    def batches(self) -> Iterator[EvalBatch]:
        return eval_batches(
            self.images,
            batch_size=self.config.eval.batch_size,
            rank=self.context.rank,
            world_size=self.context.world_size,
        )


@dataclass(frozen=True, eq=False)
class TrainTask:
    """A training step, its batches and rates, and the evaluation of the same network.

    ``left_out`` has the steps whose batches are not trained with, and why; ``spent`` grows while
    it is trained.
    """

    step: TrainStep
    batches: Batches
    rates: NDArray[np.float32]
    evaluation: EvalTask
    left_out: Mapping[int, str] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)

    @property
    def total_steps(self) -> int:
        """How many steps the run takes: its epochs, or train.max_steps where that is fewer."""
        train = self.evaluation.config.train
        whole = train.epochs * self.batches.steps_per_epoch
        return whole if train.max_steps is None else min(whole, train.max_steps)

    def trained_steps(self, last: int, count: int) -> list[int]:
        """Return the latest steps up to one that were trained with, as many as wanted."""
        found: list[int] = []
        while len(found) < count:
            if last not in self.left_out:
                found.append(last)
            last -= 1
        return found[::-1]

    def epoch_of(self, step: int) -> int:
        """Return the epoch of a step; both count from 1."""
        return -(-step // self.batches.steps_per_epoch)


def build_eval_task(
    config: Config, context: DistContext, images: Dataset, *, split: Split = "test"
) -> EvalTask:
    """Build a network with the recipe's first weights, and its evaluation.

    Args:
        config: the recipe.
        context: this rank.
        images: all that are evaluated; every rank has all of them and reads its own part.
        split: which images these are.

    Raises:
        ModelError: the recipe's model does not exist or cannot be so.
    """
    raw = create_model(
        config.model.name,
        config.model.num_classes,
        seed=config.train.seed,
        **config.model.options,
    )
    if is_cpu():
        use_cpu_forms(raw)
    network = apply_precision(raw, config.train)
    group = collectives_of(context)
    flip_step = EvalStep(FlipAverage(network)) if config.eval.flip_average else None
    return EvalTask(config, context, group, network, EvalStep(network), images, split, flip_step)


def build_train_task(
    config: Config, context: DistContext, train_set: Dataset, eval_set: Dataset
) -> TrainTask:
    """Build all of a training run.

    Args:
        config: the recipe.
        context: this rank.
        train_set: what is trained on.
        eval_set: of the split that :func:`cifar_dist.data.source.split_for_training` names.

    Raises:
        ModelError: as :func:`build_eval_task`.
        ConfigError: the batches do not fit the data or the group.
    """
    plan = plan_batches(config, rank=context.rank, world_size=context.world_size)
    is_on_device = config.data.placement == "device"
    loader = DrawnBatches if is_on_device else LOADERS[config.data.loader]
    batches = loader(train_set, plan)
    rates = rates_of_run(
        config,
        steps_per_epoch=batches.steps_per_epoch,
        global_batch_size=plan.global_batch_size,
    )
    evaluation = build_eval_task(config, context, eval_set, split=split_for_training(config.data))
    set_whitening(
        evaluation.network,
        train_set,
        evaluation.group,
        images=config.model.whitening_images,
        rank=context.rank,
    )
    images = DeviceImages(train_set.images_nchw, plan.augmentation) if is_on_device else None
    step = TrainStep(evaluation.network, config, rates, context.world_size, device_images=images)
    return TrainTask(step, batches, rates, evaluation)
