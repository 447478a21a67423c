"""A YAML file as typed values that know their line: closed keys, no key twice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from launcher.errors import UsageError
from launcher.ranges import parse_ranges

_NULL, _INT, _STR = (f"tag:yaml.org,2002:{kind}" for kind in ("null", "int", "str"))


MAX_BYTES = 16 * 1024 * 1024
"""A cluster file of 100 000 nodes with an address each is half as long."""


def read_yaml(path: Path) -> Value:
    """Return the one document of a file.

    Raises:
        UsageError: it cannot be read, is longer than MAX_BYTES, or is no YAML.
    """
    try:
        root = yaml.compose(_text(path), Loader=_loader())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: byte {error.start} is no UTF-8: save the file as UTF-8"
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        what = getattr(error, "problem", None) or getattr(error, "reason", "nested too deeply")
        raise UsageError(f"{path}{line}: this is no YAML: {what}") from None
    if root is None:
        raise UsageError(f"{path}: the file is empty; it must say at least `nodes:`")
    return Value(str(path), root, "the file")


def _text(path: Path) -> str:
    with open(path, "rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{path}: the file is longer than {MAX_BYTES} bytes: this is no cluster file; what "
            "all nodes have in common stands once, above `nodes:`"
        )
    return data.decode("utf-8")


def _loader() -> type[Any]:
    """Return libyaml's parser where PyYAML has it, which takes a fraction of the time.

    Nodes are still composed in Python: libyaml's loader crashes on deeply nested text.
    """
    if not yaml.__with_libyaml__:
        return yaml.SafeLoader
    from yaml.composer import Composer
    from yaml.cyaml import CParser  # type: ignore[attr-defined]
    from yaml.resolver import Resolver

    class Loader(Composer, CParser, Resolver):
        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)
            Composer.__init__(self)
            Resolver.__init__(self)

    return Loader


@dataclass(frozen=True)
class Value:
    """A node of the document; each method returns it as one type or raises UsageError."""

    file: str
    node: yaml.Node
    name: str

    def refuse(self, what: str) -> UsageError:
        line = self.node.start_mark.line + 1
        return UsageError(f"{self.file}:{line}: {self.name}: {what}")

    def mapping(self, allowed: Iterable[str] | None = None) -> dict[str, Value]:
        """Return the keys and values; with ``allowed`` any other key is refused."""
        if not isinstance(self.node, yaml.MappingNode):
            raise self.refuse(f"{self._given()} stands where `key: value` lines are expected")
        found: dict[str, Value] = {}
        for key, value in self.node.value:
            name = str(key.value)
            here = Value(self.file, key, name)
            if not isinstance(key, yaml.ScalarNode):
                raise here.refuse("a key must be one word")
            if name in found:
                raise here.refuse("the key stands here twice: keep one of them")
            if allowed is not None and name not in set(allowed):
                raise here.refuse(_unknown(name, list(allowed)))
            found[name] = Value(self.file, value, name)
        return found

    def items(self) -> Iterator[Value]:
        if not isinstance(self.node, yaml.SequenceNode):
            raise self.refuse(f"{self._given()} stands where a list (- ...) is expected")
        for index, item in enumerate(self.node.value):
            yield Value(self.file, item, f"{self.name}[{index}]")

    @property
    def is_mapping(self) -> bool:
        return isinstance(self.node, yaml.MappingNode)

    def text(self) -> str:
        """Return a text that is not empty; numbers and switches must be quoted to be texts."""
        if self._scalar(_STR) is None or not self.node.value:
            raise self.refuse(f"{self._given()} is no text: put it in quotes if it is meant so")
        return str(self.node.value)

    def plain(self) -> str:
        """Return any scalar as it is written, for the value of an environment variable."""
        if not isinstance(self.node, yaml.ScalarNode) or self.node.tag == _NULL:
            raise self.refuse(f"{self._given()} stands where one value is expected")
        return str(self.node.value)

    def whole(self, least: int, most: int) -> int:
        text = self._scalar(_INT)
        digits = text if text is not None and text.isascii() and text.isdecimal() else ""
        if not digits or len(digits) > 18 or not least <= int(digits) <= most:
            raise self.refuse(f"{self._given()} is no whole number from {least} to {most}")
        return int(digits)

    def choice(self, allowed: Iterable[str]) -> str:
        text = self.plain()
        if text not in set(allowed):
            raise self.refuse(f"{text!r} is none of {', '.join(allowed)}")
        return text

    def numbers(self) -> tuple[int, ...]:
        """Return ``0-3,6`` or a list of numbers, which must go up."""
        parts = self.items() if isinstance(self.node, yaml.SequenceNode) else [self]
        try:
            found = parse_ranges(",".join(part.plain() for part in parts))
        except ValueError as error:
            raise self.refuse(f"{error}") from None
        if list(found) != sorted(set(found)):
            raise self.refuse("device ids must go up, each once")
        return found

    def _scalar(self, tag: str) -> str | None:
        if isinstance(self.node, yaml.ScalarNode) and self.node.tag == tag:
            return str(self.node.value)
        return None

    def _given(self) -> str:
        if isinstance(self.node, yaml.ScalarNode):
            return "nothing" if self.node.tag == _NULL else repr(self.node.value[:60])
        return "a list" if isinstance(self.node, yaml.SequenceNode) else "a group of keys"


def _unknown(name: str, allowed: list[str]) -> str:
    near = get_close_matches(name, allowed, n=1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    return f"there is no such key{guess}; keys here: {', '.join(allowed)}"
