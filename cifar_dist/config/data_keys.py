"""The section ``data``: which images, how many at once, how they are seen."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from cifar_dist.config.section import Section

DEFAULT_GLOBAL_BATCH_SIZE = 128


class DataConfig(Section):
    """Where the images come from, how many make a batch, how they are augmented."""

    dir: str | None = Field(
        default=None,
        min_length=1,
        description="Folder of the binary CIFAR-10 or CIFAR-100, or its parent; relative to the "
        "working folder. null: data/cifar-10-batches-bin or data/cifar-100-binary.",
    )
    source: Literal["auto", "cifar10", "cifar100", "synthetic"] = Field(
        default="auto",
        description="cifar10, cifar100: the real images; auto: cifar10; synthetic: ten learnable "
        "classes, made without a file. Nothing falls back to synthetic.",
    )
    download: bool | None = Field(
        default=None,
        description="Fetch the official archive where the images of CIFAR-10 are missing. "
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
    loader: Literal["project", "mindspore"] = Field(
        default="project",
        description="What makes training batches. mindspore: a mindspore.dataset graph (Normalize, "
        "RandomCrop, horizontal flip, HWC2CHW), slower, whose crops depend on the rank. "
        "Evaluation is the project's with both.",
    )
    placement: Literal["host", "device"] = Field(
        default="host",
        description="Where the training images lie. device: in the device's memory, where they are "
        "cropped and mirrored in the graph, as the same draws say; not with mixup and cutmix.",
    )
    random_crop_padding: int = Field(
        default=4,
        ge=0,
        le=16,
        description="Pixels around a training image before the 32x32 crop; 0: no crop.",
    )
    crop_padding_mode: Literal["zeros", "mean", "reflect"] = Field(
        default="zeros",
        description="What these pixels are: zeros (black), the mean colour of CIFAR-10, or the "
        "image mirrored at its border.",
    )
    flip: Literal["none", "random", "alternating"] = Field(
        default="random",
        description="Mirror training images left to right. random: with probability one half; "
        "alternating: so in the first epoch, then the other way in every other epoch "
        "(arXiv 2404.00498).",
    )
    cutout_px: int = Field(
        default=0,
        ge=0,
        le=32,
        description="Side of a square that is blanked in each training image (arXiv 1708.04552); "
        "0: none.",
    )
    mixup_alpha: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Blend each training image with another; the share is Beta(alpha, alpha) "
        "(arXiv 1710.09412); 0: no. With cutmix_alpha too, each image gets one of the two.",
    )
    cutmix_alpha: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Paste a square of another training image into each one; what stays is "
        "Beta(alpha, alpha) (arXiv 1905.04899); 0: no.",
    )
    validation_images: int = Field(
        default=0,
        ge=0,
        le=1_000_000,
        description="Hold out so many training images, equally of all classes, and evaluate on "
        "them while training: the test images are left alone. 0: evaluate on the test images.",
    )
    validation_seed: int = Field(
        default=0,
        ge=0,
        le=2**32 - 1,
        description="Which images are held out; train.seed has no say in it.",
    )
    max_train_images: int | None = Field(
        default=None,
        ge=1,
        description="Use only the first so many training images of those not held out; null: all.",
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
    def _loader_can(self) -> DataConfig:
        if self.loader == "project":
            return self
        if self.random_crop_padding and self.crop_padding_mode != "mean":
            raise ValueError(
                f"'data.crop_padding_mode' ({self.crop_padding_mode}) is not what "
                "data.loader=mindspore can do: it normalises before it crops, so that the border "
                "is the mean colour: set data.crop_padding_mode=mean"
            )
        wanted = {
            "flip": self.flip == "alternating",
            "cutout_px": self.cutout_px > 0,
            "mixup_alpha": self.mixup_alpha > 0,
            "cutmix_alpha": self.cutmix_alpha > 0,
        }
        for key in (key for key, is_wanted in wanted.items() if is_wanted):
            raise ValueError(
                f"'data.{key}' ({getattr(self, key)}) is not what data.loader=mindspore can do: "
                "leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _placement_can(self) -> DataConfig:
        if self.placement == "host":
            return self
        wanted = {
            "loader": self.loader != "project",
            "mixup_alpha": self.mixup_alpha > 0,
            "cutmix_alpha": self.cutmix_alpha > 0,
        }
        for key in (key for key, is_wanted in wanted.items() if is_wanted):
            raise ValueError(
                f"'data.{key}' ({getattr(self, key)}) is not what data.placement=device can do: "
                "leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _one_batch(self) -> DataConfig:
        if self.batch_size is not None and self.global_batch_size is not None:
            raise ValueError(
                f"'data.batch_size' ({self.batch_size}, per rank) and 'data.global_batch_size' "
                f"({self.global_batch_size}, over all ranks) are both given: keep one of them"
            )
        return self
