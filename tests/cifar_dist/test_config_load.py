from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cifar_dist.config import Config, dump_config, find_recipe, load_config
from cifar_dist.config.load import RECIPES
from cifar_dist.config.schema import sections
from cifar_dist.errors import ConfigError

MINIMAL = """\
model:
  name: lenet5
train:
  epochs: 3
optimizer:
  lr: 1e-2
"""


def load(folder: Path, text: str, *overrides: str) -> Config:
    path = folder / "r.yaml"
    path.write_text(text)
    return load_config(path, overrides).config


def message(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, *overrides)
    return str(caught.value).replace(f"{folder}/", "")


def test_a_minimal_recipe_is_completed_by_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    assert config.optimizer.lr == 0.01
    assert (config.data.global_batch_size, config.data.batch_size) == (128, None)
    assert config.schedule.name == "cosine"


def test_an_unknown_key_names_the_nearest_one_and_all_valid_ones(tmp_path: Path) -> None:
    text = message(tmp_path, MINIMAL + "data:\n  batch_sise: 128\n")
    assert text.startswith(
        "r.yaml:8: unknown key 'data.batch_sise' (did you mean 'data.batch_size'?)\n  given: 128\n"
    )
    assert "valid keys of 'data': dir (null), source ('auto'), " in text


def test_all_errors_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = message(
        tmp_path,
        "optimizer: {lr: fast}\ntrain:\n  epochs: 3.0\n  amp: O5\nmodel: {nmae: x}\n",
        "data.flip=on",
    )
    lines = [line for line in text.splitlines() if not line.startswith("  ")]
    assert lines == [
        "r.yaml:1: 'optimizer.lr' must be a number",
        "r.yaml:3: 'train.epochs' must be a whole number",
        "r.yaml:4: 'train.amp' must be 'O0', 'O2' or 'O3'",
        lines[3],
        "r.yaml:5: unknown key 'model.nmae' (did you mean 'model.name'?)",
        "override 'data.flip=on': 'data.flip' must be 'none', 'random' or 'alternating'",
    ]
    assert lines[3].startswith("r.yaml:5: 'model.name' is missing: ")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr: 0.1", "unknown key 'lr' (did you mean 'optimizer.lr'?)"),
        ("loss_scale_type: fixed", "(did you mean 'train.loss_scale'?)"),
        ("amp_level: O2", "(did you mean 'train.amp'?)"),
        ("data: {random_flip: true}", "(did you mean 'data.flip'?)"),
        ("epoch_size: 90", "(did you mean 'train.epochs'?)"),
        ("optimiser: {lr: 1}", "(did you mean 'optimizer'?)"),
        ("drop_remainder: true", "leave it out, training drops the incomplete last batch"),
        ("distribute: true", "leave it out, the launcher's --nproc decides"),
        ("schedule: cosine", "'schedule' must be a mapping of keys, such as\n    schedule:\n"),
        ("data: {lr: 0.1}", "unknown key 'data.lr' (did you mean 'optimizer.lr'?)"),
        ("data: {xyzzy: 1}", "unknown key 'data.xyzzy'\n"),
    ],
)
def test_habits_from_other_projects_get_a_hint(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in message(tmp_path, MINIMAL + text)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("train.loss_scale=auto", "must be 'dynamic' or a number\n  given: 'auto'"),
        ("train.loss_scale=0", "must be 'dynamic' or above 0"),
        ("optimizer.momentum=1", "must be below 1"),
        ("train.seed=-1", "must be 0 or more"),
        ("train.label_smoothing=.nan", "must be a finite number"),
        ("train.epochs=true", "must be a whole number\n  given: true"),
        ("data.dir=2024", "must be text (put it in quotes)\n  given: 2024"),
        ("data.batch_sise=1", "(did you mean 'data.batch_size'?)"),
        ("model.num_classes=9", "must be 10 or more"),
    ],
)
def test_a_wrong_override_is_named_as_it_was_given(
    tmp_path: Path, override: str, expected: str
) -> None:
    text = message(tmp_path, MINIMAL, override)
    assert text.startswith(f"override '{override}': ")
    assert expected in text


@pytest.mark.parametrize(
    "override", ["train.epochs", "train=3", "epochs=3", "a.b.c=1", "=1", ".=1"]
)
def test_an_override_without_section_key_and_value_is_refused(
    tmp_path: Path, override: str
) -> None:
    assert f"override '{override}' is not of the form section.key=value" in message(
        tmp_path, MINIMAL, override
    )


