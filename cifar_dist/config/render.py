"""Validation errors as messages that say what is wrong, where, what was given and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cifar_dist.config.schema import Section, sections

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_ELSEWHERE = {
    "ckpt_save_interval": "checkpoint.interval_epochs",
    "class_num": "model.num_classes",
    "clip_value": "optimizer.clip_norm",
    "decay_rate": "schedule.factor",
    "gradient_accumulation_steps": "train.accumulation_steps",
    "multi_step_decay_milestones": "schedule.milestones_epochs",
    "amp_level": "train.amp",
    "data_dir": "data.dir",
    "data_path": "data.dir",
    "dataset": "data.source",
    "dataset_download": "data.download",
    "drop_overflow_update": "train.loss_scale",
    "epoch_size": "train.epochs",
    "hflip": "data.flip",
    "random_flip": "data.flip",
    "mixup": "data.mixup_alpha",
    "cutmix": "data.cutmix_alpha",
    "keep_checkpoint_max": "checkpoint.keep",
    "loss_scale_type": "train.loss_scale",
    "lr_end": "schedule.final_lr",
    "lr_max": "optimizer.lr",
    "min_lr": "schedule.final_lr",
    "net_name": "model.name",
    "opt": "optimizer.name",
    "scheduler": "schedule.name",
    "use_nesterov": "optimizer.nesterov",
    "val_interval": "eval.interval_epochs",
    "weight_decay_filter": "optimizer.decay_norm_and_bias",
}
"""Flat names of mindcv and of the MindSpore model zoo, and where they stand here."""

_WITHOUT = {
    "drop_remainder": "training drops the incomplete last batch, evaluation counts every image",
    "device_target": "the launcher's --device-target decides",
    "distribute": "the launcher's --nproc decides",
    "run_distribute": "the launcher's --nproc decides",
    "device_num": "the launcher's --nproc decides",
    "shuffle": "training images are always shuffled, test images never",
    "num_parallel_workers": "batches are made ahead by a thread of their own",
    "dataset_sink_mode": "there is nothing to choose",
}
"""Flat names that need no key here, and why."""


class Place(NamedTuple):
    """Where a key was given: ``resnet50.yaml:14`` or ``override 'a.b=c'``, and in which order."""

    order: int
    text: str


def explain(errors: Iterable[ErrorDetails], place: Callable[[tuple[str, ...]], Place]) -> str:
    """Return one message for all errors of a recipe, in the order in which the keys were given.

    Args:
        errors: what ``ValidationError.errors()`` returned.
        place: where a key was given.
    """
    problems: dict[tuple[str, ...], list[str]] = {}
    for error in errors:
        path = _path(error)
        problems.setdefault(path, []).append(_problem(error, path))
    found = sorted((place(path), _joined(of_key)) for path, of_key in problems.items())
    return "\n".join(f"{where.text}: {text}" for where, text in found)


def valid_keys(section: type[Section]) -> str:
    """Return the keys of a section with their defaults: ``lr (required), momentum (0.9)``."""
    return ", ".join(f"{key} ({_default(field)})" for key, field in section.model_fields.items())


def nearest(key: str, section: str | None = None) -> str | None:
    """Return the full key that an unknown one probably means, or None.

    Args:
        key: the unknown key without its section.
        section: the section it was given in; None at the top level.
    """
    keys = {name: list(kind.model_fields) for name, kind in sections().items()}
    if section in keys:
        close = difflib.get_close_matches(key.lower(), keys[section], n=1, cutoff=0.7)
        if close:
            return f"{section}.{close[0]}"
    known = _ELSEWHERE.get(key.lower().replace("-", "_"))
    if known:
        return known
    if section is None and (close := difflib.get_close_matches(key.lower(), keys, n=1, cutoff=0.7)):
        return close[0]
    return _in_other_sections(key.lower(), keys)


def _in_other_sections(key: str, keys: Mapping[str, list[str]]) -> str | None:
    names: dict[str, str] = {}
    for section, own in keys.items():
        for name in own:
            names.setdefault(name, f"{section}.{name}")
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.8)
    return names[close[0]] if close else None


def _path(error: ErrorDetails) -> tuple[str, ...]:
    """A key is two deep at most; what stands below names branches of a union."""
    return tuple(str(part) for part in error["loc"][:2])


def _joined(problems: list[str]) -> str:
    """Branches of a union are alternatives: 'a' must be x or y."""
    first, *others = dict.fromkeys(problems)
    head, _, given = first.partition("\n")
    more = [other.partition("\n")[0].partition(" must be ")[2] for other in others]
    return "\n".join(part for part in (" or ".join([head, *filter(None, more)]), given) if part)


def _problem(error: ErrorDetails, path: tuple[str, ...]) -> str:
    if error["type"] == "extra_forbidden":
        return _unknown(path, error["input"])
    name = ".".join(path)
    if error["type"] == "missing":
        return f"'{name}' is missing: {_description(path)}"
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    return f"'{name}' must be {_wanted(error, path)}\n  given: {shown(error['input'])}"


def _unknown(path: tuple[str, ...], given: Any) -> str:
    *section, key = path
    guess = nearest(key, section[0] if section else None)
    hint = f" (did you mean '{guess}'?)" if guess else ""
    if not guess and key in _WITHOUT:
        hint = f": leave it out, {_WITHOUT[key]}"
    if section:
        title, keys = f"valid keys of '{section[0]}'", valid_keys(sections()[section[0]])
    else:
        title, keys = "valid sections", ", ".join(sections())
    return f"unknown key '{'.'.join(path)}'{hint}\n  given: {shown(given)}\n  {title}: {keys}"


def _wanted(error: ErrorDetails, path: tuple[str, ...]) -> str:
    context = error.get("ctx", {})
    kind = error["type"]
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return f"a mapping of keys, such as\n    {path[0]}:\n      {_example(path[0])}"
    fixed = {
        "bool_type": "true or false",
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "string_type": "text (put it in quotes)",
        "literal_error": f"{context.get('expected')}",
        "greater_than": f"above {context.get('gt')}",
        "greater_than_equal": f"{context.get('ge')} or more",
        "less_than": f"below {context.get('lt')}",
        "less_than_equal": f"{context.get('le')} or less",
        "list_type": "a list, such as [100, 150]",
        "string_too_short": "at least one character",
        "too_long": f"at most {context.get('max_length')} items",
    }
    return fixed.get(kind, error["msg"])


def _example(section: str) -> str:
    fields = sections()[section].model_fields
    return f"{next(iter(fields))}: ..."


def _description(path: tuple[str, ...]) -> str:
    section = sections()[path[0]]
    if len(path) == 1:
        return f"a section with the keys {valid_keys(section)}"
    return section.model_fields[path[1]].description or ""


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else shown(field.default)


def shown(value: Any) -> str:
    """Return a value as it stands in a recipe, shortened where it is long."""
    words = {None: "null", True: "true", False: "false"}
    text = words[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
