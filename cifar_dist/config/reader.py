"""YAML text to plain values, with the line of every key.

A small, safe part of YAML: mappings, lists and scalars. Where YAML 1.1 surprises, this reader does
not: ``1e-3`` is a number, ``on`` and ``no`` are text, ``010`` is refused (8 or 10?), and so are
duplicate keys, anchors, tags and a second document. Size and depth are bounded.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cifar_dist.errors import ConfigError

MAX_BYTES = 100_000
MAX_DEPTH = 20
_TAG = "tag:yaml.org,2002:"
_NOT_FINITE = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}

RESOLVERS = (
    (_TAG + "null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    (_TAG + "bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    (_TAG + "int", re.compile(r"^[-+]?[0-9][0-9_]*$"), list("-+0123456789")),
    (
        _TAG + "float",
        re.compile(
            r"^(?:[-+]?(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
            r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
        ),
        list("-+0123456789."),
    ),
)
"""What plain text means, first match first: (tag, pattern, first characters)."""

_LEADING_ZERO = re.compile(r"^[-+]?0[0-9_]")


@dataclass(frozen=True)
class Document:
    """A mapping read from one file, and the line of each of its keys."""

    values: dict[str, Any]
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _error("anchors and aliases (& and *) are not used in recipes", event)
        if getattr(event, "tag", None) is not None:
            raise _error(f"the tag '{event.tag}' is not allowed", event)
        if self.depth >= MAX_DEPTH:
            raise _error(f"more than {MAX_DEPTH} levels", event)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def teach(kind: type[yaml.resolver.BaseResolver]) -> None:
    """Give a loader or dumper class the meaning of plain text that recipes have."""
    kind.yaml_implicit_resolvers = {}
    for tag, pattern, first in RESOLVERS:
        kind.add_implicit_resolver(tag, pattern, first)


teach(_Loader)


def read_document(path: Path) -> Document:
    """Read a YAML file whose top level is a mapping.

    Raises:
        ConfigError: no such file, too large, no UTF-8, no YAML, or outside the part of YAML that
            recipes use; the message names the file and the line.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES:,} bytes: this is no recipe")
    try:
        return parse_document(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text: save the file as UTF-8") from None


def parse_document(text: str, name: str) -> Document:
    """Read YAML text; ``name`` is what messages call it. See :func:`read_document`."""
    try:
        node = yaml.compose(text, Loader=_Loader)
        if node is None:
            raise ConfigError(f"{name}: is empty: a recipe needs at least model, train, optimizer")
        if not isinstance(node, yaml.MappingNode):
            raise _error("the top level must be a mapping of sections such as 'model:'", node)
        lines: dict[tuple[str, ...], int] = {}
        return Document(_value(node, (), lines), lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        problem = error.problem or error.context or "not valid YAML"
        raise ConfigError(f"{where}: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(f"{name}:{line}: a character that YAML does not allow") from None


def parse_value(text: str) -> Any:
    """Return what an override's text means: a scalar, or a flat list such as ``[100, 150]``.

    Raises:
        ValueError: as :func:`parse_scalar`.
    """
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return parse_scalar(text)
    inner = text[1:-1].strip()
    return [parse_scalar(item) for item in inner.split(",")] if inner else []


def parse_scalar(text: str) -> Any:
    """Return what a plain or quoted piece of text means in a recipe: ``1e-3`` -> 0.001.

    Raises:
        ValueError: a whole number with a leading zero.
    """
    text = text.strip()
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    tag = next((tag for tag, pattern, _ in RESOLVERS if pattern.match(text)), "")
    return _scalar(tag, text)


def _value(node: yaml.Node, at: tuple[str, ...], lines: dict[tuple[str, ...], int]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, at, lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, at, lines) for item in node.value]
    try:
        return _scalar(node.tag, node.value)
    except ValueError as error:
        raise _error(str(error), node) from None


def _mapping(
    node: yaml.MappingNode, at: tuple[str, ...], lines: dict[tuple[str, ...], int]
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = key_node.value
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != _TAG + "str":
            raise _error("a key must be text", key_node)
        here = (*at, key)
        if key in values:
            raise _error(
                f"'{'.'.join(here)}' is given twice, first in line {lines[here]}", key_node
            )
        lines[here] = key_node.start_mark.line + 1
        values[key] = _value(value_node, here, lines)
    return values


def _scalar(tag: str, text: str) -> Any:
    convert: Callable[[str], Any] = _CONVERT.get(tag, str)
    return convert(text)


def _whole_number(text: str) -> int:
    digits = text.replace("_", "")
    if _LEADING_ZERO.match(digits) and digits.strip("+-0"):
        raise ValueError(f"'{text}' begins with 0: write {int(digits)}, or quote it if it is text")
    if len(digits) > 30:
        raise ValueError(f"'{text[:30]}...' is too long for a number")
    return int(digits)


def _float(text: str) -> float:
    special = _NOT_FINITE.get(text.lower())
    return special if special is not None else float(text.replace("_", ""))


_CONVERT: dict[str, Callable[[str], Any]] = {
    _TAG + "null": lambda text: None,
    _TAG + "bool": lambda text: text.lower() == "true",
    _TAG + "int": _whole_number,
    _TAG + "float": _float,
}


def _error(problem: str, at: Any) -> yaml.MarkedYAMLError:
    """Make an error at the place of a YAML node or event."""
    return yaml.MarkedYAMLError(problem=problem, problem_mark=at.start_mark)
