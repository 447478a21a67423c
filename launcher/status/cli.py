"""`launcher status [RUN_DIR] [--json]`: how the jobs of this host stand."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from launcher.contract import EXIT_TEMPORARY
from launcher.errors import UsageError
from launcher.host.jobs import Processes
from launcher.report.read import job_id_of, read_run
from launcher.report.run import State
from launcher.status.find import find_runs
from launcher.status.job import Job, job_of, to_json
from launcher.status.show import job_text, jobs_table
from launcher.terminal.console import write

_MORE = """\
Without RUN_DIR: the running jobs of this user on this host (of all users for root), found by the
tag in the environment of their processes, and the newest ended runs below ./runs.
With RUN_DIR: that run, with a line for each rank.

exit codes:
  0    without RUN_DIR: always; with RUN_DIR: it ended well
  1    with RUN_DIR: it failed, or ended without a word (its launcher was killed)
  2    with RUN_DIR: there is no such run
  75   with RUN_DIR: it still runs; ask again later
"""
_ENDED = 10


def add_parser(subparsers: Any) -> None:
    """Add `status` to the launcher's subparsers."""
    parser = subparsers.add_parser(
        "status",
        help="show how jobs stand",
        description=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_dir", nargs="?", type=Path, metavar="RUN_DIR")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Look, and show what was found."""
    processes = Processes.observe()
    if args.run_dir is not None:
        return _one(args.run_dir, processes, as_json=args.json)
    below = Path("runs")
    jobs = [_job(path, processes) for path in find_runs(processes, below, most=_ENDED)]
    jobs.sort(key=lambda job: job.state is not State.RUNNING)
    if args.json:
        write(1, json.dumps({"jobs": [to_json(job) for job in jobs]}, indent=2) + "\n")
    else:
        write(1, jobs_table(jobs) if jobs else "no job runs, and ./runs holds no run\n")
    return 0


def exit_code(state: State) -> int:
    """Return what the exit code says of one run."""
    if state is State.RUNNING:
        return EXIT_TEMPORARY
    return 0 if state is State.ENDED_WELL else 1


def _one(folder: Path, processes: Processes, *, as_json: bool) -> int:
    job = _job(folder, processes)
    if job.state is State.UNKNOWN and not job.ranks:
        raise UsageError(
            f"{folder}: there is no run; name the folder that the launcher printed as its run "
            "directory, or leave it out to see all"
        )
    write(1, json.dumps(to_json(job), indent=2) + "\n" if as_json else job_text(job))
    return exit_code(job.state)


def _job(folder: Path, processes: Processes) -> Job:
    here = Path(os.path.realpath(folder))
    runs_here = any(Path(os.path.realpath(one)) == here for one in processes.run_dirs.values())
    found = read_run(folder, is_alive=lambda job_id: runs_here or processes.is_alive(job_id))
    job_id = job_id_of(found.manifest, found.events)
    return job_of(found, processes.pids.get(job_id, ()))
