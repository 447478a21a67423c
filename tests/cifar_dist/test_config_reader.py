from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cifar_dist.config.reader import MAX_BYTES, parse_document, parse_scalar, read_document
from cifar_dist.errors import ConfigError


def read(text: str) -> dict[str, object]:
    return parse_document(text, "r.yaml").values


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        ("-2.5e+1", -25.0),
        (".5", 0.5),
        ("3.", 3.0),
        ("1_000", 1000),
        ("-7", -7),
        ("0", 0),
        ("00", 0),
        ("0.1", 0.1),
        ("true", True),
        ("False", False),
        ("on", "on"),
        ("no", "no"),
        ("null", None),
        ("~", None),
        ("", None),
        ("'1'", "1"),
        ('"true"', "true"),
        ("0x10", "0x10"),
        ("1:30", "1:30"),
        ("2026-01-02", "2026-01-02"),
        ("1e", "1e"),
        ("/a/b c", "/a/b c"),
        (".inf", float("inf")),
    ],
)
def test_plain_text_means_the_same_in_a_file_and_in_an_override(text: str, value: object) -> None:
    assert read(f"a: {text}")["a"] == value
    assert parse_scalar(text) == value
    assert type(read(f"a: {text}")["a"]) is type(value)


@pytest.mark.parametrize("text", ["010", "-007", "0_8"])
def test_a_whole_number_with_a_leading_zero_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"r.yaml:2: '.*' begins with 0"):
        read(f"a: 1\nb: {text}")
    with pytest.raises(ValueError, match="begins with 0"):
        parse_scalar(text)


def test_every_key_has_its_line() -> None:
    document = parse_document("# head\na:\n  b: 1\n\n  c: {d: 2}\n", "r.yaml")
    assert document.lines == {("a",): 2, ("a", "b"): 3, ("a", "c"): 5, ("a", "c", "d"): 5}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n  b: 1\n  b: 2\n", "r.yaml:3: 'a.b' is given twice, first in line 2"),
        ("a: &x 1\n", "r.yaml:1: anchors and aliases"),
        ("a: 1\nb: *x\n", "r.yaml:2: anchors and aliases"),
        ("a: !!python/object/apply:os.system ['id']\n", "r.yaml:1: the tag "),
        ("a: !!float 1\n", "r.yaml:1: the tag "),
        ("- a\n- b\n", "r.yaml:1: the top level must be a mapping"),
        ("just text\n", "r.yaml:1: the top level must be a mapping"),
        ("", "r.yaml: is empty"),
        ("# only a comment\n", "r.yaml: is empty"),
        ("a: 1\n---\nb: 2\n", "r.yaml:2: "),
        ("1: a\n", "r.yaml:1: a key must be text"),
        ("? [a]\n: b\n", "r.yaml:1: a key must be text"),
        ("a: [1, 2\n", "r.yaml:2: "),
        ("a: 1\n\tb: 2\n", "r.yaml:2: "),
        ("a: 1\nb: \x07\n", "r.yaml:2: a character that YAML does not allow"),
        ("a: " + "[" * 5000, "r.yaml:1: more than 20 levels"),
        ("a: " + "9" * 5000, "r.yaml:1: '9"),
    ],
)
def test_what_is_outside_of_recipes_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(text)
    assert str(caught.value).startswith(message)


def test_a_file_that_is_too_large_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    path.write_text("#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="larger than 100,000 bytes"):
        read_document(path)


def test_a_file_that_is_no_text_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: \xe9\n")
    with pytest.raises(ConfigError, match=r"latin.yaml:2: not UTF-8"):
        read_document(path)


def test_a_folder_or_a_missing_file_is_one_message(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_document(path)


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    try:
        values: object = read(text)
    except ConfigError as error:
        values = {"refused": str(error)}
    assert isinstance(values, dict)
    assert str(values.get("refused", "r.yaml")).startswith("r.yaml")
