"""Measures what a launcher must hold (the table of issue 3), ours and others side by side.

python scripts/bench_launcher                all rows as the issue asks for them (about an hour)
python scripts/bench_launcher --quick        few trials (some minutes)
python scripts/bench_launcher --rows kill-9  one row
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import causes
import costs
import ends
import hangs
import leaks
import output
from measure import Measure, Row
from systems import System, ours, rivals
from trial import TrialFailed

STOPPING = {"SIGTERM": signal.SIGTERM, "SIGINT": signal.SIGINT, "SIGHUP": signal.SIGHUP}
MANY = 256
WITHIN = 3


@dataclass(frozen=True)
class Settings:
    """How often each row is tried, and how large it is."""

    trials: int = 20
    rival_trials: int = 3
    kills: int = 200
    many_trials: int = 3
    steps: int = 10_000
    megabytes: int = 50
    rounds: int = 20
    nproc: int = 8
    many: int = MANY


QUICK = Settings(trials=3, rival_trials=1, kills=6, many_trials=1, steps=800, megabytes=2, rounds=1)

Reporter = Callable[[str, System, Callable[[], Measure]], None]


class Table:
    """Rows in the order in which they are measured, printed as they come."""

    def __init__(self, systems: list[System]) -> None:
        self._names = [system.name for system in systems]
        self.rows: dict[str, Row] = {}

    def add(self, title: str, columns: dict[str, Measure]) -> None:
        row = self.rows[title] = Row(title, columns)
        print("\n".join(row.lines(self._names)), flush=True)

    def measure(self, title: str, systems: list[System], how: Callable[[System], Measure]) -> None:
        """Measure one row for each system; what a rival cannot do is a note, not the end."""
        columns: dict[str, Measure] = {}
        for system in systems:
            try:
                columns[system.name] = how(system)
            except TrialFailed as failure:
                columns[system.name] = Measure([], "", note=str(failure).splitlines()[0])
        self.add(title, columns)

    @property
    def fails(self) -> bool:
        mine = [row.columns[ours().name] for row in self.rows.values()]
        return any(one.passes is not True for one in mine)


def measure_all(table: Table, others: list[System], asked: Settings, wanted: set[str]) -> None:
    """Measure the rows that are wanted (none named: all)."""
    rows: dict[str, Callable[[Table, list[System], Settings], None]] = {
        "death": _death,
        "early-failure": _early_failure,
        "stubborn": _stubborn,
        "kill-9": _kill_9,
        "signals": _signals,
        "term-latency": _term_latency,
        "root-cause": _root_cause,
        "hang": _hang,
        "false-alarms": _false_alarms,
        "lines": _lines,
        "start": _start,
        "idle": _idle,
        "side-by-side": _side_by_side,
        "many": _many,
    }
    unknown = wanted - set(rows)
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(rows)}")
    for name, run in rows.items():
        if not wanted or name in wanted:
            run(table, others, asked)


def _trials(system: System, asked: Settings) -> int:
    return asked.trials if system.is_ours else asked.rival_trials


def _death(table: Table, others: list[System], asked: Settings) -> None:
    table.measure(
        "worker dies -> launcher has exited, others obey SIGTERM",
        [ours(), *others],
        lambda system: ends.death_to_exit(system, _trials(system, asked), asked.nproc),
    )


def _early_failure(table: Table, others: list[System], asked: Settings) -> None:
    table.measure(
        "MindSpore worker fails before any rank registered (msrun: 606 s, not run here)",
        [ours()],
        lambda system: ends.failure_before_registering(system, asked.trials),
    )


def _stubborn(table: Table, others: list[System], asked: Settings) -> None:
    table.measure(
        f"the same, others ignore SIGTERM, grace {ends.GRACE_S:g} s (others' own grace)",
        [ours(), *others],
        lambda system: ends.death_with_stubborn_others(system, _trials(system, asked), asked.nproc),
    )


def _kill_9(table: Table, others: list[System], asked: Settings) -> None:
    table.measure(
        "processes left 1 s after kill -9, grandchildren in own sessions",
        [ours(), *others],
        lambda system: leaks.killed(
            system, asked.kills if system.is_ours else asked.rival_trials, asked.nproc
        ),
    )


def _signals(table: Table, others: list[System], asked: Settings) -> None:
    for name, number in STOPPING.items():
        table.measure(
            f"processes left after {name}, grandchildren in own sessions",
            [ours(), *others],
            lambda system, number=number: leaks.asked(  # type: ignore[misc]
                system, _trials(system, asked), asked.nproc, number
            ),
        )
    table.measure(
        "processes left after two Ctrl-C, workers ignore what is polite",
        [ours(), *others],
        lambda system: leaks.double_ctrl_c(system, _trials(system, asked), asked.nproc),
    )


def _term_latency(table: Table, others: list[System], asked: Settings) -> None:
    table.measure(
        "SIGTERM to launcher -> handler of every worker runs",
        [ours(), *others],
        lambda system: ends.term_to_handlers(system, _trials(system, asked), asked.nproc),
    )


def _root_cause(table: Table, others: list[System], asked: Settings) -> None:
    table.measure(
        f"root-cause rank named, {len(causes.FAULTS)} kinds of fault",
        [ours(), *others],
        lambda system: causes.named(system, _trials(system, asked), asked.nproc),
    )


def _hang(table: Table, others: list[System], asked: Settings) -> None:
    late, stacks = hangs.found(max(1, asked.trials // 3), asked.nproc)
    found = {system.name: hangs.found_by(system, asked.nproc) for system in others}
    table.add("hang found after its limit (sleep, SIGSTOP, lock held)", {"launcher": late, **found})
    table.add("hang: ranks with their stacks", {"launcher": stacks})


def _false_alarms(table: Table, others: list[System], asked: Settings) -> None:
    alarms = hangs.false_alarms(asked.steps, asked.nproc)
    table.add("false hang alarms, steps that burst by ten", {"launcher": alarms})


def _lines(table: Table, others: list[System], asked: Settings) -> None:
    logs, console = output.lost_lines(asked.nproc, asked.megabytes)
    table.add("lines lost or torn in the logs", {"launcher": logs})
    table.add("lines lost or torn on the console (--console all)", {"launcher": console})


def _start(table: Table, others: list[System], asked: Settings) -> None:
    table.measure(
        "start -> first worker line, less plain Python",
        [ours(), *others],
        lambda system: costs.start(system, _trials(system, asked), asked.nproc),
    )


def _idle(table: Table, others: list[System], asked: Settings) -> None:
    measured = {system.name: costs.idle(system, asked.nproc) for system in [ours(), *others]}
    table.add("resident memory of the launcher", {n: both[0] for n, both in measured.items()})
    table.add("CPU while workers idle", {n: both[1] for n, both in measured.items()})


def _side_by_side(table: Table, others: list[System], asked: Settings) -> None:
    clashes = costs.side_by_side(asked.rounds)
    table.add("20 launches at once: port clashes", {"launcher": clashes})


def _many(table: Table, others: list[System], asked: Settings) -> None:
    many, trials = asked.many, asked.many_trials
    rows: dict[str, Callable[[System], Measure]] = {
        "worker dies -> exit": lambda one: ends.death_to_exit(one, trials, many, WITHIN * 0.5),
        "others ignore SIGTERM": lambda one: ends.death_with_stubborn_others(
            one, trials, many, WITHIN * 0.5
        ),
        "left after kill -9": lambda one: leaks.killed(one, 2 * trials, many),
        "left after SIGTERM": lambda one: leaks.asked(one, trials, many, signal.SIGTERM),
        "SIGTERM -> all handlers": lambda one: ends.term_to_handlers(
            one, trials, many, WITHIN * 50
        ),
    }
    for title, how in rows.items():
        table.measure(f"{many} workers: {title}", [ours()], how)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's values."""
    parser = argparse.ArgumentParser(
        prog="bench_launcher", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few trials of everything")
    parser.add_argument("--rows", default="", help="names with commas; default: all")
    parser.add_argument("--json", metavar="FILE", help="write all values there, too")
    parser.add_argument("--no-rivals", action="store_true", help="measure our launcher only")
    parser.add_argument("--torchrun", metavar="PROGRAM", help="a torchrun of another environment")
    for name, value in vars(Settings()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"default {value}")
    return parser.parse_args(arguments)


def main() -> int:
    asked = parse()
    base = vars(QUICK if asked.quick else Settings())
    given = {name: getattr(asked, name) for name in base if getattr(asked, name) is not None}
    settings = Settings(**{**base, **given})
    others = [] if asked.no_rivals else rivals(asked.torchrun)
    table = Table([ours(), *others])
    measure_all(table, others, settings, set(filter(None, asked.rows.split(","))))
    if asked.json:
        values: list[dict[str, Any]] = [row.to_json() for row in table.rows.values()]
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump(values, file, indent=1)
    print("FAIL" if table.fails else "PASS", "(launcher, rows with a limit)")
    return int(table.fails)


if __name__ == "__main__":
    sys.exit(main())
