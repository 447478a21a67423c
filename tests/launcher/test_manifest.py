from __future__ import annotations

import json
import time
from pathlib import Path

from launcher.diagnosis.verdict import diagnose
from launcher.host.node import Host
from launcher.host.npus import Npus
from launcher.manifest import Manifest
from launcher.options import LaunchSpec
from launcher.outcome import AttemptOutcome, RankOutcome, Reason
from launcher.plan import Identity
from launcher.planning.planner import make_plan
from launcher.planning.ports import PortReservation
from launcher.recipe import CheckedRecipe

OUTCOME = AttemptOutcome(
    0, Reason.FAILURE, [RankOutcome(0, 41, 3, 2 * 10**9)], started_ns=10**9, ended_ns=3 * 10**9
)


def manifest(folder: Path, checked: CheckedRecipe | None = None) -> Manifest:
    host = Host("n1", {}, Npus(), cores=(0, 1))
    plan = make_plan(
        LaunchSpec(command=("true",)), host, Identity("j", folder), ports=PortReservation()
    )
    argv = ["python", "-m", "launcher", "--nproc", "2", "x"]
    return Manifest(plan, argv, time.time(), checked)


def test_the_manifest_is_there_from_the_start_and_complete_at_the_end(tmp_path: Path) -> None:
    checked = CheckedRecipe({"model": {}}, {"mindspore": "2.10.0"}, 42)
    one = manifest(tmp_path, checked)
    one.write_start()
    begun = json.loads(one.paths.manifest.read_text())
    assert begun["command"] == ["python", "-m", "launcher", "--nproc", "2", "x"]
    assert begun["options"] == ["--nproc", "2"]
    assert (begun["seed"], begun["versions"]) == (42, {"mindspore": "2.10.0"})
    assert begun["plan"]["ranks"][0]["rank"] == 0
    assert begun["exit_code"] is None
    one.write_end([OUTCOME], diagnose(OUTCOME))
    ended = json.loads(one.paths.manifest.read_text())
    assert (ended["exit_code"], ended["root_cause_rank"], ended["reason"]) == (3, 0, "failure")
    assert ended["attempts"][0]["duration_s"] == 2.0
    assert ended["attempts"][0]["ranks"][0]["returncode"] == 3
    assert ended["start"] == begun["start"] <= ended["end"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json"]
