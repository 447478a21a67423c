"""Which checkpoints a run may go on from: pure functions of two recipes and two groups.

What decides the weights must be as it was. Free are the length of the run, what is reported, when
it is saved and evaluated, where the images lie, and how many ranks share the global batch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from cifar_dist.checkpoint.position import Position
from cifar_dist.config import Config
from cifar_dist.errors import CheckpointError

FREE_SECTIONS = ("eval", "checkpoint", "monitor")
FREE_KEYS = {
    "data": ("dir", "download", "batch_size", "global_batch_size"),
    "train": ("epochs", "max_steps", "accumulation_steps"),
}
"""The global batch is compared as a number, for it may be given per rank."""

Values = dict[str, dict[str, Any]]


def recipe_sha256(config: Config) -> str:
    """Return the checksum of all keys that must stay the same."""
    return hashlib.sha256(json.dumps(_fixed(config), sort_keys=True).encode()).hexdigest()


def check_same_run(
    saved: Config, config: Config, *, position: Position, global_batch_size: int, origin: object
) -> None:
    """Refuse to go on from the checkpoint of a run that was another one.

    Args:
        saved: the checkpoint's recipe.
        config: the one to go on with.
        position: where the checkpoint's run stood.
        global_batch_size: images per step over all ranks now.
        origin: what the message calls the checkpoint.

    Raises:
        CheckpointError: a key of another value decides the weights; all such keys are named.
    """
    found = [
        f"{key}: {before} in the checkpoint, {now} now"
        for key, before, now in differences(_fixed(saved), _fixed(config))
    ]
    if position.global_batch_size != global_batch_size:
        found.append(
            f"global batch: {position.global_batch_size} in the checkpoint "
            f"({position.world_size} ranks), {global_batch_size} now; set data.global_batch_size"
        )
    if found:
        raise CheckpointError(
            f"checkpoint {origin} is of another run, and going on from it would be neither:\n  "
            + "\n  ".join(found)
            + "\n  take the checkpoint's own values (its config.yaml), or start anew with "
            "--resume none and another --run-dir"
        )


def changes(saved: Config, config: Config, *, position: Position, world_size: int) -> Iterator[str]:
    """Yield what is allowed to change and did, where it changes the numbers that come."""
    if position.world_size != world_size:
        yield (
            f"{position.world_size} ranks before, {world_size} now: the same images in every step; "
            "sums are rounded otherwise, and batch norm sees other parts"
        )
    before, now = saved.train, config.train
    for key in FREE_KEYS["train"]:
        old, new = getattr(before, key), getattr(now, key)
        if old != new:
            follows = "" if key == "accumulation_steps" else "; the learning rates follow it"
            yield f"train.{key} {old} before, {new} now{follows}"


def differences(saved: Values, now: Values) -> Iterator[tuple[str, Any, Any]]:
    """Yield each section.key that has another value, and both values."""
    for section in sorted(saved.keys() | now.keys()):
        old, new = saved.get(section, {}), now.get(section, {})
        for key in sorted(old.keys() | new.keys()):
            if old.get(key) != new.get(key):
                yield f"{section}.{key}", _shown(old.get(key)), _shown(new.get(key))


def _shown(value: Any) -> str:
    return "null" if value is None else str(value)


def _fixed(config: Config) -> Values:
    values: Values = config.model_dump(mode="json", exclude=set(FREE_SECTIONS))
    for section, keys in FREE_KEYS.items():
        for key in keys:
            del values[section][key]
    if values["data"]["source"] == "auto":
        values["data"]["source"] = "cifar10"
    return values
