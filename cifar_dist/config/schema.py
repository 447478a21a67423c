"""The recipe: every section and key, with its type, bounds, default and meaning.

The descriptions here are the documentation and the JSON Schema. Sections are closed (an unknown key
is an error), frozen and strict: ``true`` is no number, ``3.0`` no whole number, ``3`` is a float.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

DEFAULT_GLOBAL_BATCH_SIZE = 128


class Section(BaseModel):
    """What all sections share."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ModelConfig(Section):
    """Which network is trained."""

    name: str = Field(
        min_length=1, max_length=100, description="A name that 'python -m cifar_dist models' lists."
    )
    num_classes: int = Field(
        default=10,
        ge=10,
        le=100_000,
        description="Outputs of the network; CIFAR-10 has 10 classes.",
    )
    zero_init_last_gamma: bool = Field(
        default=False,
        description="Start the last batch norm of each residual block at 0, so that blocks begin "
        "as the identity (arXiv 1706.02677).",
    )


class DataConfig(Section):
    """Where the images come from, how many make a batch, how they are augmented."""

    dir: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the binary CIFAR-10, or its parent; relative to the working folder. "
        "null: data/cifar-10-batches-bin.",
    )
    source: Literal["auto", "cifar10", "synthetic"] = Field(
        default="auto",
        description="cifar10: the real images; auto: the same, as the folder shows its kind; "
        "synthetic: ten learnable classes, made without a file. Nothing falls back to synthetic.",
    )
    download: bool | None = Field(
        default=None,
        description="Fetch the official archive where the images are missing. "
        "null: only if data.dir is null.",
    )
    batch_size: int | None = Field(
        default=None,
        ge=1,
        le=65_536,
        description="Images per rank and step: the global batch grows with the ranks.",
    )
    global_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1_048_576,
        description="Images per step over all ranks, divided evenly. Give this or batch_size; "
        f"with neither it is {DEFAULT_GLOBAL_BATCH_SIZE}.",
    )
    random_crop_padding: int = Field(
        default=4,
        ge=0,
        le=16,
        description="Zero pixels around a training image before the 32x32 crop; 0: no crop.",
    )
    random_flip: bool = Field(
        default=True,
        description="Mirror each training image left to right with probability one half.",
    )
    max_train_images: int | None = Field(
        default=None, ge=1, description="Use only the first so many training images; null: all."
    )
    max_test_images: int | None = Field(
        default=None, ge=1, description="Use only the first so many test images; null: all."
    )
    synthetic_train_images: int = Field(
        default=2048,
        ge=10,
        le=1_000_000,
        description="Training images that data.source=synthetic makes.",
    )
    synthetic_test_images: int = Field(
        default=512,
        ge=10,
        le=1_000_000,
        description="Test images that data.source=synthetic makes.",
    )

    @model_validator(mode="before")
    @classmethod
    def _fill_batch(cls, given: Any) -> Any:
        keys = ("batch_size", "global_batch_size")
        if isinstance(given, dict) and all(given.get(key) is None for key in keys):
            return {**given, "global_batch_size": DEFAULT_GLOBAL_BATCH_SIZE}
        return given

    @model_validator(mode="after")
    def _one_batch(self) -> DataConfig:
        if self.batch_size is not None and self.global_batch_size is not None:
            raise ValueError(
                f"'data.batch_size' ({self.batch_size}, per rank) and 'data.global_batch_size' "
                f"({self.global_batch_size}, over all ranks) are both given: keep one of them"
            )
        return self


class TrainConfig(Section):
    """How long, in which precision and from which seed."""

    epochs: int = Field(ge=1, le=100_000, description="Passes over the training images.")
    max_steps: int | None = Field(
        default=None,
        ge=1,
        description="End after so many steps even within an epoch; null: no limit.",
    )
    amp: Literal["O0", "O2", "O3"] = Field(
        default="O0",
        description="Mixed precision. O0: float32; O2: train.dtype except batch norm and loss; "
        "O3: train.dtype throughout.",
    )
    dtype: Literal["float16", "bfloat16"] = Field(
        default="float16", description="The low precision of O2 and O3."
    )
    loss_scale: Literal["dynamic"] | Annotated[float, Field(gt=0, le=2.0**32)] = Field(
        default="dynamic",
        description="A fixed factor, or 'dynamic': found while training at O2 and O3 with float16, "
        "1 where float32 or bfloat16 needs none.",
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="Share of the target spread evenly over all classes."
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Weights, order and augmentation follow from it, never from the rank.",
    )
    mode: Literal["graph", "pynative"] = Field(
        default="graph", description="graph: compiled, fast; pynative: step by step, for debugging."
    )

    @property
    def effective_loss_scale(self) -> Literal["dynamic"] | float:
        """What the step applies: 'dynamic' only where float16 makes it worth its cost."""
        needs_none = self.amp == "O0" or self.dtype == "bfloat16"
        return 1.0 if self.loss_scale == "dynamic" and needs_none else self.loss_scale


class OptimizerConfig(Section):
    """How weights are updated."""

    name: Literal["momentum"] = Field(default="momentum", description="SGD with momentum.")
    lr: float = Field(
        gt=0, le=1000, description="Peak learning rate, for the global batch as it stands."
    )
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="Share of the last update that is kept."
    )
    nesterov: bool = Field(default=False, description="Look ahead along the momentum.")
    weight_decay: float = Field(
        default=0.0, ge=0, le=1, description="L2 factor added to the gradient."
    )
    decay_norm_and_bias: bool = Field(
        default=False,
        description="Let weight decay also pull on biases and on the gamma and beta of norms.",
    )


class ScheduleConfig(Section):
    """How the learning rate changes over the run."""

    name: Literal["constant", "cosine"] = Field(
        default="cosine", description="constant: optimizer.lr; cosine: from it down to final_lr."
    )
    warmup_epochs: float = Field(
        default=0.0,
        ge=0,
        description="Epochs of linear growth from 0 to optimizer.lr; parts allowed.",
    )
    final_lr: float = Field(default=0.0, ge=0, le=1000, description="Where the cosine ends.")


class EvalConfig(Section):
    """When and how the test images are counted."""

    interval_epochs: int = Field(
        default=1,
        ge=1,
        description="Evaluate after every so many epochs; always after the last step.",
    )
    batch_size: int = Field(
        default=200, ge=1, le=65_536, description="Images per rank and evaluation step."
    )


class CheckpointConfig(Section):
    """When the state is saved; always at the end."""

    interval_steps: int | None = Field(
        default=None, ge=1, description="Also after every so many steps."
    )
    interval_epochs: int | None = Field(
        default=None, ge=1, description="Also after every so many epochs."
    )
    keep: int = Field(
        default=3, ge=1, le=1000, description="How many of the newest checkpoints stay."
    )


class MonitorConfig(Section):
    """What is reported while training."""

    log_interval: int = Field(
        default=20, ge=1, description="Steps between two lines on the screen and in metrics.jsonl."
    )
    tensorboard: bool = Field(default=True, description="Write TensorBoard events into tb/.")


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
        if self.schedule.name == "cosine" and self.schedule.final_lr > self.optimizer.lr:
            raise ValueError(
                f"'schedule.final_lr' ({self.schedule.final_lr:g}) is above 'optimizer.lr' "
                f"({self.optimizer.lr:g}): a cosine falls from optimizer.lr to final_lr"
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
