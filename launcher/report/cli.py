"""`launcher report RUN_DIR ...`: writes one page on a run, or on several beside each other."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from launcher.contract import RunPaths, write_atomic
from launcher.errors import UsageError
from launcher.run_directory import shown
from launcher.terminal.console import write

_MORE = """\
One run:       writes RUN_DIR/report/index.html
Several runs:  a comparison, written to the first one's report/comparison.html
The page needs no network and no other file. A run that failed or still goes on has one too, and a
run of any script; what is missing in the directory is said on the page.
exit codes: 0 written; 2 no such run, or the page cannot be written
"""
_OF_A_RUN = ("manifest.json", "events.jsonl", "metrics.jsonl", "config.yaml", "logs", "progress")


def add_parser(subparsers: Any) -> None:
    """Add `report` to the launcher's subparsers."""
    parser = subparsers.add_parser(
        "report",
        help="write a page on a run",
        description=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_dirs", nargs="+", type=Path, metavar="RUN_DIR")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the page there")


def run(args: argparse.Namespace) -> int:
    """Read the runs and write the page."""
    for folder in args.run_dirs:
        _check(folder)
    from launcher.host.jobs import Processes
    from launcher.report.build import build
    from launcher.report.read import read_run

    processes = Processes.observe()
    runs = [read_run(folder, is_alive=processes.is_alive) for folder in args.run_dirs]
    name = "index.html" if len(runs) == 1 else "comparison.html"
    place = args.out or RunPaths(args.run_dirs[0].absolute()).report / name
    try:
        write_atomic(place, build(runs).encode("utf-8", "replace"), sync=False)
    except OSError as error:
        raise UsageError(
            f"{shown(place)} cannot be written ({error.strerror}): name another file with --out"
        ) from error
    write(1, f"wrote {shown(place)}\n")
    return 0


def _check(folder: Path) -> None:
    """Raise UsageError where a folder is no run directory: nothing of a run is in it."""
    if not folder.is_dir():
        raise UsageError(f"{folder}: there is no such folder; name a run directory, as in runs/*/*")
    if not any((folder / name).exists() for name in _OF_A_RUN):
        raise UsageError(
            f"{folder}: no run directory: it holds none of {', '.join(_OF_A_RUN)}; "
            "name the folder that the launcher printed as its run directory"
        )
