"""Which networks there are, as values, and how one is built by its name.

Listing the names imports no MindSpore: a family's module is imported when one of its networks is
built. The names and the two functions follow the habit of mindcv and timm.
"""

from __future__ import annotations

import difflib
import fnmatch
import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cifar_dist.errors import ModelError

if TYPE_CHECKING:
    from mindspore import nn

STEMS = ("cifar", "imagenet")


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_factor(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 16


# What each option may be: a test of the value, and the words for it.
_RULES: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "num_classes": (_is_count, "a whole number of at least 1"),
    "in_channels": (_is_count, "a whole number of at least 1"),
    "stem": (lambda value: value in STEMS, "'cifar' or 'imagenet'"),
    "relu_between_dense": (_is_flag, "true or false"),
    "zero_init_last_gamma": (_is_flag, "true or false"),
    "width": (_is_factor, "a number above 0 and at most 16"),
    "shortcut": (lambda value: value in ("A", "B"), "'A' or 'B'"),
    "reduction": (_is_count, "a whole number of at least 1"),
    "whitening": (_is_flag, "true or false"),
}


@dataclass(frozen=True)
class Family:
    """What the networks of one module have in common.

    Args:
        module: has ``build(*, num_classes, in_channels, stem, **arguments) -> nn.Cell``.
        options: what a caller may choose beside the name, with the defaults.
        stems: the forms the family has: ``cifar`` for 32 x 32 images, ``imagenet`` for 224 x 224.
        whitens: its networks begin with a whitening layer of their own.
    """

    module: str
    options: Mapping[str, object] = field(default_factory=dict)
    stems: tuple[str, ...] = STEMS
    whitens: bool = False


@dataclass(frozen=True)
class ModelSpec:
    """One network: its name, its family and what sets it apart from its sisters."""

    name: str
    family: Family
    arguments: Mapping[str, object] = field(default_factory=dict)


LENET = Family("cifar_dist.models.lenet", {"relu_between_dense": True}, stems=("cifar",))
VGG = Family("cifar_dist.models.vgg", {"width": 1.0})
RESNET = Family("cifar_dist.models.resnet", {"width": 1.0, "zero_init_last_gamma": False})
SE_RESNET = Family(RESNET.module, {**RESNET.options, "reduction": 16})
CIFAR_RESNET = Family(
    "cifar_dist.models.resnet_cifar",
    {"width": 1.0, "zero_init_last_gamma": False, "shortcut": "A"},
    stems=("cifar",),
)
SE_CIFAR_RESNET = Family(
    CIFAR_RESNET.module, {**CIFAR_RESNET.options, "reduction": 16}, stems=("cifar",)
)
INCEPTION = Family("cifar_dist.models.inception", {"width": 1.0})
SE_INCEPTION = Family(INCEPTION.module, {**INCEPTION.options, "reduction": 16})
SPEED = Family("cifar_dist.models.speed", {"width": 1.0}, stems=("cifar",), whitens=True)


def _all_specs() -> Iterable[ModelSpec]:
    yield ModelSpec("lenet5", LENET)
    for layout in ("a", "b", "c", "d", "e"):
        yield ModelSpec(f"vgg_{layout}", VGG, {"layout": layout})
        yield ModelSpec(f"vgg_{layout}_bn", VGG, {"layout": layout, "norm": "batch"})
    yield ModelSpec("vgg_a_lrn", VGG, {"layout": "a", "norm": "local_response"})
    for depth in (18, 34, 50, 101, 152):
        yield ModelSpec(f"resnet{depth}", RESNET, {"depth": depth})
        yield ModelSpec(f"seresnet{depth}", SE_RESNET, {"depth": depth})
    for depth in (20, 32, 44, 56, 110):
        yield ModelSpec(f"resnet{depth}", CIFAR_RESNET, {"depth": depth})
        yield ModelSpec(f"seresnet{depth}", SE_CIFAR_RESNET, {"depth": depth})
    yield ModelSpec("inception", INCEPTION)
    yield ModelSpec("seinception", SE_INCEPTION)
    yield ModelSpec("speed94", SPEED, {"widths": (64, 256, 256), "convolutions": 2})
    yield ModelSpec("speed95", SPEED, {"widths": (128, 384, 384), "convolutions": 2})
    yield ModelSpec("speed96", SPEED, {"widths": (128, 384, 512), "convolutions": 3})


