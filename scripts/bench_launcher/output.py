"""No line of a worker is lost or torn, in its log or on the console."""

from __future__ import annotations

import re
from pathlib import Path

from measure import Measure
from systems import ours
from trial import trial

LINE = re.compile(rb"(?:\[[^\]]*\] ?)?(\d+) (\d{9}) x+\n")


def lost_lines(nproc: int, megabytes: int) -> tuple[Measure, Measure]:
    """Lines lost or torn of workers that print so much each, one killed with its last line."""
    system = ours("--console", "all", "--grace", "600")
    with trial(system, nproc, "flood", "flood_and_die", rank=nproc - 1, value=megabytes) as one:
        one.wait_for_end(600)
        expected = megabytes * 10_000
        wrong = 0
        for rank in range(nproc):
            log = one.folder / "run" / "logs" / "attempt_0" / f"rank_{rank}.log"
            wrong += _wrong_lines(log, expected)
        console = _wrong_lines(one.folder / "output", expected * nproc, is_console=True)
    note = f"{nproc} x {megabytes} MB, the last rank ends by SIGKILL"
    return (
        Measure([wrong], "lines", 0, "total", note),
        Measure([console], "lines", 0, "total", note),
    )


def _wrong_lines(path: Path, expected: int, *, is_console: bool = False) -> int:
    """Count lines that are missing, too many or torn; the launcher's own are left out.

    Its report shows the last lines of a failed rank once more, indented.
    """
    whole = torn = 0
    with path.open("rb") as file:
        for line in file:
            if is_console and (line.startswith(b" ") or b"xxx" not in line):
                continue
            if LINE.fullmatch(line) and len(line) >= 100:
                whole += 1
            else:
                torn += 1
    return torn + abs(expected - whole)
