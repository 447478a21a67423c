"""HCCL's own settings for the workers of a job: what the user said stays, the rest is made to fit.

Ranges and defaults: the HCCL user guide (hccl_env), as `ascend.md` 2.3 lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from launcher.errors import UsageError

CONNECT, EXEC = "HCCL_CONNECT_TIMEOUT", "HCCL_EXEC_TIMEOUT"
BASE_PORT, PORTS = "HCCL_IF_BASE_PORT", 32
_CONNECT_S = 600
_LEAST_CONNECT_S, _MOST_CONNECT_S = 120, 7200
_EXEC_S, _MOST_EXEC_S, _STEP_S = 1836, 17340, 68
_MARGIN_S = 120
_RANGES = {
    CONNECT: (_LEAST_CONNECT_S, _MOST_CONNECT_S),
    EXEC: (0, 2**31 - 1),
    BASE_PORT: (1024, 65520),
}


class HcclSettings(NamedTuple):
    """Variables to set, and what a user should know of them."""

    environment: dict[str, str]
    notes: tuple[str, ...] = ()


def hccl_settings(
    given: Mapping[str, str],
    *,
    hang_timeout_s: float,
    choose_base_port: Callable[[], int] | None,
) -> HcclSettings:
    """Return the settings that are missing.

    HCCL_CONNECT_TIMEOUT covers ranks that compile for different times; HCCL_EXEC_TIMEOUT is longer
    than both it and the launcher's own watch, so that the launcher finds a hang first and can say
    which rank it is, while HCCL would end all others with EI0002.

    Args:
        given: the environment of the user and of a cluster file.
        hang_timeout_s: the launcher's watch, in seconds; 0 = off.
        choose_base_port: a free block of :data:`PORTS` ports; None = leave HCCL's 60000, which has
            to be the same on several nodes.

    Raises:
        UsageError: a value is outside of its range (HCCL's EI0001).
    """
    values = {name: _number(name, given[name]) for name in _RANGES if given.get(name)}
    connect_s = values.get(CONNECT, _fitting_connect_s(values.get(EXEC, 0)))
    exec_s = values.get(EXEC, _fitting_exec_s(connect_s, hang_timeout_s))
    environment = {
        name: str(value)
        for name, value in ((CONNECT, connect_s), (EXEC, exec_s))
        if name not in values
    }
    if BASE_PORT not in values and choose_base_port is not None:
        environment[BASE_PORT] = str(choose_base_port())
    kept = [f"{name}={given[name]}" for name in sorted(given) if name.startswith("HCCL_")]
    notes = [f"kept as it was set: {', '.join(kept)}"] if kept else []
    return HcclSettings(environment, (*notes, *_warnings(connect_s, exec_s, hang_timeout_s)))


def _number(name: str, text: str) -> int:
    least, most = _RANGES[name]
    digits = text.strip()
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 12):
        raise UsageError(f"{name}={text!r}: a whole number from {least} to {most} is expected")
    if not least <= int(digits) <= most:
        raise UsageError(f"{name}={text!r}: it must be from {least} to {most}; fix or unset it")
    return int(digits)


def _fitting_connect_s(exec_s: int) -> int:
    """Return the usual time to connect, or less where the user's HCCL_EXEC_TIMEOUT is short."""
    return _CONNECT_S if exec_s == 0 else max(_LEAST_CONNECT_S, min(_CONNECT_S, exec_s - 1))


def _fitting_exec_s(connect_s: int, hang_timeout_s: float) -> int:
    """Return a multiple of 68 s, as 910A rounds it, and no more than 910A takes."""
    wanted = max(_EXEC_S, connect_s + _MARGIN_S, int(hang_timeout_s) + _MARGIN_S)
    return min(-(-wanted // _STEP_S) * _STEP_S, _MOST_EXEC_S)


def _warnings(connect_s: int, exec_s: int, hang_timeout_s: float) -> list[str]:
    warnings = []
    if 0 < exec_s <= connect_s:
        warnings.append(f"{EXEC} ({exec_s} s) should be above {CONNECT} ({connect_s} s)")
    if 0 < exec_s <= hang_timeout_s:
        warnings.append(
            f"{EXEC} ({exec_s} s) is not above --hang-timeout ({hang_timeout_s:g} s): HCCL will "
            "end a hung job before the launcher can say which rank it is"
        )
    return warnings
