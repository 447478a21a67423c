"""Names, options and their messages; no network is built here."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cifar_dist.errors import CifarDistError, ModelError
from cifar_dist.models.registry import (
    LENET,
    ModelSpec,
    create_model,
    find_model,
    list_models,
    table_of,
)


def test_every_model_of_the_course_is_listed() -> None:
    wanted = {"lenet5", "vgg_a_lrn", "inception", "seinception", "speed94", "speed95", "speed96"}
    wanted |= {f"vgg_{layout}{bn}" for layout in "abcde" for bn in ("", "_bn")}
    depths = (18, 34, 50, 101, 152, 20, 32, 44, 56, 110)
    wanted |= {f"{se}resnet{depth}" for depth in depths for se in ("", "se")}
    assert set(list_models()) == wanted


def test_names_are_sorted_and_chosen_by_a_pattern() -> None:
    assert list_models("vgg_a*") == ["vgg_a", "vgg_a_bn", "vgg_a_lrn"]
    assert list_models("nothing*") == []


def test_listing_and_refusing_need_no_mindspore() -> None:
    code = (
        "import sys; from cifar_dist.models import create_model, list_models; list_models()\n"
        "from cifar_dist.errors import ModelError\n"
        "try: create_model('resnet19')\n"
        "except ModelError: print(sorted({'mindspore', 'numpy'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert run.stdout.strip() == "[]"


def test_an_unknown_name_is_refused_with_the_nearest_ones() -> None:
    with pytest.raises(
        ModelError, match=r"no model 'restnet50'; did you mean 'resnet50'"
    ) as raised:
        create_model("restnet50")
    assert isinstance(raised.value, CifarDistError)
    assert raised.value.exit_code == 2


def test_a_name_near_to_none_is_refused_with_all_of_them() -> None:
    with pytest.raises(ModelError, match=r"there are inception, lenet5, .*vgg_e_bn"):
        find_model("transformer-xxl")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet18", {"num_classes": 0}, "num_classes must be a whole number of at least 1, not 0"),
        ("resnet18", {"num_classes": True}, "num_classes must be a whole number"),
        ("resnet18", {"in_channels": 2.0}, "in_channels must be a whole number"),
        ("resnet18", {"stem": "Cifar"}, "stem must be 'cifar' or 'imagenet', not 'Cifar'"),
        ("lenet5", {"stem": "imagenet"}, "lenet5 is for 32 x 32 images"),
        ("resnet20", {"stem": "imagenet"}, "resnet20 is for 32 x 32 images"),
        ("resnet20", {"shortcut": "a"}, "shortcut must be 'A' or 'B', not 'a'"),
        ("resnet18", {"shortcut": "A"}, "no option 'shortcut'; its options: width"),
        ("resnet18", {"reduction": 16}, "resnet18 has no option 'reduction'"),
        ("seresnet18", {"reduction": 0}, "reduction must be a whole number of at least 1"),
        ("vgg_a", {"width": 0}, "width must be a number above 0 and at most 16, not 0"),
        ("vgg_a", {"width": float("nan")}, "width must be a number above 0"),
        ("inception", {"depth": 5}, "inception has no option 'depth'; its options: width"),
        ("lenet5", {"relu_between_dense": 1}, "relu_between_dense must be true or false, not 1"),
        ("lenet5", {"zero_init_last_gamma": True}, "lenet5 has no option 'zero_init_last_gamma'"),
        ("resnet18", {"zero_init_last_gamma": 1}, "zero_init_last_gamma must be true or false"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        create_model(name, **options)  # type: ignore[arg-type]


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two models are called 'twin'"):
        table_of([ModelSpec("twin", LENET), ModelSpec("twin", LENET)])
