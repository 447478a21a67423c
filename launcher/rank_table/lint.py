"""Reads a rank table and reports every problem: the one way in, for files and for bytes."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.errors import RankTableError
from launcher.rank_table.document import MAX_BYTES, Document, read_document
from launcher.rank_table.draft import TableDraft, to_table
from launcher.rank_table.group_list import read_group_list
from launcher.rank_table.model import COMPLETED, INITIALIZING, PRODUCTS, RankTable
from launcher.rank_table.pods import check_super_pods
from launcher.rank_table.problem import BAD, Problem, Report, given, is_bad
from launcher.rank_table.products import check_product
from launcher.rank_table.rank_list import read_rank_list
from launcher.rank_table.rules import (
    check_addresses,
    check_devices,
    check_levels,
    check_ranks,
    check_servers,
)
from launcher.rank_table.server_list import read_server_list

_INFERENCE_KEYS = ("prefill_device_list", "decode_device_list", "server_group_list")
_MAX_SHOWN = 50


@dataclass(frozen=True)
class Reading:
    """What came of reading a table.

    Args:
        table: the model; None where any problem is bad.
        waiting: it is not bad but not finished yet: empty, cut off, or ``initializing``.
    """

    table: RankTable | None
    problems: tuple[Problem, ...] = ()
    waiting: bool = False


def read_table(data: bytes, *, product: str | None = None) -> Reading:
    """Read the bytes of a rank table of any form. Never raises, whatever the bytes are.

    Args:
        product: one of :data:`launcher.rank_table.model.PRODUCTS`; None = only rules that hold on
            all products that read this form, the others become notes.
    """
    if product is not None and product not in PRODUCTS:
        raise ValueError(f"product {product!r} is none of {PRODUCTS}")
    with _no_garbage_collection():
        return _read(data, product)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Let nobody look for cycles among the objects of a table, which has none but very many."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(data: bytes, product: str | None) -> Reading:
    document = read_document(data)
    report = Report()
    for problem in document.problems:
        report.add(problem)
    if not document.readable:
        return Reading(None, document.problems, waiting=document.truncated)
    if _is_initializing(document):
        message = "status is 'initializing': its writer has not finished it yet, wait for it"
        report.bad("status-value", "$.status", message)
        return Reading(None, tuple(report.problems), waiting=True)
    draft = _read_draft(document.value, report)
    if draft is not None:
        _check(draft, product, report)
    problems = tuple(report.problems)
    return Reading(None if draft is None or is_bad(problems) else to_table(draft), problems)


def read_file(path: Path, *, product: str | None = None) -> Reading:
    """Read a file, and check its name and path as HCCL does."""
    try:
        return read_content(path, content_of(path), product=product)
    except (OSError, ValueError) as error:
        report = Report()
        check_path(path, report)
        reason = getattr(error, "strerror", None) or str(error)
        report.bad("file-path", "$", f"{path} cannot be read: {reason}")
        return Reading(None, tuple(report.problems))


def content_of(path: Path) -> bytes:
    """Return the bytes of a file, of a too large one only as many as show that it is."""
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def read_content(path: Path, content: bytes, *, product: str | None = None) -> Reading:
    """Read the bytes that stand in a file, and check the file's name."""
    report = Report()
    check_path(path, report)
    reading = read_table(content, product=product)
    problems = (*report.problems, *reading.problems)
    return Reading(None if is_bad(problems) else reading.table, problems, reading.waiting)


def parse(data: bytes, *, product: str | None = None, name: str = "rank table") -> RankTable:
    """Return the model of a table.

    Raises:
        RankTableError: the table cannot be used; the message lists every problem.
    """
    return _usable(read_table(data, product=product), name)


def load(path: Path, *, product: str | None = None) -> RankTable:
    """Return the model of a table in a file; raises as :func:`parse`."""
    return _usable(read_file(path, product=product), str(path))


def _usable(reading: Reading, name: str) -> RankTable:
    if reading.table is None:
        raise RankTableError(describe(reading.problems, name))
    return reading.table