def table_of(specs: Iterable[ModelSpec]) -> dict[str, ModelSpec]:
    """Return the specs by name.

    Raises:
        ValueError: two specs have one name.
    """
    table: dict[str, ModelSpec] = {}
    for spec in specs:
        if spec.name in table:
            raise ValueError(f"two models are called {spec.name!r}")
        table[spec.name] = spec
    return table


_MODELS = table_of(_all_specs())


def list_models(pattern: str = "*") -> list[str]:
    """Return the names that match a shell pattern (``seresnet*``), sorted."""
    return sorted(fnmatch.filter(_MODELS, pattern))


def find_model(name: str) -> ModelSpec:
    """Return the spec of a name.

    Raises:
        ModelError: no such model; the message has the nearest names.
    """
    if name in _MODELS:
        return _MODELS[name]
    near = difflib.get_close_matches(name, _MODELS, n=3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
    raise ModelError(
        f"there is no model {name!r}; {hint or 'there are ' + ', '.join(list_models())}"
    )


def create_model(
    name: str,
    num_classes: int = 10,
    *,
    in_channels: int = 3,
    stem: str = "cifar",
    zero_init_last_gamma: bool = False,
    whitening: bool = False,
    seed: int | None = 0,
    **options: object,
) -> nn.Cell:
    """Build a network and draw its weights.

    Args:
        name: one of ``list_models()``.
        num_classes: length of the output, >= 1.
        in_channels: channels of the images, >= 1.
        stem: ``cifar`` for 32 x 32 images, ``imagenet`` for 224 x 224.
        zero_init_last_gamma: each residual block starts as its shortcut; ResNets only.
        whitening: put a whitening layer in front of the network (``cifar_dist.models.whitening``);
            those of the speed family have theirs anyway. Stem ``cifar`` only.
        seed: the weights depend on it, and on nothing else: not on the rank, the device or what was
            drawn before. None leaves them zero, for weights that are loaded, or for counting.
        options: what else the family offers: see ``find_model(name).family.options``.

    Returns:
        a cell that maps float images [N, in_channels, H, W] to logits [N, num_classes].

    Raises:
        ModelError: no such model, stem or option, or a value out of range.
    """
    spec = find_model(name)
    asked = {"num_classes": num_classes, "in_channels": in_channels, "stem": stem, **options}
    if zero_init_last_gamma is not False:
        asked["zero_init_last_gamma"] = zero_init_last_gamma
    _check(spec, asked)
    _check_whitening(spec, whitening, stem)
    network = _build(spec, asked, is_whitened=whitening and not spec.family.whitens)
    if seed is not None:
        from cifar_dist.models.initial import draw_weights

        draw_weights(network, seed=seed)
    return network


def _build(spec: ModelSpec, asked: Mapping[str, object], *, is_whitened: bool) -> nn.Cell:
    module = importlib.import_module(spec.family.module)
    arguments = {**spec.arguments, **spec.family.options, **asked}
    if not is_whitened:
        plain: nn.Cell = module.build(**arguments)
        return plain
    from cifar_dist.models.whitening import Whitened, whitening_channels

    in_channels = arguments["in_channels"]
    assert isinstance(in_channels, int)
    arguments["in_channels"] = whitening_channels(in_channels)
    return Whitened(module.build(**arguments), in_channels=in_channels)


def _check_whitening(spec: ModelSpec, value: object, stem: str) -> None:
    is_good, wanted = _RULES["whitening"]
    if not is_good(value):
        raise ModelError(f"{spec.name}: whitening must be {wanted}, not {value!r}")
    if value and stem != "cifar":
        raise ModelError(f"{spec.name}: whitening is for the stem 'cifar', not {stem!r}")


def _check(spec: ModelSpec, asked: Mapping[str, object]) -> None:
    """Raise ModelError for the first thing asked of a model that it cannot be."""
    offered = {"num_classes", "in_channels", "stem", *spec.family.options}
    for option, value in asked.items():
        if option not in offered:
            own = ", ".join(spec.family.options) or "none"
            raise ModelError(f"{spec.name} has no option {option!r}; its options: {own}")
        is_good, wanted = _RULES[option]
        if not is_good(value):
            raise ModelError(f"{spec.name}: {option} must be {wanted}, not {value!r}")
    if asked["stem"] not in spec.family.stems:
        raise ModelError(
            f"{spec.name} is for 32 x 32 images: its stem is 'cifar', not {asked['stem']!r}"
        )
