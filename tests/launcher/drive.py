"""A launcher without a command line, for tests that kill it: drive.py RUN_DIR SETTINGS.

SETTINGS is JSON: job_id, commands (one per worker), scheduler (a command or null), policy, pause_s.
The last line on the standard output is the list of outcomes as JSON; messages go to stderr.
"""

# ruff: noqa: T201
from __future__ import annotations

import json
import sys
from pathlib import Path

from conftest import Messages, PlanMaker

from launcher.contract import RunPaths
from launcher.outcome import Reason
from launcher.plan import Policy
from launcher.supervision.attempts import run_attempts
from launcher.supervision.events import EventLog
from launcher.supervision.signals import Signals


def show(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(run_dir: Path, settings: dict) -> None:
    plan = PlanMaker(run_dir)(
        *map(tuple, settings["commands"]),
        scheduler=tuple(settings["scheduler"]) if settings["scheduler"] else None,
        job_id=settings["job_id"],
    )
    paths = RunPaths(run_dir)
    with Signals() as signals:
        outcomes = run_attempts(
            plan,
            Policy(**settings["policy"]),
            paths=paths,
            events=EventLog(paths.events, show),
            console=Messages(on_say=show),
            signals=signals,
            worth_a_restart=lambda outcome: True,
            fresh_environment=lambda attempt: {},
            pause_s=lambda restart: settings["pause_s"],
        )
    print(json.dumps(_plain(outcomes)))


def _plain(value: object) -> object:
    if isinstance(value, Reason):
        return value.name
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
