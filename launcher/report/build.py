"""From runs to the page."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.report.classes import classes_section
from launcher.report.compare import comparison_page
from launcher.report.gallery import predictions_section
from launcher.report.numbers import clock
from launcher.report.page import Section, page
from launcher.report.ranks import ranks_section
from launcher.report.result import failures, head, logs, missing, result
from launcher.report.run import Run
from launcher.report.story import environment_section, story_section
from launcher.report.training import curves_section, time_section


def build(runs: Sequence[Run]) -> str:
    """Return the page on one run, or the comparison of several."""
    foot = f"Written {clock(runs[0].read_s)} by python -m launcher report"
    return run_page(runs[0], foot=foot) if len(runs) == 1 else comparison_page(runs, foot=foot)


def run_page(run: Run, *, foot: str) -> str:
    """Return the page on one run. A run of any script has no section of training."""
    trained = bool(run.metrics.train or run.metrics.evals)
    return page(
        run.name,
        head=head(run),
        foot=foot,
        sections=[
            Section("result", "Result", result(run)),
            Section("missing", "What is missing", missing(run)),
            Section("failures", "Failures", failures(run)),
            Section("curves", "Curves", curves_section(run) if trained else ""),
            Section("time", "Time", time_section(run) if trained else ""),
            Section("ranks", "Ranks", ranks_section(run)),
            Section("classes", "Classes", classes_section(run) if trained else ""),
            Section("predictions", "Predictions", predictions_section(run) if trained else ""),
            Section("story", "Time line", story_section(run)),
            Section("logs", "Logs", logs(run)),
            Section("environment", "Environment", environment_section(run)),
        ],
    )
