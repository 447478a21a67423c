"""The recipe: every section and key, with its type, bounds, default and meaning.

The descriptions here are the documentation and the JSON Schema. Sections are closed (an unknown key
is an error), frozen and strict: ``true`` is no number, ``3.0`` no whole number, ``3`` is a float.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from cifar_dist.config.data_keys import DataConfig
from cifar_dist.config.section import Section
from cifar_dist.config.training_keys import OptimizerConfig, ScheduleConfig, TrainConfig

__all__ = [
    "CheckpointConfig",
    "Config",
    "DataConfig",
    "EvalConfig",
    "ModelConfig",
    "MonitorConfig",
    "OptimizerConfig",
    "ScheduleConfig",
    "Section",
    "TrainConfig",
    "sections",
]

FALLING = ("cosine", "poly", "one_cycle")
"""Schedules that end at schedule.final_lr."""


class ModelConfig(Section):
    """Which network is trained."""

    name: str = Field(
        min_length=1, max_length=100, description="A name that 'python -m cifar_dist models' lists."
    )
    num_classes: int = Field(
        default=10,
        ge=10,
        le=100_000,
        description="Outputs of the network; CIFAR-10 has 10 classes, CIFAR-100 has 100.",
    )
    zero_init_last_gamma: bool = Field(
        default=False,
        description="Start the last batch norm of each residual block at 0, so that blocks begin "
        "as the identity (arXiv 1706.02677).",
    )
    width: float | None = Field(
        default=None,
        gt=0,
        le=16,
        description="Channels of all hidden layers, times this; VGG, ResNets, Inception. null: 1.",
    )
    shortcut: Literal["A", "B"] | None = Field(
        default=None,
        description="resnet20 to resnet110: where the shape changes, A pads with zeros, B projects "
        "by a 1x1 convolution (arXiv 1512.03385, section 3.3). null: A.",
    )
    reduction: int | None = Field(
        default=None,
        ge=1,
        le=1024,
        description="Networks with 'se' in front: by how much an excitation narrows the channels "
        "(arXiv 1709.01507). null: 16.",
    )
    relu_between_dense: bool | None = Field(
        default=None,
        description="lenet5: a ReLU after each hidden dense layer. null: true.",
    )
    whitening_images: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Put a frozen 2x2 convolution in front of the network that whitens patches of "
        "the images, found from so many training images (arXiv 2404.00498). null: none; those of "
        "the speed family have one in any case, from 5,000 images.",
    )

    @property
    def options(self) -> dict[str, Any]:
        """What the recipe asks of the network beside its name and size, by argument."""
        own = {"name", "num_classes", "whitening_images"}
        given = self.model_dump(exclude=own, exclude_none=True)
        if self.whitening_images is not None:
            given["whitening"] = True
        if not self.zero_init_last_gamma:
            del given["zero_init_last_gamma"]
        return given


class EvalConfig(Section):
    """When and how the test images are counted."""

    interval_epochs: int = Field(
        default=1,
        ge=1,
        description="Evaluate after every so many epochs, and after the last step.",
    )
    in_mid_epoch: bool = Field(
        default=True,
        description="Evaluate after the last step also where train.max_steps ends the run within "
        "an epoch; false: a debug run of a large network ends at once.",
    )
    batch_size: int = Field(
        default=200, ge=1, le=65_536, description="Images per rank and evaluation step."
    )
    flip_average: bool = Field(
        default=False,
        description="After the last step also count with the mean of the logits of each image and "
        "its mirror image: a second number, beside the plain one.",
    )


class CheckpointConfig(Section):
    """When the state is saved; always at the end, and when a signal ends the run."""

    interval_steps: int | None = Field(
        default=None, ge=1, description="Also after every so many steps."
    )
    interval_epochs: int | None = Field(
        default=1, ge=1, description="After every so many epochs. null: not by epochs."
    )
    keep: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="How many of the newest checkpoints stay, beside the one of the best accuracy.",
    )


MOST_PROFILED_STEPS = 100


def first_and_last(
    profile_steps: str | None, *, total: int | None = None
) -> tuple[int, int] | None:
    """Return the first and the last step to be profiled; None where none are.

    Args:
        profile_steps: as in a recipe.
        total: steps of the run, where they are known.

    Raises:
        ValueError: that is no such range, or the run does not have these steps.
    """
    if profile_steps is None:
        return None
    words = profile_steps.split(":")
    if len(words) == 2 and all(word.isascii() and word.isdecimal() for word in words):
        first, last = map(int, words)
        is_short = last - first < MOST_PROFILED_STEPS
        if 2 <= first <= last and is_short and (total is None or last <= total):
            return first, last
    end = "" if total is None else f" <= {total}, which the run has"
    raise ValueError(
        f"'monitor.profile_steps' ({profile_steps}) is not allowed: it must be FIRST:LAST, such as "
        f"10:15, with 2 <= FIRST <= LAST{end}; at most {MOST_PROFILED_STEPS} steps; both are "
        "included, and step 1 compiles"
    )


class MonitorConfig(Section):
    """What is reported while training."""

    log_interval: int = Field(
        default=20, ge=1, description="Steps between two lines on the screen and in metrics.jsonl."
    )
    tensorboard: bool = Field(default=True, description="Write TensorBoard events into tb/.")
    health_interval_s: float | None = Field(
        default=10.0,
        ge=1,
        le=3600,
        description="Seconds between two looks at processor, memory, disk, network and NPUs of "
        "rank 0's host, for TensorBoard. null: none.",
    )
    profile_steps: str | None = Field(
        default=None,
        description="FIRST:LAST, such as '10:15': MindSpore's profile of these steps of every rank "
        "goes into profile/ of the run directory. From 2, for the first step compiles; at most 100 "
        "steps.",
    )
    drift_interval_steps: int | None = Field(
        default=500,
        ge=1,
        description="Steps between two checks that all weights are finite and the same bits on all "
        "ranks, which are also made before each checkpoint. null: never.",
    )
    on_bad_numbers: Literal["stop", "skip"] = Field(
        default="stop",
        description="What follows a loss that is not finite or explodes. stop: the run ends with a "
        "report of the batch. skip: it goes back to the last checkpoint before, and leaves that "
        "batch out. Weights that are not finite or not equal on all ranks always end the run.",
    )
    left_out_limit: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="With on_bad_numbers: skip so many batches may be left out; one more ends the "
        "run.",
    )
    explosion_factor: float | None = Field(
        default=None,
        gt=1,
        le=1e6,
        description="A loss so many times the median of the last 20 reports, and above that of "
        "guessing, is an explosion. null: none is; a loss may rise a lot and yet fall again.",
    )
    skipped_steps_limit: int = Field(
        default=30,
        ge=1,
        description="So many steps in a row without an update for overflow are wrong: from the "
        "largest loss scale to 1 it takes 24.",
    )

    @model_validator(mode="after")
    def _fits(self) -> MonitorConfig:
        first_and_last(self.profile_steps)
        return self


class Config(Section):
    """A whole recipe."""

    model: ModelConfig
    data: DataConfig = Field(default_factory=lambda: DataConfig.model_validate({}))
    train: TrainConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig = ScheduleConfig()
    eval: EvalConfig = EvalConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    monitor: MonitorConfig = MonitorConfig()

    @model_validator(mode="after")
    def _fits(self) -> Config:
        if self.schedule.warmup_epochs > self.train.epochs:
            raise ValueError(
                f"'schedule.warmup_epochs' ({self.schedule.warmup_epochs:g}) is longer than "
                f"'train.epochs' ({self.train.epochs}): the learning rate would never be reached"
            )
        if self.data.source == "cifar100" and self.model.num_classes < 100:
            raise ValueError(
                f"'model.num_classes' ({self.model.num_classes}) is below the 100 classes of "
                "data.source=cifar100: set model.num_classes=100"
            )
        ends = {"initial_lr": self.schedule.initial_lr}
        if self.schedule.name in FALLING:
            ends["final_lr"] = self.schedule.final_lr
        for key, value in ends.items():
            if value > self.optimizer.lr:
                raise ValueError(
                    f"'schedule.{key}' ({value:g}) is above 'optimizer.lr' "
                    f"({self.optimizer.lr:g}): that is the peak"
                )
        return self


def sections() -> dict[str, type[Section]]:
    """Return the class of each section by its name, in the order of a recipe."""
    found = {}
    for name, field in Config.model_fields.items():
        assert isinstance(field.annotation, type)
        assert issubclass(field.annotation, Section)
        found[name] = field.annotation
    return found
