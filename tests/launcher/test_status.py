"""launcher status: which jobs run on this host, and how they and others stand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import wait_for
from report_runs import START_S, failed_run, good_run, running_run, write_manifest

from launcher.contract import RunPaths
from launcher.host.jobs import Processes
from launcher.report.read import read_run
from launcher.report.run import State
from launcher.status.find import find_runs
from launcher.status.job import job_of, to_json
from launcher.status.show import job_text, jobs_table

LONG_S = 60
NOW_S = START_S + 100
ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """\
import json, os, time
rank, folder = os.environ["RANK_ID"], os.environ["LAUNCHER_WORKER_RUN_DIR"]
values = {"rank": int(rank), "phase": "train", "epoch": 1, "step": 7, "time": time.time()}
path = f"{folder}/progress/rank_{rank}.json"
with open(path + ".tmp", "w") as file:
    json.dump(values, file)
os.replace(path + ".tmp", path)
while not os.path.exists("go_on"):
    time.sleep(0.05)
"""


def status(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "launcher", "status", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LONG_S,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Path]:
    """A real job of two workers that have said that they are at step 7; its working directory."""
    (tmp_path / "wait.py").write_text(SCRIPT)
    process = subprocess.Popen(
        [sys.executable, "-m", "launcher", "--nproc", "2", "--rendezvous", "none",
         "--run-dir", "elsewhere/run", "--", "wait.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    signs = [RunPaths(tmp_path / "elsewhere" / "run").progress(rank) for rank in range(2)]
    try:
        wait_for(lambda: all(sign.exists() for sign in signs), "both ranks' signs of life")
        yield tmp_path
    finally:
        (tmp_path / "go_on").touch()
        process.wait(LONG_S)


def test_a_running_job_is_found_by_its_processes(job: Path) -> None:
    done = status("--json", cwd=job)
    assert done.returncode == 0, done.stderr
    found = [one for one in json.loads(done.stdout)["jobs"] if one["run_dir"].startswith(str(job))]
    assert [(one["state"], one["step"], one["world_size"]) for one in found] == [("running", 7, 2)]
    assert len(found[0]["pids"]) >= 2
    assert [(rank["rank"], rank["phase"]) for rank in found[0]["ranks"]] == [
        (0, "train"),
        (1, "train"),
    ]


def test_the_exit_code_says_whether_a_run_goes_on(job: Path) -> None:
    run = "elsewhere/run"
    done = status(run, cwd=job)
    assert done.returncode == 75, done.stderr
    assert "running" in done.stdout
    (job / "go_on").touch()
    wait_for(lambda: status(run, cwd=job).returncode == 0, "the run ends well")


def test_a_failed_run_gives_1_and_its_root_cause(tmp_path: Path) -> None:
    done = status(failed_run(tmp_path / "run"), cwd=tmp_path)
    assert done.returncode == 1
    assert "exit code 1" in done.stdout
    assert "root cause: rank 1: ValueError" in done.stdout


def test_a_run_whose_launcher_was_killed_gives_1(tmp_path: Path) -> None:
    done = status(running_run(tmp_path / "run", now_s=NOW_S), cwd=tmp_path)
    assert done.returncode == 1
    assert "ended without a word" in done.stdout


def test_a_folder_that_is_no_run_gives_2(tmp_path: Path) -> None:
    done = status(tmp_path / "none", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no run" in done.stderr


def test_ended_runs_below_runs_are_listed_the_newest_first(tmp_path: Path) -> None:
    folders = [good_run(tmp_path / "runs" / "lenet5" / name) for name in "ab"]
    for age_s, folder in enumerate(folders):
        os.utime(folder / "manifest.json", (START_S + age_s, START_S + age_s))
    assert find_runs(Processes(), tmp_path / "runs", most=9) == folders[::-1]
    assert find_runs(Processes(), tmp_path / "runs", most=1) == folders[1:]


def test_the_search_follows_no_link(tmp_path: Path) -> None:
    good_run(tmp_path / "runs" / "a" / "1")
    (tmp_path / "runs" / "loop").symlink_to(tmp_path / "runs")
    assert len(find_runs(Processes(), tmp_path / "runs", most=9)) == 1


def test_between_two_attempts_the_guardian_is_a_job(tmp_path: Path) -> None:
    events = tmp_path / "run" / "events.jsonl"
    process(tmp_path / "7", ["python", "-I", "-S", "/x/guardian.py", "V", "outer:job-1", events])
    process(tmp_path / "8", ["python", "w.py"], LAUNCHER_JOB_ID="outer:job-2",
            LAUNCHER_WORKER_RUN_DIR="/runs/2")  # fmt: skip
    process(tmp_path / "9", ["bash"], OTHER="1")
    (tmp_path / "10").mkdir()
    found = Processes.observe(tmp_path)
    assert found.pids == {"job-1": [7], "outer": [8], "job-2": [8]}
    assert found.run_dirs == {"job-1": tmp_path / "run", "job-2": Path("/runs/2")}


def process(folder: Path, arguments: list[object], **variables: str) -> None:
    folder.mkdir()
    (folder / "cmdline").write_bytes(b"".join(f"{one}\0".encode() for one in arguments))
    pairs = (f"{name}={value}\0".encode() for name, value in variables.items())
    (folder / "environ").write_bytes(b"PATH=/bin\0" + b"".join(pairs))


def test_text_and_json_say_the_same(tmp_path: Path) -> None:
    folder = running_run(tmp_path / "run", now_s=NOW_S - 3)
    found = job_of(read_run(folder, is_alive=lambda _: True, clock=lambda: NOW_S), pids=[12, 11])
    values = to_json(found)
    assert json.loads(json.dumps(values))["ranks"][1]["age_s"] == pytest.approx(3)
    assert values["images_per_s"] == 1000.0
    assert values["pids"] == [11, 12]
    assert "1,000" in job_text(found)
    assert "3.00 s ago" in job_text(found)
    assert "running" in jobs_table([found])


def test_a_terminal_gets_no_control_characters_of_a_foreign_run(tmp_path: Path) -> None:
    write_manifest(tmp_path, exit_code=3, root_cause_rank=0, reason="\x1b[31mred\x07\nline")
    found = job_of(read_run(tmp_path, is_alive=lambda _: False))
    assert found.state is State.FAILED
    shown = job_text(found) + jobs_table([found])
    assert all(char.isprintable() or char == "\n" for char in shown)
