"""The two compiled graphs of a run: one training step, one evaluation step.

Bytes come in, N images of 3 channels, 32 rows and 32 columns [N, 3, 32, 32]; they are normalised
in the graph, so that a quarter of a float's bytes cross to the device. No step waits for the
device: results stay there until somebody reads them.
"""

from __future__ import annotations

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor, amp, nn, ops
from numpy.typing import NDArray

from cifar_dist.config.schema import Config
from cifar_dist.data.augment import MEAN_RGB, STD_RGB
from cifar_dist.data.batches import AnyBatch, DrawnBatch
from cifar_dist.engine.adamw import AdamW
from cifar_dist.engine.assign import assign
from cifar_dist.engine.average import average_over_ranks
from cifar_dist.engine.cross_entropy import CrossEntropy
from cifar_dist.engine.gradients import Gradients, add, clip, finite_test, scale
from cifar_dist.engine.lookahead import Lookahead
from cifar_dist.engine.momentum import Momentum
from cifar_dist.engine.parameter_groups import group_weights
from cifar_dist.engine.weight_average import WeightAverage

FIRST_LOSS_SCALE = 2.0**16
LARGEST_LOSS_SCALE = 2.0**24
STEPS_TO_GROW = 1000
OPTIMIZERS: dict[str, type[Momentum] | type[AdamW]] = {"momentum": Momentum, "adamw": AdamW}


class Normalise(nn.Cell):
    """uint8[N, 3, H, W] -> float32 of the same shape: mean 0 and deviation 1 per channel."""

    def __init__(self) -> None:
        super().__init__()
        mean, std = np.array([MEAN_RGB, STD_RGB], dtype=np.float32).reshape(2, 1, 3, 1, 1)
        self.scale = Tensor(1 / (255 * std))
        self.shift = Tensor(-mean / std)

    def construct(self, images_nchw: Tensor) -> Tensor:
        return ops.cast(images_nchw, ms.float32) * self.scale + self.shift


def step_inputs(batch: AnyBatch) -> tuple[Tensor, ...]:
    """Return what a training step takes of a batch.

    Images uint8[B, 3, 32, 32], or float32 and normalised (data.loader), and labels int32[B]; where
    images are mixed also their partners' labels int32[B] and the share of their own float32[B].
    Of images that lie on the device their table int32[B, 8], and labels.
    """
    if isinstance(batch, DrawnBatch):
        return Tensor(batch.table), Tensor(batch.labels)
    arrays = (batch.images_nchw, batch.labels, batch.partner_labels, batch.share)
    return tuple(Tensor(array) for array in arrays if array is not None)


