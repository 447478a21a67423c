"""Shows that training survives (the list of issue 6): a line for each thing that must hold.

python scripts/survive                       all rows as the issue asks for them (about an hour)
python scripts/survive --quick               few trials of each (some minutes)
python scripts/survive --rows kills disk     some rows
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cost
import disks
import elastic
import kills
import numbers_watch
import stops
from verdict import Verdict, all_hold


@dataclass(frozen=True)
class Settings:
    """How often each thing is tried, and from which seed the moments come."""

    kills: int = 25
    stops: int = 30
    places: int = 20
    damaged_runs: int = 3
    faults: int = 4
    pairs: int = 3
    seed: int = 0


QUICK = Settings(kills=3, stops=2, places=20, damaged_runs=1, faults=1, pairs=1)


def _rows(work: Path, asked: Settings) -> dict[str, Callable[[], list[Verdict]]]:
    seed = asked.seed
    return {
        "kills": lambda: [kills.killed(work, nproc, asked.kills, seed=seed) for nproc in (1, 2)],
        "sigterm": lambda: [stops.stopped(work, asked.stops, seed=seed)],
        "disk": lambda: [disks.full(work), disks.read_only(work)],
        "damage": lambda: [
            *disks.damages(work, asked.places, asked.damaged_runs, seed=seed),
            disks.foreign(work),
        ],
        "elastic": lambda: [elastic.elastic(work)],
        "poison": lambda: [numbers_watch.poison(work, asked.faults)],
        "drift": lambda: [numbers_watch.drift(work, asked.faults)],
        "skip": lambda: [numbers_watch.left_out(work, asked.faults)],
        "cost": lambda: [cost.cost(work, asked.pairs)],
    }


def _end(*_: object) -> None:
    """Leave by the way of all exits, on which what was started is ended."""
    sys.exit(128 + signal.SIGTERM)


def main() -> int:
    signal.signal(signal.SIGTERM, _end)
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="few trials of each")
    parser.add_argument("--rows", nargs="+", default=[], metavar="ROW", help="only these")
    parser.add_argument("--seed", type=int, default=0, help="of all random moments and places")
    parser.add_argument(
        "--work", type=Path, help="where runs are made; default: removed at the end"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table as JSON")
    args = parser.parse_args()
    counts = QUICK if args.quick else Settings()
    asked = Settings(**{**vars(counts), "seed": args.seed})
    work = args.work or Path(tempfile.mkdtemp(prefix="survive-"))
    rows = _rows(work.absolute(), asked)
    if unknown := set(args.rows) - set(rows):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(rows)}")
    verdicts: list[Verdict] = []
    for name, measure in rows.items():
        if args.rows and name not in args.rows:
            continue
        for verdict in measure():
            print("\n".join(verdict.lines()), flush=True)
            verdicts.append(verdict)
    if args.json:
        found = {"seed": asked.seed, "rows": [verdict.to_json() for verdict in verdicts]}
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    if all_hold(verdicts) and args.work is None:
        shutil.rmtree(work)
    elif not all_hold(verdicts):
        print(f"what the failed trials left is in {work}")
    print("all hold" if all_hold(verdicts) else "not all hold")
    return 0 if all_hold(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
