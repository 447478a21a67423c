"""The rules that depend on the product: 910A, A2 (910B), A3 (910C), A5 (950).

Where the product is not known, what one product would refuse is only noted. Source: `ascend.md`
1.2, 1.4 and 1.5 (HCCL user guide and parsers).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from launcher.rank_table.draft import DeviceDraft, ServerDraft, TableDraft
from launcher.rank_table.model import COUNTS_910A, RING_910A
from launcher.rank_table.problem import Report

PRODUCT_OF_FORM = {"1.2": "A3", "2.0": "A5", "lab": "910A", "cloud": "910A"}
"""Form 1.0 is read by 910A, A2 and A3 (in AI server mode) and tells nothing."""

_HIGHEST_DEVICE = {"910A": 7, "A2": 15, "A3": 15, "A5": 64}

_Say = Callable[..., None]


def check_product(draft: TableDraft, product: str | None, report: Report) -> None:
    """Check the rules of the product, or of the only one that reads this form.

    Args:
        product: one of ``launcher.rank_table.model.PRODUCTS``, or None where it is not known.
    """
    if product is not None:
        _check_form(draft.form, product, report)
    known = product or PRODUCT_OF_FORM.get(draft.form)
    _check_device_ids(draft, known or "A3", report)
    _check_required_addresses(draft, known, report)
    if known in ("910A", None):
        say = partial(report.bad if known else report.note, product="910A")
        _check_910a(draft, say, report if known is None else None)
    if known != "A2" and draft.form != "2.0":
        say = partial(report.bad if known else report.note, product=known or "910A and A3")
        _check_equal(draft, say)


def _check_form(form: str, product: str, report: Report) -> None:
    path = "$.rank_list" if form == "2.0" else "$.version"
    if (form == "2.0") != (product == "A5"):
        right = 'version "2.0" (rank_list)' if product == "A5" else 'version "1.0" or "1.2"'
        message = f"this is a table of form {form}: {product} reads {right}"
        report.bad("version-product", path, message, product=product)
    elif form == "1.2" and product != "A3":
        message = f'version "1.2" is for super pods of A3: write "1.0" for {product}'
        report.note("version-product", path, message, product=product)
    elif form in ("lab", "cloud") and product != "910A":
        message = f"this old form was made for 910A: convert it to version 1.0 for {product}"
        report.note("version-product", "$.group_list", message, product=product)


def _check_device_ids(draft: TableDraft, product: str, report: Report) -> None:
    highest = _HIGHEST_DEVICE[product]
    for device in draft.devices():
        if device.device_id is not None and device.device_id > highest:
            message = f"device {device.device_id}: {product} has the devices 0 to {highest}"
            path = f"{device.path}.device_id"
            report.bad("device-id-range", path, f"{message} (N of /dev/davinciN)", product=product)


def _check_required_addresses(draft: TableDraft, product: str | None, report: Report) -> None:
    if draft.form == "2.0":
        return
    reason = _why_addresses(draft, product)
    for device in draft.devices():
        if device.device_ips or "device_ip" in device.refused:
            continue
        path = f"{device.path}.device_ip"
        if reason:
            message = f"device_ip is missing or empty, but {reason}: see `hccn_tool -i N -ip -g`"
            report.bad("address-missing", path, message, product=product or "")
        elif product is None:
            message = "device_ip is missing or empty: 910A needs it even on one server"
            report.note("address-missing", path, message, product="910A")


def _why_addresses(draft: TableDraft, product: str | None) -> str:
    """Return why every device needs an address, or "" where none does."""
    if product == "910A":
        return "910A needs it always"
    if draft.form == "1.2" and len(draft.super_pods) > 1:
        return "several super pods reach one another by it"
    if draft.form != "1.2" and len(draft.servers) > 1:
        return "several servers reach one another by it"
    return ""


def _check_910a(draft: TableDraft, say: _Say, unknown: Report | None) -> None:
    for server in draft.servers:
        count = len(server.devices)
        if count not in COUNTS_910A:
            message = f"{count} devices: a server of 910A takes part with 1, 2, 4 or 8"
            say("devices-per-server", f"{server.path}.device", message)
        elif count in (2, 4) and _halves(server) == {0, 1}:
            message = (
                f"{count} devices on both sides of 3|4: devices 0-3 and 4-7 are two rings of 910A, "
                "a job of 2 or 4 stays in one"
            )
            say("device-ring", f"{server.path}.device", message)
        high = _first_above(server, _HIGHEST_DEVICE["910A"])
        if unknown is not None and high is not None:
            message = f"device {high.device_id}: 910A has the devices 0 to 7 only"
            say("device-id-range", f"{high.path}.device_id", message)


def _halves(server: ServerDraft) -> set[int]:
    ids = [device.device_id for device in server.devices if device.device_id is not None]
    return {number // RING_910A for number in ids}


def _first_above(server: ServerDraft, highest: int) -> DeviceDraft | None:
    above = (d for d in server.devices if d.device_id is not None and d.device_id > highest)
    return next(above, None)


def _check_equal(draft: TableDraft, say: _Say) -> None:
    if not draft.servers:
        return
    expected = len(draft.servers[0].devices)
    for server in draft.servers[1:]:
        if len(server.devices) != expected:
            message = f"{len(server.devices)} devices here, {expected} on the first server"
            path = f"{server.path}.device"
            say("devices-unequal", path, f"{message}: each server takes part with the same number")