def test_an_override_without_its_section_names_the_section(tmp_path: Path) -> None:
    assert "(did you mean 'optimizer.lr=0.1'?)" in message(tmp_path, MINIMAL, "lr=0.1")


def test_overrides_are_typed_and_the_last_one_wins(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        MINIMAL,
        "optimizer.lr=1",
        "optimizer.lr=5e-4",
        "data.dir=",
        "eval.batch_size=1_000",
    )
    assert config.optimizer.lr == 5e-4
    assert config.data.dir is None
    assert config.eval.batch_size == 1000


def test_an_override_may_hold_an_equals_sign(tmp_path: Path) -> None:
    assert load(tmp_path, MINIMAL, "data.dir=/a=b").data.dir == "/a=b"


def test_overriding_one_batch_size_replaces_the_other(tmp_path: Path) -> None:
    text = MINIMAL + "data: {global_batch_size: 256}\n"
    data = load(tmp_path, text, "data.batch_size=32").data
    assert (data.batch_size, data.global_batch_size) == (32, None)


def test_both_batch_sizes_at_once_are_refused(tmp_path: Path) -> None:
    text = message(tmp_path, MINIMAL + "data: {global_batch_size: 256, batch_size: 32}\n")
    assert text.startswith("r.yaml:7: 'data.batch_size' (32, per rank) and ")
    both = message(tmp_path, MINIMAL, "data.batch_size=32", "data.global_batch_size=64")
    assert "keep one of them" in both


def test_a_warm_up_longer_than_the_run_is_refused(tmp_path: Path) -> None:
    text = message(tmp_path, MINIMAL, "schedule.warmup_epochs=3.5")
    assert "'schedule.warmup_epochs' (3.5) is longer than 'train.epochs' (3)" in text


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["schedule.name=step"], "'schedule.milestones_epochs' ([]) and schedule.name=step"),
        (["schedule.milestones_epochs=[1]"], "no other schedule has any"),
        (
            ["schedule.name=step", "schedule.milestones_epochs=[2, 1.5]"],
            "'schedule.milestones_epochs' ([2.0, 1.5]) must rise",
        ),
        (["schedule.milestones_epochs=2"], "must be a list, such as [100, 150]\n  given: 2"),
        (["schedule.milestones_epochs=[a]"], "must be a number\n  given: 'a'"),
        (["schedule.name=one_cycle"], "'schedule.warmup_epochs' (0) must be above 0"),
        (["schedule.initial_lr=1"], "'schedule.initial_lr' (1) is above 'optimizer.lr' (0.01)"),
        (["optimizer.name=adamw", "optimizer.nesterov=true"], "belongs to optimizer.name=momentum"),
        (["optimizer.clip_norm=0"], "'optimizer.clip_norm' must be above 0"),
        (["data.loader=mindspore"], "'data.crop_padding_mode' (zeros) is not what data.loader="),
        (
            ["data.loader=mindspore", "data.random_crop_padding=0", "data.flip=alternating"],
            "'data.flip' (alternating) is not what data.loader=mindspore can do",
        ),
        (
            ["data.loader=mindspore", "data.random_crop_padding=0", "data.cutmix_alpha=1"],
            "'data.cutmix_alpha' (1.0) is not what",
        ),
        (
            ["data.placement=device", "data.mixup_alpha=0.2"],
            "'data.mixup_alpha' (0.2) is not what data.placement=device can do",
        ),
        (["train.ema_decay=1"], "'train.ema_decay' must be below 1"),
    ],
)
def test_training_keys_that_do_not_fit_are_refused(
    tmp_path: Path, overrides: list[str], expected: str
) -> None:
    assert expected in message(tmp_path, MINIMAL, *overrides)


def test_a_list_may_be_given_on_the_command_line(tmp_path: Path) -> None:
    given = ("schedule.name=step", "schedule.milestones_epochs=[1, 2.5]")
    config = load(tmp_path, MINIMAL, *given)
    assert config.schedule.milestones_epochs == [1, 2.5]
    assert load(tmp_path, dump_config(config)) == config


def test_a_cosine_that_would_rise_is_refused(tmp_path: Path) -> None:
    text = message(tmp_path, MINIMAL, "schedule.final_lr=1")
    assert "'schedule.final_lr' (1) is above 'optimizer.lr' (0.01)" in text


def test_a_long_value_is_shortened_in_the_message(tmp_path: Path) -> None:
    text = message(tmp_path, MINIMAL, f"optimizer.lr={'x' * 500}")
    assert "xxx...\n" in text + "\n"
    assert len(text.splitlines()[1]) < 100


