"""Whether the kernel thinks that its clock is set by a time server (adjtimex(2))."""

from __future__ import annotations

import ctypes

_STA_UNSYNC = 0x0040
_TIMEX_BYTES = 256
_STATUS_OFFSET = 40  # after modes (int), offset, freq, maxerror, esterror (long), all 8-aligned


def is_synchronised() -> bool | None:
    """Return the kernel's word; None where it gives none (a sandbox without the call)."""
    if ctypes.sizeof(ctypes.c_long) != 8:
        return None
    buffer = ctypes.create_string_buffer(_TIMEX_BYTES)
    try:
        if ctypes.CDLL(None).adjtimex(buffer) < 0:
            return None
    except (OSError, AttributeError):
        return None
    return not ctypes.c_int.from_buffer(buffer, _STATUS_OFFSET).value & _STA_UNSYNC
