"""Recipes in the flat form of mindcv: known keys are mapped, all others refused by name.

What mindcv's keys mean stands in its ``config.py``. Two of them mean something else here and are
converted: ``batch_size`` is per device and, with gradient accumulation, per part;
``warmup_factor`` is a share of the peak. A key that is not given has the default of this project.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cifar_dist.config.reader import Document
from cifar_dist.config.render import shown
from cifar_dist.errors import ConfigError

Key = tuple[str, str]

_SAME: Mapping[str, Key] = {
    "seed": ("train", "seed"),
    "log_interval": ("monitor", "log_interval"),
    "val_interval": ("eval", "interval_epochs"),
    "data_dir": ("data", "dir"),
    "dataset_download": ("data", "download"),
    "num_samples": ("data", "max_train_images"),
    "mixup": ("data", "mixup_alpha"),
    "cutmix": ("data", "cutmix_alpha"),
    "model": ("model", "name"),
    "num_classes": ("model", "num_classes"),
    "epoch_size": ("train", "epochs"),
    "amp_level": ("train", "amp"),
    "label_smoothing": ("train", "label_smoothing"),
    "keep_checkpoint_max": ("checkpoint", "keep"),
    "ckpt_save_interval": ("checkpoint", "interval_epochs"),
    "lr": ("optimizer", "lr"),
    "momentum": ("optimizer", "momentum"),
    "use_nesterov": ("optimizer", "nesterov"),
    "weight_decay": ("optimizer", "weight_decay"),
    "eps": ("optimizer", "eps"),
    "min_lr": ("schedule", "final_lr"),
    "warmup_epochs": ("schedule", "warmup_epochs"),
    "multi_step_decay_milestones": ("schedule", "milestones_epochs"),
    "decay_rate": ("schedule", "factor"),
}
"""Keys whose value is taken as it is."""

_WORDS: Mapping[str, tuple[Key, Mapping[Any, Any]]] = {
    "mode": (("train", "mode"), {0: "graph", 1: "pynative"}),
    "dataset": (("data", "source"), {"cifar10": "cifar10", "cifar100": "cifar100"}),
    "hflip": (("data", "flip"), {0: "none", 0.5: "random"}),
    "opt": (("optimizer", "name"), {"momentum": "momentum", "adamw": "adamw"}),
    "scheduler": (
        ("schedule", "name"),
        {
            "constant": "constant",
            "cosine_decay": "cosine",
            "warmup_cosine_decay": "cosine",
            "multi_step_decay": "step",
            "polynomial_decay": "poly",
        },
    ),
    "weight_decay_filter": (
        ("optimizer", "decay_norm_and_bias"),
        {"disable": True, "auto": False, "norm_and_bias": False},
    ),
}
"""Keys whose values have other names here."""

_ONLY: Mapping[str, tuple[Any, ...]] = {
    "aux_factor": (0,),
    "auto_augment": (None,),
    "ckpt_path": ("", None),
    "ckpt_save_policy": ("latest_k",),
    "color_jitter": (None, 0),
    "cutmix_prob": (0, 1),
    "drop_path_rate": (0,),
    "drop_rate": (0,),
    "image_resize": (32,),
    "in_channels": (3,),
    "loss": ("CE",),
    "lr_epoch_stair": (False,),
    "pretrained": (False,),
    "re_prob": (0,),
    "reduction": ("mean",),
    "shuffle": (True,),
    "val_while_train": (True,),
    "vflip": (0,),
}
"""Keys that have no counterpart: the values that ask for what happens anyway."""

_DECIDED_ELSEWHERE = frozenset(
    {
        "ckpt_save_dir",
        "dataset_sink_mode",
        "device_target",
        "distribute",
        "drop_overflow_update",
        "drop_remainder",
        "num_parallel_workers",
        "train_split",
        "val_split",
    }
)
"""Keys that do not change a result and have nothing to choose here: the launcher's options, the
run directory and this project's data loader decide."""

_TOGETHER = frozenset(
    {
        "batch_size",
        "clip_grad",
        "clip_value",
        "decay_epochs",
        "ema",
        "ema_decay",
        "gradient_accumulation_steps",
        "loss_scale",
        "loss_scale_type",
        "warmup_factor",
    }
)
"""Keys that mean something only with one another."""


