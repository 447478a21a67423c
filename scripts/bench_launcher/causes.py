"""Whether the rank that failed first is named, whatever ends first."""

from __future__ import annotations

import re
from collections import Counter

from measure import Measure
from systems import System
from trial import Trial, trial

FAULTS = (
    ("sleep", "raise"),
    ("sleep", "import"),
    ("sleep", "exit_3"),
    ("sleep", "kill"),
    ("sleep", "segv"),
    ("sleep", "abort"),
    ("suffer", "raise"),
    ("suffer", "kill"),
    ("suffer", "slow_culprit"),
)


def named(system: System, trials: int, nproc: int) -> Measure:
    """Percent of trials in which the launcher names the culprit, over all kinds of fault."""
    hits = []
    misses: Counter[str] = Counter()
    for others, culprit in FAULTS:
        for number in range(trials):
            rank = (number * 3 + 1) % nproc
            with trial(system, nproc, others, culprit, rank=rank) as one:
                one.wait_for_end()
                hits.append(_named_rank(system, one) == rank)
            misses[f"{culprit} with others that {others}"] += not hits[-1]
    wrong = ", ".join(f"{count}x {what}" for what, count in misses.items() if count)
    return Measure(
        [100.0 * sum(hits) / len(hits)], "%", 98, "least", f"{len(hits)} trials; missed: {wrong}"
    )


def _named_rank(system: System, one: Trial) -> int | None:
    if system.is_ours:
        verdicts = [event for event in one.events() if event["event"] == "verdict"]
        return verdicts[-1]["root_cause_rank"] if verdicts else None
    found = re.search(r"Root Cause.*?rank\s*:\s*(\d+)", one.output(), re.DOTALL)
    return int(found[1]) if found else None