@pytest.mark.parametrize(
    ("amp", "dtype", "given", "effective"),
    [
        ("O0", "float16", "dynamic", 1.0),
        ("O2", "bfloat16", "dynamic", 1.0),
        ("O2", "float16", "dynamic", "dynamic"),
        ("O3", "float16", "1024", 1024.0),
        ("O0", "float16", "8", 8.0),
    ],
)
def test_a_dynamic_loss_scale_applies_only_where_float16_needs_it(
    tmp_path: Path, amp: str, dtype: str, given: str, effective: object
) -> None:
    overrides = (f"train.amp={amp}", f"train.dtype={dtype}", f"train.loss_scale={given}")
    assert load(tmp_path, MINIMAL, *overrides).train.effective_loss_scale == effective


def test_the_folder_of_images_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load(tmp_path, MINIMAL, "data.dir=images").data.dir == str(tmp_path / "images")
    assert load(tmp_path, MINIMAL, "data.dir=~/x").data.dir == str(tmp_path / "home" / "x")


def test_a_dump_loads_back_to_an_equal_value(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL, "data.batch_size=32", "train.loss_scale=1024")
    assert load(tmp_path, dump_config(config)) == config


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1),
    lr=st.floats(1e-30, 1000, exclude_min=True),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_valid_values_survive_a_dump(tmp_path: Path, name: str, lr: float, seed: int) -> None:
    values = yaml.safe_load(MINIMAL)
    values["model"]["name"] = name[:100]
    values["train"]["seed"] = seed
    values["optimizer"]["lr"] = lr
    config = Config.model_validate(values | {"schedule": {"name": "constant"}})
    assert load(tmp_path, dump_config(config)) == config


@pytest.mark.parametrize(
    "name", ["1e-3", "010", "on", "null", "true", "1:30", "a: b", "#x", "&a", ""]
)
def test_text_that_looks_like_something_else_survives_a_dump(tmp_path: Path, name: str) -> None:
    config = load(tmp_path, MINIMAL, f"model.name='x{name}'")
    config = config.model_copy(update={"model": config.model.model_copy(update={"name": name})})
    assert yaml.safe_load(json.dumps(name)) == name
    if name:
        assert load(tmp_path, dump_config(config)) == config


def test_every_key_is_described_and_the_schema_is_closed() -> None:
    for name, section in sections().items():
        assert section.__doc__, name
        for key, field in section.model_fields.items():
            assert field.description, f"{name}.{key}"
    schema = Config.model_json_schema()
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())


def test_a_recipe_cannot_be_changed(tmp_path: Path) -> None:
    config = load(tmp_path, MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        config.train.epochs = 4  # type: ignore[misc]


def test_a_recipe_is_found_by_path_or_by_bare_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = tmp_path / "recipes"
    shipped.mkdir()
    for name in ("resnet18", "resnet50"):
        (shipped / f"{name}.yaml").write_text(MINIMAL)
    monkeypatch.chdir(tmp_path)
    for name in ("resnet50", "resnet50.yaml"):
        assert find_recipe(name, recipes=shipped) == shipped / "resnet50.yaml"
    assert find_recipe(shipped / "resnet18.yaml", recipes=shipped) == shipped / "resnet18.yaml"
    own = tmp_path / "resnet50.yaml"
    own.write_text(MINIMAL)
    assert find_recipe("resnet50.yaml", recipes=shipped).absolute() == own


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet5", "no recipe 'resnet5' (did you mean 'resnet50.yaml'?)"),
        ("zzz.yaml", "no recipe 'zzz.yaml'\n"),
        ("sub/resnet50.yaml", "no recipe 'sub/resnet50.yaml' (did you mean 'resnet50.yaml'?)"),
        (".", "recipe '.' is a folder"),
        ("../secret.yaml", "no recipe '../secret.yaml'"),
    ],
)
def test_an_unknown_recipe_names_a_near_one_and_those_that_ship(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = tmp_path / "recipes"
    shipped.mkdir()
    (shipped / "resnet50.yaml").write_text(MINIMAL)
    with pytest.raises(ConfigError) as caught:
        find_recipe(name, recipes=shipped)
    assert expected in str(caught.value) + "\n"


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_recipe_that_ships_loads_and_survives_a_dump(path: Path, tmp_path: Path) -> None:
    config = load_config(path).config
    assert load(tmp_path, dump_config(config)) == config


def test_loading_a_recipe_imports_neither_numpy_nor_mindspore(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(MINIMAL)
    code = (
        "import sys; from pathlib import Path; from cifar_dist.config import load_config;"
        "load_config(Path(sys.argv[1])); print(sorted({'numpy', 'mindspore'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[]"
