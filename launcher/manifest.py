"""``manifest.json``: what was run, with what, when, and how it ended (DESIGN section 4)."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.contract import RunPaths, write_atomic
from launcher.flags import lasting_flags
from launcher.outcome import AttemptOutcome
from launcher.plan import Plan, to_json

if TYPE_CHECKING:
    from launcher.diagnosis.verdict import Verdict
    from launcher.recipe import CheckedRecipe
    from launcher.revision import Revision


_LAST_WAIT_S = 0.2
_OF_A_LAUNCH = ("command", "host", "git", "start", "end", "exit_code", "root_cause_rank", "reason")


class Manifest(NamedTuple):
    """The manifest of one run: written before it starts, when all run, and when it has ended.

    Of a run that is continued it keeps the ``earlier`` manifest's attempts, and what else was
    another in each launch under ``launches``.
    """

    plan: Plan
    argv: Sequence[str]
    started_s: float
    checked: CheckedRecipe | None = None
    revision: Revision | None = None
    earlier: Mapping[str, Any] = MappingProxyType({})

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.plan.run_dir, self.plan.node_rank)

    def write_start(self) -> None:
        write_atomic(self.paths.manifest, _json(self._known()), sync=False)

    def write_end(self, outcomes: Sequence[AttemptOutcome], verdict: Verdict) -> None:
        """Write the whole manifest; a full disk must not hide how the run ended."""
        values = {
            **self._known(_LAST_WAIT_S),
            "end": _moment(time.time()),
            "attempts": [*self._earlier("attempts"), *map(_attempt, outcomes)],
            "exit_code": verdict.exit_code,
            "root_cause_rank": verdict.root_cause_rank,
            "reason": verdict.reason.name.lower(),
        }
        write_atomic(self.paths.manifest, _json(values))

    def _earlier(self, name: str) -> list[Any]:
        values = self.earlier.get(name)
        return values if isinstance(values, list) else []

    def _earlier_launch(self) -> dict[str, Any]:
        return {name: self.earlier.get(name) for name in _OF_A_LAUNCH}

    def _known(self, wait_s: float = 0.0) -> dict[str, Any]:
        plan = to_json(self.plan)
        return {
            "command": list(self.argv),
            "options": lasting_flags(self.argv),
            "directory": os.getcwd(),
            "host": self.plan.host,
            "python": ".".join(map(str, sys.version_info[:3])),
            "executable": sys.executable,
            "versions": dict(self.checked.versions) if self.checked else {},
            "git": self.revision.get(wait_s) if self.revision else None,
            "seed": self.checked.seed if self.checked else None,
            "plan": plan,
            "start": _moment(self.started_s),
            "end": None,
            "attempts": self._earlier("attempts"),
            **(
                {"launches": [*self._earlier("launches"), self._earlier_launch()]}
                if self.earlier
                else {}
            ),
            "exit_code": None,
        }


def read_manifest(path: Path) -> Mapping[str, Any]:
    """Return a manifest; empty where there is none, or it is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}


def _attempt(outcome: AttemptOutcome) -> dict[str, Any]:
    return {
        "attempt": outcome.attempt,
        "reason": outcome.reason.name.lower(),
        **({} if outcome.restart_s is None else {"restart_s": outcome.restart_s}),
        "duration_s": round((outcome.ended_ns - outcome.started_ns) / 1e9, 3),
        "ranks": [
            {
                "rank": rank.rank,
                "pid": rank.pid,
                "returncode": rank.returncode,
                "stopped_by_launcher": rank.signalled_ns is not None,
            }
            for rank in outcome.ranks
        ],
        "notes": list(outcome.notes),
    }


def _moment(seconds: float) -> str:
    """Return local time with its offset, to the millisecond (ISO 8601)."""
    text = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(seconds))
    return f"{text[:19]}.{int(seconds % 1 * 1000):03d}{text[19:]}"


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
