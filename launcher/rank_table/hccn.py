"""Addresses of devices as /etc/hccn.conf and hccn_tool tell them: text in, values out."""

from __future__ import annotations

import re
from dataclasses import dataclass

from launcher.rank_table.fields import parse_address

_CONF_LINE = re.compile(r"^\s*(?P<key>[A-Za-z_]\w*?)_(?P<device>\d{1,4})\s*=\s*(?P<value>.*?)\s*$")
_TOOL_CALL = re.compile(r"hccn_tool\s+-i\s+(\d{1,4})\s+(-\S+)")
_FIELD = re.compile(r"^\s*(ipaddr|inet|ip|netmask)\s*:\s*(\S+)\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class DeviceAddresses:
    """What was found: device_id to address, and what was wrong, as messages."""

    addresses: dict[int, str]
    findings: tuple[str, ...] = ()


def parse_hccn_conf(text: str) -> DeviceAddresses:
    """Return the ``address_N=`` lines of a hccn.conf; other keys are passed over."""
    addresses: dict[int, str] = {}
    findings = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = _CONF_LINE.match(line)
        if match is None or match["key"] != "address":
            continue
        device_id = int(match["device"])
        if parse_address(match["value"]) is None:
            findings.append(
                f"line {number}: address_{device_id}={match['value'][:60]!r} is no address"
            )
        elif addresses.setdefault(device_id, match["value"]) != match["value"]:
            findings.append(
                f"line {number}: address_{device_id} is given twice, {addresses[device_id]} and "
                f"{match['value']}: the first is used"
            )
    return DeviceAddresses(addresses, tuple(findings))


def parse_ip_output(text: str) -> str | None:
    """Return the address in the output of ``hccn_tool -i N -ip -g``; None where none is set.

    IPv6 addresses hold colons: only the first colon of a line separates.
    """
    for line in text.splitlines():
        match = _FIELD.match(line)
        if match and match[1].lower() != "netmask" and parse_address(match[2]) is not None:
            return match[2]
    return None


def parse_ip_collection(text: str) -> DeviceAddresses:
    """Return the addresses in a record of many hccn_tool calls, each after its command line."""
    addresses: dict[int, str] = {}
    findings = []
    for match, block in _calls(text):
        if match[2] != "-ip":
            continue
        device_id = int(match[1])
        address = parse_ip_output(block)
        if address is None:
            findings.append(f"device {device_id} has no address")
        else:
            addresses[device_id] = address
    return DeviceAddresses(addresses, tuple(findings))


def _calls(text: str) -> list[tuple[re.Match[str], str]]:
    calls = list(_TOOL_CALL.finditer(text))
    ends = [call.start() for call in calls[1:]] + [len(text)]
    return [(call, text[call.end() : end]) for call, end in zip(calls, ends, strict=True)]