def is_flat(values: Mapping[str, Any]) -> bool:
    """Tell whether a recipe has mindcv's form: the model is a name, and nothing is a section."""
    flat = not any(isinstance(value, dict) for value in values.values())
    return flat and isinstance(values.get("model"), str)


def convert(document: Document, name: str) -> Document:
    """Return a flat recipe as one of this project's form, each key with the line it came from.

    Args:
        document: for which :func:`is_flat` holds.
        name: of the file, for messages.

    Raises:
        ConfigError: keys or values that cannot be kept, all at once, each with its line.
    """
    values = document.values
    problems = [
        f"{name}:{document.lines[key,]}: {problem}"
        for key, value in values.items()
        if (problem := _problem(key, value, values))
    ]
    if problems:
        raise ConfigError("\n".join(problems))
    nested: dict[str, Any] = {}
    lines: dict[tuple[str, ...], int] = {}
    for key, value in values.items():
        for (section, own), mapped in _mapped(key, value, values).items():
            nested.setdefault(section, {})[own] = mapped
            lines.setdefault((section,), document.lines[key,])
            lines[section, own] = document.lines[key,]
    return Document(nested, lines)


def _problem(key: str, value: Any, values: Mapping[str, Any]) -> str | None:
    """Return why a key cannot be kept, or None."""
    if key in _WORDS and not _is_in(value, _WORDS[key][1]):
        return _must_be(key, value, tuple(_WORDS[key][1]))
    if key in _ONLY and not _is_in(value, _ONLY[key]):
        return _must_be(key, value, _ONLY[key])
    if key == "decay_epochs" and not _ends_with_the_run(values):
        return (
            f"mindcv's key 'decay_epochs' ({shown(value)}) must be epoch_size less warmup_epochs: "
            "schedules here end with the run"
        )
    if key == "loss_scale_type" and value not in ("fixed", "dynamic", "auto"):
        return _must_be(key, value, ("fixed", "dynamic", "auto"))
    known = {*_SAME, *_WORDS, *_ONLY, *_DECIDED_ELSEWHERE, *_TOGETHER}
    if key not in known:
        return (
            f"mindcv's key '{key}' ({shown(value)}) has no counterpart here: leave it out\n"
            "  or write the recipe in sections: 'python -m cifar_dist config --config resnet18' "
            "shows one"
        )
    return None


def _must_be(key: str, value: Any, allowed: tuple[Any, ...]) -> str:
    choices = " or ".join(shown(one) for one in allowed)
    return f"mindcv's key '{key}' can only be {choices} here\n  given: {shown(value)}"


def _is_in(value: Any, allowed: Any) -> bool:
    """Like ``in``, but true is not 1 and a list is nothing that can be looked up."""
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)


def _ends_with_the_run(values: Mapping[str, Any]) -> bool:
    parts = [values.get(key, 0) for key in ("decay_epochs", "warmup_epochs", "epoch_size")]
    if not all(isinstance(part, (int, float)) for part in parts):
        return True  # said by the check of the types
    return bool(parts[0] + parts[1] == parts[2])


def _mapped(key: str, value: Any, values: Mapping[str, Any]) -> dict[Key, Any]:
    """Return what a key becomes."""
    if key in _SAME:
        return {_SAME[key]: value}
    if key in _WORDS:
        place, words = _WORDS[key]
        return {place: words[value]}
    if key == "batch_size":
        return {("data", "batch_size"): _times(value, values.get("gradient_accumulation_steps", 1))}
    if key == "gradient_accumulation_steps":
        return {("train", "accumulation_steps"): value}
    if key == "clip_value" and values.get("clip_grad") is True:
        return {("optimizer", "clip_norm"): value}
    if key == "ema_decay" and values.get("ema") is True:
        return {("train", "ema_decay"): value}
    if key == "warmup_factor":
        return {("schedule", "initial_lr"): _times(value, values.get("lr"))}
    if key == "loss_scale_type" and value != "fixed":
        return {("train", "loss_scale"): "dynamic"}
    if key == "loss_scale" and values.get("loss_scale_type", "fixed") == "fixed":
        return {("train", "loss_scale"): value}
    return {}


def _times(value: Any, factor: Any) -> Any:
    """Multiply numbers; leave anything else to the check of the types."""
    numbers = (int, float)
    return value * factor if isinstance(value, numbers) and isinstance(factor, numbers) else value
