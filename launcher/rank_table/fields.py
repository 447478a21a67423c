"""Typed reading of the values of a rank table: each reader reports what is wrong and goes on.

A reader returns the value where it can be made out in spite of a problem (a number written with the
wrong JSON type), so that one mistake is reported once, and None where it cannot.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Any

from launcher.rank_table.problem import Report, given, step

MAX_U32 = 2**32 - 2
_MAX_PORT = 65535
_RESERVED_PORTS = 1023
_PLACEHOLDER = re.compile(
    r"[*<>\[\]{}$?]|\.\.\.|-\.-|\bx+\b|^(none|null|reserve|(device_)?ip)$", re.IGNORECASE
)

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_placeholder(text: str) -> bool:
    """Tell whether a text only stands for a value, as 10.*.*.*, -.-.-.-, [device_ip] do."""
    return _PLACEHOLDER.search(text) is not None


def text_at(
    report: Report, item: dict[str, Any], path: str, key: str, *, required: bool = False
) -> str | None:
    """Return the string under a key."""
    known = item.get(key)
    if isinstance(known, str):  # nearly all of them: a large table has tens of thousands
        return known
    value = _value(report, item, path, key, required)
    if value is None:
        return None
    message = f"{key} is {given(value)}: a JSON string is expected, write it in quotes"
    report.bad("type-string", f"{path}.{key}", message)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def name_at(
    report: Report, item: dict[str, Any], path: str, key: str, *, max_length: int = 64
) -> str | None:
    """Return the required, non-empty name under a key."""
    text = text_at(report, item, path, key, required=True)
    if text == "":
        report.bad("text-empty", f"{path}.{key}", f"{key} is empty: a unique name is expected")
        return None
    if text is not None and len(text) > max_length:
        message = f"{key} has {len(text)} characters, at most {max_length} are allowed"
        report.bad("text-length", f"{path}.{key}", message)
    return text


def digits_at(
    report: Report,
    item: dict[str, Any],
    path: str,
    key: str,
    *,
    required: bool = False,
    most: int = MAX_U32,
) -> int | None:
    """Return the number under a key that HCCL wants as a string of digits (forms 1.0, 1.2, old)."""
    text = text_at(report, item, path, key, required=required)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        message = f'{key} is {given(text)}: only digits are expected, such as "0"'
        report.bad("number-invalid", f"{path}.{key}", message)
        return None
    if len(text) > len(str(MAX_U32)) or int(text) > most:
        message = f"{key} is {given(text)}: at most {most} is allowed"
        report.bad("number-range", f"{path}.{key}", message)
        return None
    return int(text)


def integer_at(
    report: Report,
    item: dict[str, Any],
    path: str,
    key: str,
    *,
    required: bool = False,
    most: int = MAX_U32,
) -> int | None:
    """Return the number under a key that HCCL wants as a JSON integer (form 2.0)."""
    known = item.get(key)
    if type(known) is int and 0 <= known <= most:
        return known
    value = _value(report, item, path, key, required)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        message = f"{key} is {given(value)}: in form 2.0 a JSON integer without quotes is expected"
        report.bad("type-integer", f"{path}.{key}", message)
        if not (isinstance(value, str) and value.isascii() and value.isdigit()):
            return None
        value = int(value[:10])
    if not 0 <= value <= most:
        message = f"{key} is {given(value)}: 0 to {most} is allowed"
        report.bad("number-range", f"{path}.{key}", message)
        return None
    return value


def check_port(report: Report, port: int | None, path: str) -> int | None:
    """Report a port that HCCL refuses, or that belongs to the system."""
    if port is None:
        return None
    if not 1 <= port <= _MAX_PORT:
        report.bad("port-range", path, f"port {port}: 1 to {_MAX_PORT} is allowed")
        return None
    if port <= _RESERVED_PORTS:
        message = f"port {port} is reserved for the system: use one above {_RESERVED_PORTS}"
        report.note("port-reserved", path, message)
    return port


def addresses_at(report: Report, item: dict[str, Any], path: str, key: str) -> tuple[str, ...]:
    """Return the valid addresses of a comma-separated value; none for an absent or empty one."""
    text = text_at(report, item, path, key)
    if not text:
        return ()
    parts = text.split(",")
    if parts[-1] == "":
        parts.pop()
    return tuple(part for part in parts if check_address(report, part, f"{path}.{key}"))


def check_address(report: Report, text: str, path: str) -> bool:
    """Report a text that is no IPv4 or IPv6 address; tell whether it is one."""
    if parse_address(text) is not None:
        return True
    if is_placeholder(text):
        message = f"{given(text)} stands for an address: fill in the real one"
        report.bad("address-placeholder", path, message)
    else:
        message = f"{given(text)} is no IPv4 or IPv6 address: see `hccn_tool -i N -ip -g`"
        report.bad("address-invalid", path, message)
    return False


@lru_cache(maxsize=1 << 15)
def parse_address(text: str) -> Address | None:
    """Return the address that a text is, or None; a table names each of its own several times."""
    if len(text) > 128:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def objects_at(
    report: Report, item: dict[str, Any], path: str, key: str, *, may_be_empty: bool = False
) -> list[tuple[str, dict[str, Any]]]:
    """Return the objects of a required list, each with its path."""
    value = _value(report, item, path, key, required=True)
    where = f"{path}.{key}"
    if value is None:
        return []
    if not isinstance(value, list):
        report.bad("type-list", where, f"{key} is {given(value)}: a list [...] is expected")
        return []
    if not value:
        say = report.note if may_be_empty else report.bad
        say("list-empty", where, f"{key} is empty: at least one entry is expected")
    return list(_objects(report, value, where))


def _objects(report: Report, value: list[Any], where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, inner in enumerate(value):
        if isinstance(inner, dict):
            yield f"{where}[{index}]", inner
        else:
            message = f"{given(inner)} stands where an object {{...}} is expected"
            report.bad("type-object", f"{where}[{index}]", message)


def check_count(report: Report, stated: int | None, counted: int, path: str) -> None:
    """Report a count that differs from what it counts."""
    if stated is not None and stated != counted:
        message = f"{stated} is stated, but there are {counted}: correct the number or the list"
        report.bad("count-mismatch", path, message)


def note_unknown(
    report: Report, seen: set[str], item: dict[str, Any], known: AbstractSet[str], path: str
) -> None:
    """Note keys that no parser reads, each once per place in the table."""
    if item.keys() <= known:
        return
    for key in item:
        if key in known:
            continue
        where = path + step(key)
        generic = re.sub(r"\[\d+\]", "[]", where)
        if generic not in seen:
            seen.add(generic)
            message = "HCCL does not read this key: it is ignored"
            report.note("key-unknown", where, message)


def _value(report: Report, item: dict[str, Any], path: str, key: str, required: bool) -> Any | None:
    if key in item:
        value = item[key]
        if value is None:
            message = f"{key} is null: give a value or leave the key out"
            report.bad("key-missing", f"{path}.{key}", message)
        return value
    if required:
        report.bad("key-missing", f"{path}.{key}", f"{key} is missing here: add it")
    return None
