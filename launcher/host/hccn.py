"""What hccn_tool says of a device's link and TLS switch: text in, values out."""

from __future__ import annotations

import re

_LINK = re.compile(r"^\s*link status\s*:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_TLS = re.compile(r"\btls switch\s*\[(\d)\]", re.IGNORECASE)


def parse_link(text: str) -> str | None:
    """Return the word in the output of ``hccn_tool -i N -link -g``, UP or DOWN; None without."""
    match = _LINK.search(text)
    return match[1].upper() if match else None


def parse_tls(text: str) -> bool | None:
    """Return whether TLS is on, from the output of ``hccn_tool -i N -tls -g``; None without."""
    match = _TLS.search(text)
    return match[1] == "1" if match else None
