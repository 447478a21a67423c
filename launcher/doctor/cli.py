"""`launcher doctor [--json]`: shows what was found; exit code 1 if anything is red."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from launcher.doctor.facts import Facts, gather
from launcher.doctor.finding import GREEN, RED, YELLOW, Finding, worst
from launcher.doctor.npus import check_npus
from launcher.doctor.software import check_software
from launcher.doctor.system import check_system
from launcher.host.access import HostAccess
from launcher.terminal.console import write

_VERDICTS = {
    GREEN: "a job can run here",
    YELLOW: "a job may run here; look at what is yellow",
    RED: "no job can run here before what is red is mended",
}


def add_parser(subparsers: Any) -> None:
    """Add `doctor` to the launcher's subparsers."""
    parser = subparsers.add_parser("doctor", help="tell whether a job can run here")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--run-dir", type=Path, default=Path("runs"), help="where runs would be written"
    )


def run(args: argparse.Namespace) -> int:
    """Look, and show what was found; return 1 if anything is red."""
    findings = examine(gather(HostAccess.of(os.environ), Path.cwd() / args.run_dir))
    write(1, as_json(findings) if args.json else as_text(findings))
    return 1 if worst(findings) == RED else 0


def examine(facts: Facts) -> list[Finding]:
    """Return every finding of every check."""
    return [*check_software(facts), *check_npus(facts), *check_system(facts)]


def as_json(findings: Sequence[Finding]) -> str:
    """Return ``{"level": ..., "findings": [...]}``."""
    values = {"level": worst(findings), "findings": [asdict(finding) for finding in findings]}
    return json.dumps(values, indent=2) + "\n"


def as_text(findings: Sequence[Finding]) -> str:
    """Return one line per finding, and the remedy below it where there is one."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:6}  {finding.name:{width}}  {finding.what}")
        if finding.remedy:
            lines.append(f"{'':{width + 10}}-> {finding.remedy}")
    return "\n".join([*lines, f"doctor: {_VERDICTS[worst(findings)]}"]) + "\n"
