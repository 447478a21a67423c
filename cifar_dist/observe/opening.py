"""What TensorBoard is told once, at the beginning of a run: recipe, layout, a look at the data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tensorboardX import summary
from tensorboardX.proto.summary_pb2 import Summary

from cifar_dist.config import Config, dump_config
from cifar_dist.observe.tags import LAYOUT

Hparam = bool | float | str

COMPARED = ("loss/eval", "accuracy/eval", "f1/macro", "throughput/images_per_s")
"""The curves whose last value stands in the table of runs."""

_ALWAYS = {
    "model": ("name",),
    "data": ("source",),
    "train": ("epochs", "amp", "seed"),
    "optimizer": ("name", "lr", "momentum", "weight_decay"),
    "schedule": ("name", "warmup_epochs"),
}
_LEFT_OUT = {"data": ("dir", "download", "batch_size", "global_batch_size")}


@dataclass(frozen=True, eq=False)
class Opening:
    """``batch_png`` draws the first augmented batch of this rank."""

    recipe_yaml: str
    hparams: Mapping[str, Hparam]
    batch_png: Callable[[], bytes] | None = None

    def summaries(self) -> Iterator[Summary]:
        """Yield what is written at step 0."""
        yield summary.text("recipe", f"```yaml\n{self.recipe_yaml}\n```")
        charts = {
            section: {name: ["Multiline", tags] for name, tags in of_section.items()}
            for section, of_section in LAYOUT.items()
        }
        yield summary.custom_scalars(charts)
        experiment, start, _ = summary.hparams(self.hparams, dict.fromkeys(COMPARED))
        yield experiment
        yield start
        if self.batch_png is not None:
            yield picture("images/augmented_batch", self.batch_png())


def opening_of(
    config: Config,
    *,
    global_batch_size: int,
    world_size: int,
    batch_png: Callable[[], bytes] | None = None,
) -> Opening:
    """Return the opening of a run of this recipe."""
    sizes = {"ranks": float(world_size), "data.global_batch_size": float(global_batch_size)}
    return Opening(dump_config(config), {**hparams_of(config), **sizes}, batch_png)


def hparams_of(config: Config) -> dict[str, Hparam]:
    """Return what tells runs apart: some keys always, others where they are not the default.

    Where images lie is no such key, nor is what only watches a run.
    """
    given = config.model_dump(mode="json", exclude_defaults=True)
    whole = config.model_dump(mode="json")
    found: dict[str, Hparam] = {}
    for section, always in _ALWAYS.items():
        keys = dict.fromkeys((*always, *given.get(section, {})))
        for key in keys:
            value = whole[section][key]
            if value is not None and key not in _LEFT_OUT.get(section, ()):
                found[f"{section}.{key}"] = _plain(value)
    return found


def picture(tag: str, png: bytes) -> Summary:
    """Return a PNG as what TensorBoard shows under "Images"."""
    width, height = (int.from_bytes(png[start : start + 4], "big") for start in (16, 20))
    image = Summary.Image(height=height, width=width, colorspace=3, encoded_image_string=png)
    return Summary(value=[Summary.Value(tag=tag, image=image)])


def _plain(value: Any) -> Hparam:
    if isinstance(value, bool | str):
        return value
    return float(value) if isinstance(value, int | float) else str(value)
