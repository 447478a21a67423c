"""Pods of MindCluster: its variables and its hccl.json, through the real command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import LONG_S
from fake_host import FakeHost, host_910b
from rank_tables import Shape, document
from recorded_environments import POD_0, POD_1

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
MOUNTED = "/user/serverid/devindex/config/hccl.json"
FAILS_ONCE = """
import os, pathlib, sys
attempt = int(os.environ["LAUNCHER_WORKER_ATTEMPT"])
if attempt == 0 and os.environ["RANK_ID"] == "0":
    if sys.argv[1:]:
        table, text = sys.argv[1:]
        pathlib.Path(table).write_text(text)
        pathlib.Path(table).with_name("version").write_text("2")
    sys.exit(3)
"""


@pytest.fixture
def host(tmp_path: Path, shared: Path) -> FakeHost:
    return host_910b(tmp_path / "host", shared / "samples")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    path = folder / "hccl.json"
    path.write_text('{"status":"initializing"}')
    return path


def completed(*device_ids: int) -> str:
    """Return a table of one server as ascend-operator writes it, with these devices."""
    found = document(Shape(servers=1, devices=len(device_ids)))
    for device, number in zip(found["server_list"][0]["device"], device_ids, strict=True):
        device["device_id"] = str(number)
    return json.dumps(found)


def arguments_of_the_pod(table: Path) -> list[str]:
    """Return what the manifest of a Volcano job gives the launcher, with the table mounted here."""
    job = list(yaml.safe_load_all((DEPLOY / "volcano_one_node.yaml").read_text()))[1]
    (task,) = job["spec"]["tasks"]
    (container,) = task["template"]["spec"]["containers"]
    args = [str(table) if word == MOUNTED else word for word in container["args"]]
    return [word for word in args if not word.startswith("data.dir=")]


@contextmanager
def started(host: FakeHost, cwd: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "LAUNCHER_HOST_ROOT": str(host.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def devices(shown: str) -> list[tuple[int, int]]:
    ranks: list[dict[str, Any]] = json.loads(shown)["ranks"]
    return [(rank["rank"], rank["device_id"]) for rank in ranks]


def test_the_table_is_waited_for_and_gives_ranks_and_a_new_one_others(
    host: FakeHost, table: Path, tmp_path: Path
) -> None:
    command = (*arguments_of_the_pod(table), "--dry-run")
    with started(host, tmp_path, *command) as process:
        assert process.stderr is not None
        assert "waiting up to" in process.stderr.readline()
        table.write_text(completed(*range(8)))
        table.with_name("version").write_text("1")
        shown, error = process.communicate(timeout=LONG_S)
    assert process.returncode == 0, error
    assert devices(shown) == [(number, number) for number in range(8)]
    table.write_text(completed(4, 5, 6, 7))
    table.with_name("version").write_text("2")
    again = host.launcher(*command, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert devices(again.stdout) == [(0, 4), (1, 5), (2, 6), (3, 7)]


@pytest.mark.parametrize(
    "new",
    [None, completed(4, 5), completed(0, 1), '{"status":"initializing"}', "{"],
    ids=["left", "another", "the same", "being written", "half"],
)
def test_ranks_start_again_by_the_same_table_only(
    host: FakeHost, table: Path, tmp_path: Path, new: str | None
) -> None:
    table.write_text(completed(0, 1))
    (tmp_path / "worker.py").write_text(FAILS_ONCE)
    options = ("--rank-table", table, "--max-restarts", "1", "--run-dir", "run", "--bind", "none")
    rewrite = () if new is None else (str(table), new)
    done = host.launcher(*options, "--", "worker.py", *rewrite, cwd=tmp_path)
    is_same = new in (None, completed(0, 1))
    assert done.returncode == (0 if is_same else 75), done.stderr
    assert ("no restart: the rank table" in done.stderr) == (not is_same)
    assert ("rank 0 of 2 failed: exit code 3" in done.stderr) == (not is_same)
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert (manifest["exit_code"], manifest["end"] is None) == (done.returncode, False)
    assert [one["reason"] for one in manifest["attempts"]][:1] == ["failure"]
    assert manifest["root_cause_rank"] == (None if is_same else 0)
    assert (tmp_path / "run" / "logs" / "attempt_1").exists() == is_same


def test_the_operators_variables_give_each_pod_its_ranks(host: FakeHost, tmp_path: Path) -> None:
    (tmp_path / "t.py").touch()
    shown = [
        host.launcher("--dry-run", "--", "t.py", cwd=tmp_path, env=pod).stdout
        for pod in (POD_0, POD_1)
    ]
    assert devices(shown[0]) == [(number, number) for number in range(8)]
    assert devices(shown[1]) == [(8 + number, number) for number in range(8)]
    assert [json.loads(text)["world_size"] for text in shown] == [16, 16]