def describe(problems: Iterable[Problem], name: str) -> str:
    """Return the one message for a table that cannot be used."""
    bad = [problem for problem in problems if problem.severity == BAD]
    lines = [f"{name}: {len(bad)} problem{'s' * (len(bad) != 1)} in this rank table"]
    lines += [f"  {problem}" for problem in bad[:_MAX_SHOWN]]
    if len(bad) > _MAX_SHOWN:
        lines.append(f"  ... and {len(bad) - _MAX_SHOWN} more: `launcher rank-table check`")
    return "\n".join(lines)


def check_path(path: Path, report: Report) -> None:
    """Report a file name that HCCL would not open (EI0004)."""
    text = str(path)
    if not path.name.endswith(".json"):
        message = f"the file name {given(path.name)} does not end in .json: rename the file"
        report.bad("file-name", "$", message)
    elif path.name == ".json":
        report.bad("file-name", "$", "the file has no name before .json: rename it")
    elif text.find(".json") != len(text) - len(".json"):
        message = f"the path {given(text)} has .json twice: HCCL of 2024 refuses it, rename it"
        report.note("file-name", "$", message)


def _is_initializing(document: Document) -> bool:
    value = document.value
    return isinstance(value, dict) and value.get("status") == INITIALIZING


def _read_draft(value: Any, report: Report) -> TableDraft | None:
    if not isinstance(value, dict):
        message = f"{given(value)} stands where the table {{...}} is expected"
        report.bad("not-a-table", "$", message)
        return None
    found = [key for key in _INFERENCE_KEYS if key in value]
    if found and "server_list" not in value:
        message = f"{found[0]} belongs to a prefill/decode table of an inference service"
        report.bad("inference-table", f"$.{found[0]}", f"{message}: training needs server_list")
        return None
    form = _form(value, report)
    if form is None:
        return None
    _check_status(value, form, report)
    if form == "2.0":
        return read_rank_list(value, report)
    if form in ("lab", "cloud"):
        return read_group_list(value, form, report)
    return read_server_list(value, form, report)


def _form(value: dict[str, Any], report: Report) -> str | None:
    """Return the form of a table; the likeliest where its version is wrong, to find all faults."""
    if "version" not in value and "group_list" in value:
        return "lab" if value.get("deploy_mode") == "lab" else "cloud"
    likely = "2.0" if "rank_list" in value and "server_list" not in value else "1.0"
    likely = "1.2" if "super_pod_list" in value else likely
    version = value.get("version")
    if version is None:
        if not {"server_list", "rank_list", "group_list", "status"} & value.keys():
            message = "none of the keys of a rank table is here: look whether it is the right file"
            report.bad("not-a-table", "$", message)
            return None
        report.bad("version-missing", "$.version", f'version is missing: write "{likely}"')
    elif not isinstance(version, str):
        message = f'version is {given(version)}: a JSON string is expected, such as "{likely}"'
        report.bad("type-string", "$.version", message)
    elif version in ("1.0", "1.2", "2.0"):
        return version
    else:
        message = f'version is {given(version)}: HCCL reads "1.0", "1.2" and, on A5, "2.0"'
        report.bad("version-unsupported", "$.version", message)
    return likely


def _check_status(value: dict[str, Any], form: str, report: Report) -> None:
    status = value.get("status")
    if "status" not in value:
        message = "status is missing"
        if form == "2.0":
            report.note("key-missing", "$.status", f"{message}: 2.0 allows it")
        else:
            report.bad("key-missing", "$.status", f'{message}: write "completed" where it is')
    elif not isinstance(status, str):
        message = f'status is {given(status)}: a JSON string is expected, "completed"'
        report.bad("type-string", "$.status", message)
    elif status != COMPLETED:
        message = f'status is {given(status)}: "completed" is expected'
        report.bad("status-value", "$.status", message)


def _check(draft: TableDraft, product: str | None, report: Report) -> None:
    check_ranks(draft, report)
    check_servers(draft, report)
    check_devices(draft, report)
    check_addresses(draft, report)
    check_super_pods(draft, report)
    check_levels(draft, report)
    check_product(draft, product, report)
