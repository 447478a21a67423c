"""README.zh-CN.md says what README.md says: the same commands, tables, names, links, sections."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"(^|\s+)#\s.*$", re.MULTILINE)


@pytest.fixture(scope="module")
def both() -> tuple[str, str]:
    names = ("README.md", "README.zh-CN.md")
    one, other = ((ROOT / name).read_text(encoding="utf-8") for name in names)
    return one, re.sub(r"<!--.*?-->", "", other, flags=re.DOTALL)


def blocks(text: str) -> list[str]:
    """Return what is in code blocks, without comments, which may be translated."""
    return [_COMMENT.sub("", block) for block in _FENCE.findall(text)]


def prose(text: str) -> str:
    return _FENCE.sub("", text)


def tables(text: str) -> list[list[list[str]]]:
    """Return the cells of each table, without its head, whose words may be translated."""
    found: list[list[list[str]]] = []
    for part in re.findall(r"(?:^\|.*\|\n)+", prose(text) + "\n", re.MULTILINE):
        rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in part.splitlines()]
        found.append(rows[2:])
    return found


def test_the_commands_are_the_same(both: tuple[str, str]) -> None:
    assert blocks(both[1]) == blocks(both[0])


def test_the_rows_of_tables_are_the_same(both: tuple[str, str]) -> None:
    ours, theirs = (tables(text) for text in both)
    assert [[row[0] for row in table] for table in theirs] == [
        [row[0] for row in table] for table in ours
    ]
    for table, other in zip(ours, theirs, strict=True):
        assert [len(row) for row in other] == [len(row) for row in table]
        assert all(all(row) for row in other)


def test_the_sections_are_the_same(both: tuple[str, str]) -> None:
    ours, theirs = (
        [len(level) for level in re.findall(r"^(#+) ", prose(text), re.MULTILINE)] for text in both
    )
    assert theirs == ours


def test_what_is_typed_is_named_in_both(both: tuple[str, str]) -> None:
    ours, theirs = (
        Counter(" ".join(one.split()) for one in re.findall(r"`([^`]+)`", prose(text)))
        for text in both
    )
    assert {"only here": theirs - ours, "missing": ours - theirs} == {
        "only here": Counter(),
        "missing": Counter(),
    }


def test_the_links_are_the_same(both: tuple[str, str]) -> None:
    ours, theirs = (re.findall(r"\]\(([^)]+)\)", prose(text)) for text in both)
    ours, theirs = ([one for one in links if "README" not in one] for links in (ours, theirs))
    assert Counter(theirs) == Counter(ours)
    for link in theirs:
        assert (ROOT / link.split("#")[0]).exists(), link


def test_it_is_chinese(both: tuple[str, str]) -> None:
    for paragraph in re.split(r"\n\s*\n", prose(both[1])):
        words = re.sub(r"`[^`]*`|\[[^]]*\]\([^)]*\)|!\[[^]]*\]", "", paragraph)
        if len(re.findall(r"[A-Za-z]{3,}", words)) > 12:
            assert re.search(r"[\u4e00-\u9fff]", words), paragraph
