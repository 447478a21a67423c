"""Numbers in environment variables that another program set."""

from __future__ import annotations

from collections.abc import Mapping

from launcher.errors import UsageError


def number(environ: Mapping[str, str], name: str) -> int | None:
    """Return a whole number from 0 up; None where the variable is missing or empty.

    Raises:
        UsageError: it is something else.
    """
    text = environ.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise UsageError(f"variable {name}={text!r} is no whole number; fix or unset it")
    return int(text)
