from __future__ import annotations

import pytest

from cifar_dist.commands.check import check_profile, check_recipe
from cifar_dist.config import Config
from cifar_dist.errors import ConfigError, ModelError
from cifar_dist.models.registry import create_model


def recipe(name: str, **options: object) -> Config:
    return Config.model_validate(
        {
            "model": {"name": name, **options},
            "data": {"global_batch_size": 96},
            "train": {"epochs": 1},
            "optimizer": {"lr": 0.1},
        }
    )


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("resnet20", {}, 269_722),
        ("resnet20", {"shortcut": "B"}, 272_474),
        ("resnet20", {"width": 2}, 1_073_962),
        ("lenet5", {"relu_between_dense": False}, 62_006),
        ("seresnet20", {"reduction": 8, "zero_init_last_gamma": True}, None),
    ],
)
def test_options_reach_the_network(
    name: str, options: dict[str, object], parameters: int | None
) -> None:
    config = recipe(name, **options)
    check_recipe(config, 3)
    assert config.model.options == options
    network = create_model(name, seed=None, **config.model.options)
    if parameters is not None:
        assert sum(one.size for one in network.trainable_params()) == parameters


def test_an_option_of_another_family_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        check_recipe(recipe("resnet18", shortcut="B"), 1)
    assert str(caught.value) == (
        "'model.shortcut' (B) is no option of resnet18: leave it out\n"
        "  resnet18 can be given: width, zero_init_last_gamma"
    )
    with pytest.raises(ConfigError, match="lenet5 can be given: relu_between_dense"):
        check_recipe(recipe("lenet5", zero_init_last_gamma=True), 1)


def test_a_model_that_does_not_exist_or_a_batch_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ModelError, match="did you mean"):
        check_recipe(recipe("resnet19"), 1)
    with pytest.raises(ConfigError, match="cannot be divided"):
        check_recipe(recipe("resnet20"), 5)


def profiled(steps: str, *, max_steps: int | None = None) -> Config:
    values = recipe("lenet5").model_dump()
    values["train"] |= {"epochs": 2, "max_steps": max_steps}
    values["monitor"]["profile_steps"] = steps
    return Config.model_validate(values)


def test_steps_to_profile_must_be_steps_of_the_run() -> None:
    check_profile(profiled("10:20"), 3, num_images=960)
    with pytest.raises(ConfigError, match=r"\(10:21\) .* 2 <= FIRST <= LAST <= 20, which the run"):
        check_profile(profiled("10:21"), 3, num_images=960)
    with pytest.raises(ConfigError, match="LAST <= 12, which the run has"):
        check_profile(profiled("10:20", max_steps=12), 3, num_images=960)


@pytest.mark.parametrize("steps", ["1:3", "7", "9:8", "2:200", "a:b", "3:"])
def test_a_range_of_steps_that_cannot_be_is_refused_by_the_recipe(steps: str) -> None:
    with pytest.raises(ValueError, match="2 <= FIRST <= LAST; at most 100 steps"):
        profiled(steps)