class TrainStep(nn.Cell):
    """One optimizer step: forward, backward, average over ranks, unscale, update.

    The loss is multiplied before the backward pass and the gradients divided after their average,
    so that float16 gradients do not vanish (arXiv 1710.03740). A gradient that is not finite on
    one rank is so on all after the average: every rank skips the same update without asking. A
    dynamic scale halves then, and doubles after 1,000 updates in a row.

    Args:
        network: float images -> logits, in its precision.
        config: the recipe.
        rates: float32[steps], the learning rate of each step of the run.
        world_size: number of ranks that average their gradients.
        device_images: makes images of what a batch has in their place (data.placement).
    """

    def __init__(
        self,
        network: nn.Cell,
        config: Config,
        rates: NDArray[np.float32],
        world_size: int,
        *,
        device_images: nn.Cell | None = None,
    ) -> None:
        super().__init__(auto_prefix=False)
        train = config.train
        asked = train.effective_loss_scale
        self.is_dynamic = asked == "dynamic"
        self.checks_overflow = train.amp != "O0" or asked != 1
        self.are_finite = finite_test()
        self.takes_floats = config.data.loader != "project"
        self.network = network
        self.normalise = Normalise() if config.data.loader == "project" else nn.Identity()
        self.device_images = nn.Identity() if device_images is None else device_images
        self.mixes = config.data.mixup_alpha > 0 or config.data.cutmix_alpha > 0
        self.losses = CrossEntropy(train.label_smoothing)
        groups = group_weights(
            network.trainable_params(),
            rates,
            config.optimizer,
            steps_per_epoch=len(rates) / train.epochs,
        )
        self.optimizer = OPTIMIZERS[config.optimizer.name](
            network.trainable_params(), config.optimizer, groups.of_weight
        )
        weights = self.optimizer.weights
        self.gradient = ops.value_and_grad(self.scaled_loss, None, weights)
        self.parts = train.accumulation_steps
        self.depend = ops.Depend()
        self.not_a_number = Tensor(float("nan"), ms.float32)
        self.is_alone = world_size == 1
        self.average = nn.Identity() if self.is_alone else average_over_ranks(weights, world_size)
        self.clip_norm = config.optimizer.clip_norm
        self.average_weights: WeightAverage | None = None
        if train.ema_decay is not None:
            self.average_weights = WeightAverage(network, train.ema_decay)
        self.lookahead: Lookahead | None = None
        if train.lookahead_steps is not None:
            self.lookahead = Lookahead(
                network,
                total_steps=len(rates),
                interval=train.lookahead_steps,
                decay=train.lookahead_decay,
            )
        self.rates = tuple(Tensor(course) for course in groups.rates)
        self.last = len(rates) - 1
        scale = FIRST_LOSS_SCALE if self.is_dynamic else float(asked)
        self.loss_scale = Parameter(Tensor(scale, ms.float32), "loss_scale", requires_grad=False)
        self.good_steps = Parameter(Tensor(0, ms.int32), "good_steps", requires_grad=False)
        self.steps = Parameter(Tensor(0, ms.int32), "steps", requires_grad=False)
        self.skipped_steps = Parameter(Tensor(0, ms.int32), "skipped_steps", requires_grad=False)
        self.set_train()

    def scaled_loss(self, images_nchw: Tensor, labels: Tensor, *mixing: Tensor) -> Tensor:
        images = self.normalise(self.device_images(images_nchw))
        logits = ops.cast(self.network(images), ms.float32)
        losses = self.losses(logits, labels)
        if self.mixes:
            share = mixing[1]
            losses = share * losses + (1.0 - share) * self.losses(logits, mixing[0])
        return ops.reduce_mean(losses) * self.loss_scale

    def construct(self, *batch: Tensor) -> Tensor:
        """Take what :func:`step_inputs` returns; return this rank's mean loss, float32[].

        It is NaN where this rank's gradient is not finite, and in a run that may skip steps where
        its images are not: a ReLU on a CPU turns NaN into 0, so that the loss of a NaN image may
        look good.
        """
        if self.parts == 1:
            loss, gradients = self.gradient(*batch)
        else:
            loss, gradients = self.gradient_in_parts(batch)
        if not self.checks_overflow:
            loss = ops.select(self.are_finite(gradients), loss, self.not_a_number)
        elif self.takes_floats:
            loss = ops.select(amp.all_finite((batch[0],)), loss, self.not_a_number)
        if not self.is_alone:
            gradients = self.average(gradients)
        rates = self.rates_now()
        loss = loss / self.loss_scale
        if self.checks_overflow:
            gradients = scale(gradients, 1.0 / self.loss_scale)
            if self.are_finite(gradients):
                self.update(gradients, rates)
                self.grow()
            else:
                self.shrink()
        else:
            self.update(gradients, rates)
        self.steps += 1
        if self.lookahead is not None:
            self.lookahead(self.steps)
        return loss

    def rates_now(self) -> tuple[Tensor, ...]:
        """Return the learning rate of each group of weights at this step."""
        step = ops.minimum(self.steps, self.last)
        rates: tuple[Tensor, ...] = ()
        for course in self.rates:
            rates += (course[step],)
        return rates

    def leave_out(self) -> None:
        """Let a step pass without its batch: only the learning rate goes on."""
        assign(self.steps, np.array(int(self.steps.asnumpy()) + 1, np.int32))

    def gradient_in_parts(self, batch: tuple[Tensor, ...]) -> tuple[Tensor, Gradients]:
        """Return the mean loss and gradients of equal parts of a batch.

        Each part waits for the gradients of the one before it: otherwise the device might keep
        the activations of all of them at once, and nothing would be saved.
        """
        loss, gradients = self.gradient(*self.part(batch, 0))
        for i in range(1, self.parts):
            images, *targets = self.part(batch, i)
            more, others = self.gradient(self.depend(images, gradients), *targets)
            loss = loss + more
            gradients = add(gradients, others)
        return loss / self.parts, scale(gradients, 1.0 / self.parts)

    def part(self, batch: tuple[Tensor, ...], number: int) -> tuple[Tensor, ...]:
        size = batch[0].shape[0] // self.parts
        cut: tuple[Tensor, ...] = ()
        for whole in batch:
            cut += (whole[number * size : (number + 1) * size],)
        return cut

    def update(self, gradients: tuple[Tensor, ...], rates: tuple[Tensor, ...]) -> None:
        if self.clip_norm is not None:
            gradients = clip(gradients, self.clip_norm)
        self.optimizer(gradients, rates)
        if self.average_weights is not None:
            self.average_weights()

    def grow(self) -> None:
        if self.is_dynamic:
            self.good_steps += 1
            if self.good_steps >= STEPS_TO_GROW:
                self.loss_scale = ops.minimum(self.loss_scale * 2.0, LARGEST_LOSS_SCALE)
                self.good_steps = Tensor(0, ms.int32)

    def shrink(self) -> None:
        self.skipped_steps += 1
        if self.is_dynamic:
            self.loss_scale = ops.maximum(self.loss_scale * 0.5, 1.0)
            self.good_steps = Tensor(0, ms.int32)


class EvalStep(nn.Cell):
    """uint8[N, 3, 32, 32], int32[N] -> logits float32[N, C], classes int32[N], losses float32[N].

    The logits are for the pictures of an evaluation; what it counts is made on the device.
    """

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.normalise = Normalise()
        self.losses = CrossEntropy()
        self.set_train(False)

    def construct(self, images_nchw: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits = ops.cast(self.network(self.normalise(images_nchw)), ms.float32)
        return logits, ops.cast(ops.argmax(logits, 1), ms.int32), self.losses(logits, labels)
