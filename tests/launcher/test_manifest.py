from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest

from launcher.diagnosis.verdict import diagnose
from launcher.host.node import Host
from launcher.host.npus import Npus
from launcher.manifest import Manifest, parse_revision, read_revision
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
    return Manifest(plan, ["python", "-m", "launcher", "x"], time.time(), checked)


def test_the_manifest_is_there_from_the_start_and_complete_at_the_end(tmp_path: Path) -> None:
    checked = CheckedRecipe({"model": {}}, {"mindspore": "2.10.0"}, 42)
    one = manifest(tmp_path, checked)
    one.write_start()
    begun = json.loads(one.paths.manifest.read_text())
    assert begun["command"] == ["python", "-m", "launcher", "x"]
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


def test_a_revision_is_read_with_its_branch_and_dirty_flag() -> None:
    headers = "# branch.oid abc123\n# branch.head main\n# branch.ab +1 -0\n"
    clean = {"revision": "abc123", "branch": "main", "dirty": False}
    assert parse_revision(headers) == clean
    assert parse_revision(headers + "1 .M N... 1 1 1 a b file\n") == {**clean, "dirty": True}
    assert parse_revision("# branch.oid (initial)\n# branch.head main\n") is None


def test_the_revision_of_a_real_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_revision() is None

    def git(*arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t")
        done = subprocess.run(
            ["git", *identity, *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    Path("file").write_text("1")
    git("add", "file")
    git("commit", "-qm", "one")
    assert read_revision() == {
        "revision": git("rev-parse", "HEAD"),
        "branch": git("branch", "--show-current"),
        "dirty": False,
    }
    Path("file").write_text("2")
    revision = read_revision()
    assert revision is not None
    assert revision["dirty"] is True


def test_no_git_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert read_revision() is None
