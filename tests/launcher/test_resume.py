"""What --resume goes on with, and what it leaves of the launches before."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import LONG_S, read_events, wait_for

from launcher.contract import RunPaths
from launcher.errors import UsageError
from launcher.options import resolve
from launcher.resume import (
    for_another_attempt,
    goes_on,
    holds_a_run,
    newest_run,
    newest_step,
)
from launcher.run_directory import keeping, make_run_dir
from launcher.run_lock import RunLock

ALONE = ("--rendezvous", "none", "--device-target", "CPU", "--nproc", "2")
SCRIPT = "import os, sys, time\nprint(os.environ['LAUNCHER_RESUME'], flush=True)\n"
Launch = Callable[..., tuple[int, str]]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    def launch(script: str, *options: str) -> tuple[int, str]:
        (tmp_path / "worker.py").write_text(SCRIPT + script)
        done = subprocess.run(
            [sys.executable, "-m", "launcher", *ALONE, *options, "--", "worker.py"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONG_S,
        )
        return done.returncode, done.stderr

    return launch


def run_of(folder: Path, age_s: int) -> Path:
    """Make a run directory whose manifest is so old."""
    folder.mkdir(parents=True)
    manifest = RunPaths(folder).manifest
    manifest.write_text("{}")
    os.utime(manifest, (1e9 - age_s, 1e9 - age_s))
    return folder


def manifest_of(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(RunPaths(folder).manifest.read_text())
    return values


def test_a_value_is_none_auto_or_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve({"resume": "AUTO"}, {})["resume"] == "auto"
    assert resolve({}, {"LAUNCHER_RESUME": "none"})["resume"] == "none"
    assert resolve({"resume": "runs/a"}, {})["resume"] == str(tmp_path / "runs" / "a")


def test_a_run_is_continued_by_auto_or_from_within(tmp_path: Path) -> None:
    assert goes_on("auto", tmp_path)
    assert goes_on(str(tmp_path / "ckpt" / "step_3"), tmp_path)
    assert goes_on(str(tmp_path), tmp_path)
    assert not goes_on("none", tmp_path)
    assert not goes_on(str(tmp_path.parent), tmp_path)


def test_the_newest_run_that_is_not_running_is_found(tmp_path: Path) -> None:
    assert newest_run(tmp_path / "missing") is None
    old, new = run_of(tmp_path / "b", 20), run_of(tmp_path / "a", 10)
    (tmp_path / "c").mkdir()
    assert newest_run(tmp_path) == new
    with closing(RunLock(RunPaths(new))):
        assert newest_run(tmp_path) == old


def test_a_run_that_saved_nothing_yet_begins_from_the_same_place_again(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    assert for_another_attempt("none", paths, 0) == "auto"
    assert for_another_attempt("/other/ckpt", paths, 1.0) == "/other/ckpt"
    saved = paths.checkpoints / "step_1"
    saved.mkdir(parents=True)
    moment = saved.stat().st_mtime
    assert for_another_attempt("/other/ckpt", paths, moment + 1) == "/other/ckpt"
    assert for_another_attempt("/other/ckpt", paths, moment - 1) == "auto"


def test_a_folder_that_holds_something_else_is_not_gone_on_with(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(UsageError, match="holds no run to go on with"):
        make_run_dir(tmp_path, exact=True, goes_on=True)


def test_a_recipe_that_changes_is_kept_as_it_was(tmp_path: Path) -> None:
    file, kept = tmp_path / "config.yaml", tmp_path / "before.yaml"
    with keeping(file, kept.name):
        file.write_text("a")
    with keeping(file, kept.name):
        file.write_text("a")
    assert not kept.exists()
    with keeping(file, kept.name):
        file.write_text("b")
    assert (file.read_text(), kept.read_text()) == ("b", "a")


def texts(path: Callable[[int, int], Path], attempt: int) -> list[str]:
    """Return what both ranks left: the first that fails may end the other before it says a word."""
    return [one.read_text() for rank in (0, 1) if (one := path(attempt, rank)).exists()]


def test_a_run_is_continued_and_nothing_of_it_is_lost(launch: Launch, tmp_path: Path) -> None:
    run, paths = tmp_path / "run", RunPaths(tmp_path / "run")
    code, said = launch("raise ValueError('first')", "--run-dir", "run")
    assert (code, "goes on" in said) == (1, False)
    first = manifest_of(run)
    with paths.events.open("a") as file:
        file.write('{"torn')
    code, said = launch("pass", "--run-dir", "run")
    assert code == 2
    assert "--resume auto" in said
    code, said = launch("sys.exit(3)", "--run-dir", "run", "--resume", "auto")
    assert code == 3
    assert "run directory run, which goes on with attempt 1" in said
    assert any(text.startswith("none\n") for text in texts(paths.log, 0))
    assert "auto\n" in texts(paths.log, 1)
    assert any('"ValueError"' in text for text in texts(paths.failure, 0))
    code, _ = launch("", "--run-dir", "run", "--resume", "run/ckpt/step_1")
    assert code == 0
    assert paths.log(2, 1).read_text() == f"{run}/ckpt/step_1\n"
    manifest = manifest_of(run)
    assert [one["attempt"] for one in manifest["attempts"]] == [0, 1, 2]
    assert [one["exit_code"] for one in manifest["launches"]] == [1, 3]
    assert manifest["launches"][0]["start"] == first["start"]
    assert manifest["exit_code"] == 0
    lines = paths.events.read_text().splitlines()
    assert lines.count('{"torn') == 1
    events = [json.loads(line) for line in lines if line != '{"torn']
    assert [one["attempt"] for one in events if one["event"] == "plan"] == [0, 1, 2]


def test_without_a_run_directory_the_newest_run_is_continued(
    launch: Launch, tmp_path: Path
) -> None:
    code, said = launch("", "--resume", "auto")
    assert code == 0
    assert "(a new one: there is no run to go on with)" in said
    (only,) = (tmp_path / "runs" / "worker").iterdir()
    code, said = launch("", "--resume", "auto")
    assert code == 0
    assert f"run directory {only.relative_to(tmp_path)}, which goes on with attempt 1" in said
    assert [one for one in (tmp_path / "runs" / "worker").iterdir()] == [only]


def test_a_restart_resumes(launch: Launch, tmp_path: Path) -> None:
    script = "sys.exit(os.environ['LAUNCHER_WORKER_ATTEMPT'] == '0')"
    code, _ = launch(script, "--run-dir", "run", "--max-restarts", "1")
    assert code == 0
    paths = RunPaths(tmp_path / "run")
    assert paths.log(0, 0).read_text() == "none\n"
    assert paths.log(1, 0).read_text() == "auto\n"


def test_two_launchers_are_never_in_one_run_directory(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(SCRIPT + "time.sleep(600)\n")
    command = [sys.executable, "-m", "launcher", *ALONE, "--run-dir", "run"]
    settings: dict[str, Any] = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "text": True}
    settings["stderr"] = subprocess.PIPE
    with subprocess.Popen([*command, "--", "worker.py"], **settings) as first:
        try:
            paths = RunPaths(tmp_path / "run")
            wait_for(lambda: any(one["event"] == "ready" for one in read_events(paths)), "ready")
            for more in ((), ("--resume", "auto")):
                second = subprocess.run([*command, *more, "--", "worker.py"], **settings)
                assert second.returncode == 75
                assert "another launcher is running there" in second.stderr
        finally:
            first.send_signal(signal.SIGTERM)
            first.communicate(timeout=LONG_S)
    assert first.returncode == 143


def test_a_part_of_a_run_on_another_node_is_a_run_too(tmp_path: Path) -> None:
    assert not holds_a_run(tmp_path)
    RunPaths(tmp_path, node_rank=3).events.write_text("")
    assert holds_a_run(tmp_path)


def test_the_step_of_the_newest_checkpoint_is_found(tmp_path: Path) -> None:
    paths = RunPaths(tmp_path)
    assert newest_step(paths) == -1
    for name in ("step_00000009", "step_00000010", "step_broken", "other"):
        (paths.checkpoints / name).mkdir(parents=True)
    assert newest_step(paths) == 10
