"""The sections ``train``, ``optimizer`` and ``schedule``: how the weights are found."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cifar_dist.config.section import Section


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
    accumulation_steps: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Parts in which each rank's batch passes the network, one after another, to "
        "save memory; the update is that of the whole batch. Batch norm sees one part at a time.",
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Also keep a running average of the weights, of which each update keeps this "
        "share, and evaluate it too; young averages keep less. null: none.",
    )
    lookahead_steps: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="Every so many steps let slow weights follow the trained ones, and go on from "
        "them (arXiv 1907.08610). null: no.",
    )
    lookahead_decay: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="The slow weights keep this share per step at the end of the run, and less "
        "before: lookahead_decay^lookahead_steps (step / steps)^3 each time.",
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

    name: Literal["momentum", "adamw"] = Field(
        default="momentum",
        description="momentum: SGD with momentum; adamw: Adam with decoupled weight decay "
        "(arXiv 1711.05101).",
    )
    lr: float = Field(
        gt=0,
        le=1000,
        description="Peak learning rate, for the global batch as it stands or for "
        "lr_for_batch_size.",
    )
    lr_for_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=1_048_576,
        description="The global batch that lr is meant for: all rates grow in proportion to the "
        "real one (arXiv 1706.02677). null: lr as it is.",
    )
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="Share of the last update that is kept."
    )
    nesterov: bool = Field(default=False, description="Look ahead along the momentum.")
    beta1: float = Field(
        default=0.9, ge=0, lt=1, description="adamw: share of the mean gradient that is kept."
    )
    beta2: float = Field(
        default=0.999, ge=0, lt=1, description="adamw: share of the mean square that is kept."
    )
    eps: float = Field(
        default=1e-8, gt=0, le=1, description="adamw: added to the root of the mean square."
    )
    weight_decay: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="momentum: L2 factor added to the gradient; adamw: share of the weights times "
        "the rate that each update takes off.",
    )
    decay_norm_and_bias: bool = Field(
        default=False,
        description="Let weight decay also pull on biases and on the gamma and beta of norms.",
    )
    norm_bias_lr_factor: float = Field(
        default=1.0,
        gt=0,
        le=1000,
        description="What the learning rate is multiplied by for the beta of norms; their weight "
        "decay is divided by it.",
    )
    whitening_bias_epochs: float | None = Field(
        default=None,
        ge=0,
        description="Epochs after which the bias of a whitening layer stays as it is. null: never.",
    )
    clip_norm: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="Shorten the gradient of all weights together to this length where it is "
        "longer. null: never.",
    )

    @model_validator(mode="after")
    def _fits(self) -> OptimizerConfig:
        if self.name == "adamw" and self.nesterov:
            raise ValueError(
                "'optimizer.nesterov' (true) belongs to optimizer.name=momentum: "
                "leave it out, or choose momentum"
            )
        return self


class ScheduleConfig(Section):
    """How the learning rate changes over the run."""

    name: Literal["constant", "cosine", "step", "poly", "one_cycle"] = Field(
        default="cosine",
        description="constant: optimizer.lr; cosine, poly: from it down to final_lr; step: times "
        "factor at each of milestones_epochs; one_cycle: a straight line up over warmup_epochs and "
        "another down to final_lr.",
    )
    warmup_epochs: float = Field(
        default=0.0,
        ge=0,
        description="Epochs of linear growth from initial_lr to optimizer.lr; parts allowed.",
    )
    initial_lr: float = Field(
        default=0.0, ge=0, le=1000, description="Where the warm-up starts; no step has it itself."
    )
    final_lr: float = Field(
        default=0.0, ge=0, le=1000, description="Where cosine, poly and one_cycle end."
    )
    milestones_epochs: list[Annotated[float, Field(gt=0)]] = Field(
        default=[],
        max_length=100,
        description="step: after how many epochs of the run the rate falls, in rising order.",
    )
    factor: float = Field(
        default=0.1, gt=0, le=1, description="step: what the rate is multiplied by at a milestone."
    )
    power: float = Field(
        default=2.0, gt=0, le=10, description="poly: the power of the share of steps that are left."
    )

    @model_validator(mode="after")
    def _fits(self) -> ScheduleConfig:
        given = self.milestones_epochs
        if bool(given) != (self.name == "step"):
            raise ValueError(
                f"'schedule.milestones_epochs' ({given}) and schedule.name={self.name} do not fit: "
                "step needs milestones, such as [100, 150], and no other schedule has any"
            )
        if any(later <= earlier for earlier, later in itertools.pairwise(given)):
            raise ValueError(
                f"'schedule.milestones_epochs' ({given}) must rise from each to the next"
            )
        if self.name == "one_cycle" and self.warmup_epochs == 0:
            raise ValueError(
                "'schedule.warmup_epochs' (0) must be above 0 for schedule.name=one_cycle: "
                "it is how long the rate rises"
            )
        return self
