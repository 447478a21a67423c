from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.errors import UsageError
from launcher.options import OPTIONS, LaunchSpec, canonical, resolve

BY_NAME = {option.name: option for option in OPTIONS}


def test_a_flag_beats_the_environment_which_beats_the_default() -> None:
    environ = {"LAUNCHER_NPROC": "3", "LAUNCHER_GRACE": "7.5"}
    fields = resolve({"nproc": "4"}, environ)
    assert fields == {"nproc": 4, "grace_s": 7.5}


def test_a_flag_beats_the_variable_of_an_option_that_says_the_same_otherwise() -> None:
    environ = {"LAUNCHER_CLUSTER": "c.yaml", "LAUNCHER_NPROC": "4", "LAUNCHER_GRACE": "3"}
    assert resolve({"rank-table": "t.json"}, environ) == {
        "rank_table": Path("t.json"),
        "grace_s": 3.0,
    }
    assert resolve({"devices": "0"}, environ) == {"devices": (0,), "nproc": 4, "grace_s": 3.0}


def test_an_empty_variable_is_not_set() -> None:
    assert resolve({}, {"LAUNCHER_NPROC": ""}) == {}


def test_every_option_has_a_field_and_its_default_is_that_of_the_field() -> None:
    fields = LaunchSpec()._asdict()
    for option in OPTIONS:
        assert option.field in fields
        if option.default:
            assert option.parse(option.default) == fields[option.field]
        else:
            assert fields[option.field] is None


@pytest.mark.parametrize(
    ("argument", "same_as"),
    [
        ("--nproc_per_node=2", "--nproc=2"),
        ("--local_worker_num", "--nproc"),
        ("--run_dir=a_b", "--run-dir=a_b"),
        ("train.max_steps=2", "train.max_steps=2"),
        ("--no_such_option", "--no-such-option"),
    ],
)
def test_dashes_underscores_and_aliases_are_equal(argument: str, same_as: str) -> None:
    assert canonical(argument) == same_as


@pytest.mark.parametrize(
    ("name", "text", "allowed"),
    [
        ("nproc", "0", "a whole number from 1 up, or 'auto'"),
        ("nproc", "-1", "from 1 up"),
        ("nproc", "2.5", "a whole number"),
        ("nproc", "\u00b2", "a whole number"),
        ("grace", "-1", "a number of seconds, 0 or more"),
        ("grace", "nan", "a number of seconds"),
        ("grace", "inf", "a number of seconds"),
        ("master-port", "80", "from 1024 to 65535"),
        ("master-port", "70000", "from 1024 to 65535"),
        ("device-target", "GPU", "one of Ascend, CPU, auto"),
        ("rendezvous", "table", "one of auto, cluster, rank-table, none"),
        ("bind", "all", "one of none, cores, numa"),
        ("devices", "3,1", "must go up"),
        ("devices", "1,1", "must go up"),
        ("devices", "1;2", "neither a number nor a range"),
        ("console", "rank1", "rank0, all, none, or ranks such as"),
        ("max-restarts", "-2", "from 0 up"),
        ("dry-run", "perhaps", "1 or 0"),
        ("run-dir", "", "must not be empty"),
    ],
)
def test_a_wrong_value_is_refused_with_what_is_allowed(name: str, text: str, allowed: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve({name: text}, {})
    assert str(caught.value).startswith(f"--{name}: {text!r} is not allowed: ")
    assert allowed in str(caught.value)


def test_a_wrong_variable_is_named() -> None:
    with pytest.raises(UsageError, match="environment variable LAUNCHER_BIND: 'x' is not allowed"):
        resolve({}, {"LAUNCHER_BIND": "x"})


@given(st.sampled_from(OPTIONS), st.text(max_size=10))
def test_any_text_is_taken_or_refused_but_never_breaks(option: object, text: str) -> None:
    with suppress(UsageError):
        resolve({option.name: text}, {})  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("devices", "0-3,6", (0, 1, 2, 3, 6)),
        ("console", "all", None),
        ("console", "none", frozenset()),
        ("console", "1,3-4", frozenset({1, 3, 4})),
        ("device-target", "ascend", "Ascend"),
        ("run-dir", "out", Path("out")),
        ("run-dir", "~/out", Path.home() / "out"),
        ("run-dir", "~0", Path("~0")),
        ("hang-timeout", "0", 0.0),
        ("nproc", "auto", None),
        ("dry-run", "1", True),
    ],
)
def test_a_right_value_is_read(name: str, text: str, value: object) -> None:
    option = BY_NAME[name]
    assert resolve({name: text}, {}) == {option.field: value}


def test_a_profile_names_its_first_and_its_last_step() -> None:
    assert resolve({"profile": "steps=10:15"}, {}) == {"profile": (10, 15)}
    assert resolve({"profile": "steps=2:2"}, {}) == {"profile": (2, 2)}


@pytest.mark.parametrize(
    "text", ["10:15", "steps=", "steps=1:3", "steps=9:7", "steps=5:900", "steps=3", "steps=2:-3"]
)
def test_a_profile_of_other_steps_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError, match="2 <= FIRST <= LAST and at most 100 steps"):
        resolve({"profile": text}, {})


@pytest.mark.parametrize("text", ["1", "0.5", "-2", "nan", "inf", "much"])
def test_a_straggler_factor_is_above_one_or_off(text: str) -> None:
    assert resolve({"straggler-factor": "0"}, {}) == {"straggler_factor": 0.0}
    with pytest.raises(UsageError, match="above 1"):
        resolve({"straggler-factor": text}, {})
