"""The text of a rank table as strict JSON: bytes in, a document and its problems out."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from launcher.rank_table.problem import Problem, Report, given, step

MAX_BYTES = 64 * 1024 * 1024
_MAX_DIGITS = 18
_BOM = "\ufeff"
_OPENING = re.compile(r'"|//|/\*')
_CLOSING = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_MAX_LEVELS = 16
_UNFINISHED = re.compile(r"\s*(?:[-+.eE\d]*|t(?:ru?)?|f(?:a(?:ls?)?)?|n(?:ul?)?)\Z")
_LAST_ESCAPE = 6


@dataclass(frozen=True)
class Document:
    """A parsed text. ``truncated``: it is no JSON yet, but could be the beginning of one."""

    value: Any
    problems: tuple[Problem, ...] = ()
    readable: bool = True
    truncated: bool = False


def read_document(data: bytes) -> Document:
    """Read bytes as one JSON value, as strictly as HCCL's reader, and tolerate what can be.

    Comments are a problem (HCCL refuses them), but what is left without them is still read, so that
    all other problems are found too.
    """
    report = Report()
    if len(data) > MAX_BYTES:
        report.bad(
            "json-size", "$", f"the file has {len(data)} bytes, more than {MAX_BYTES} bytes: "
            "no rank table is so large; look whether it is the right file"
        )  # fmt: skip
        return Document(None, tuple(report.problems), readable=False)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is no UTF-8 ({error.reason}): save the file as UTF-8"
        report.bad("json-encoding", "$", message)
        cut = error.reason == "unexpected end of data"
        return Document(None, tuple(report.problems), readable=False, truncated=cut)
    return _read_text(text.removeprefix(_BOM), report)


def _read_text(text: str, report: Report) -> Document:
    try:
        value = _decode(text, report)
    except _Refused as refused:
        comment = next(_comments(text), None)
        if comment is not None and refused.rule == "json-invalid":
            return _read_without_comments(text, comment[0], report)
        report.bad(refused.rule, "$", str(refused))
        cut = refused.rule == "json-invalid" and _may_go_on(text, refused.error)
        return Document(None, tuple(report.problems), readable=False, truncated=cut)
    return Document(value, tuple(report.problems))


def _read_without_comments(text: str, first: int, report: Report) -> Document:
    line, column = _place(text, first)
    report.bad(
        "json-comment", "$", f"line {line} column {column}: JSON has no comments and HCCL refuses "
        "the file: remove everything from // to the end of the line, and /* ... */"
    )  # fmt: skip
    try:
        value = _decode(without_comments(text), report)
    except _Refused as refused:
        report.bad(refused.rule, "$", str(refused))
        return Document(None, tuple(report.problems), readable=False)
    return Document(value, tuple(report.problems))


def without_comments(text: str) -> str:
    """Return the text with comments blanked out, every other character in its place."""
    parts = []
    done = 0
    for start, end in _comments(text):
        parts += [text[done:start], re.sub(r"[^\n]", " ", text[start:end])]
        done = end
    return "".join([*parts, text[done:]])


def _comments(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    while found := _OPENING.search(text, position):
        start = found.start()
        if found.group() == "//":
            position = _find(text, "\n", start)
            yield start, position
        elif found.group() == "/*":
            end = text.find("*/", start + 2)
            if end < 0:
                return
            position = end + 2
            yield start, position
        else:
            closing = _CLOSING.match(text, start + 1)
            if closing is None:
                return
            position = closing.end()


def _find(text: str, what: str, start: int) -> int:
    found = text.find(what, start)
    return len(text) if found < 0 else found


class _Refused(Exception):
    def __init__(self, rule: str, message: str, error: json.JSONDecodeError | None = None) -> None:
        super().__init__(message)
        self.rule = rule
        self.error = error


def _decode(text: str, report: Report) -> Any:
    repeated = False

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        value = dict(items)
        if len(value) == len(items):
            return value
        repeated = True
        return _Repeating(items)

    try:
        value = json.loads(
            text, object_pairs_hook=pairs, parse_int=_integer, parse_constant=_no_constant
        )
    except json.JSONDecodeError as error:
        raise _Refused("json-invalid", _explain(text, error), error) from None
    except RecursionError:
        message = "the JSON is nested too deeply: a rank table has at most 7 levels"
        raise _Refused("json-depth", message) from None
    if repeated:
        _report_repeated(value, "$", report)
    return value


class _Repeating(dict[str, Any]):
    """An object of the file in which a key stands more than once."""

    def __init__(self, items: list[tuple[str, Any]]) -> None:
        super().__init__(items)
        counts = Counter(name for name, _ in items)
        self.repeated = sorted(name for name, count in counts.items() if count > 1)


def _report_repeated(value: Any, path: str, report: Report) -> None:
    stack = [(path, value, 0)]
    while stack:
        here, item, level = stack.pop()
        if isinstance(item, _Repeating):
            for name in item.repeated:
                message = f"the key {given(name)} stands here more than once: keep one of them"
                report.bad("key-repeated", here + step(name), message)
        if level < _MAX_LEVELS:
            stack += [(where, inner, level + 1) for where, inner in _inside(item, here)]


def _inside(item: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(item, dict):
        named = ((step(key), inner) for key, inner in item.items())
    elif isinstance(item, list):
        named = ((f"[{index}]", inner) for index, inner in enumerate(item))
    else:
        return
    for name, inner in named:
        if isinstance(inner, dict | list):
            yield path + name, inner


def _integer(digits: str) -> int | float:
    # A number of a million digits would take seconds to read as an int.
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits[:300])


def _no_constant(name: str) -> Any:
    raise _Refused("json-invalid", f"{name} is no JSON value: HCCL refuses the file")


def _explain(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "the file is empty: a JSON object is expected"
    line, column = _place(text, error.pos)
    found = text[error.pos : error.pos + 12].split("\n")[0]
    where = f"line {line} column {column}: {error.msg}, found {found!r}"
    if "..." in found:
        return f"{where}: the dots stand for rows that were left out: write them all"
    return f"{where}: this is no JSON"


def _place(text: str, position: int) -> tuple[int, int]:
    line = text.count("\n", 0, position) + 1
    return line, position - text.rfind("\n", 0, position)


def _may_go_on(text: str, error: json.JSONDecodeError | None) -> bool:
    if error is None or error.msg.startswith("Extra data"):
        return False
    if error.msg.startswith("Unterminated string"):
        return True
    if "escape" in error.msg:
        return len(text) - error.pos <= _LAST_ESCAPE
    # Some Python versions point at the comma before the place where a name is missing.
    rest = text[error.pos :].removeprefix(",")
    return not text.strip() or _UNFINISHED.match(rest) is not None
