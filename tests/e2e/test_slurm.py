"""Jobs in a real Slurm of two nodes: trained, stopped, requeued, and ended by one failure."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from launcher.contract import LOCAL_RANK, NODE_RANK
from tests.e2e.conftest import ROOT, records
from tests.e2e.killing import SMALL, assert_same_run, last_step, lines, pids
from tests.e2e.slurm_cluster import slurm_cluster, why_not

LIMIT_S = 300.0
ONE_NODE, NODES = ROOT / "scripts/slurm_one_node.sbatch", ROOT / "scripts/slurm_nodes.sbatch"
LAUNCHER = (sys.executable, "-m", "launcher")
LENET5 = ("--device-target", "CPU", "--config", "lenet5.yaml", *SMALL)
ENDLESS = ("train.epochs=100000", "checkpoint.interval_steps=1000000")


class Slurm:
    """A client of the cluster, in a folder of its own."""

    def __init__(self, environ: Mapping[str, str], folder: Path) -> None:
        self._environ, self.folder = environ, folder

    def run(self, *command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            cwd=self.folder,
            env={**self._environ, "PYTHON": sys.executable, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
        )

    def launch(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a launcher on both nodes."""
        return self.run("srun", "-N2", *LAUNCHER, *arguments)

    def submit(self, *arguments: object) -> Job:
        done = self.run("sbatch", "--parsable", *arguments)
        assert done.returncode == 0, done.stdout
        return Job(self, done.stdout.split()[-1])


class Job:
    """A batch job of one of our scripts."""

    def __init__(self, slurm: Slurm, number: str) -> None:
        self._slurm, self.number = slurm, number
        self.run_dir = slurm.folder / f"runs/launcher-{number}"

    @property
    def output(self) -> str:
        path = self._slurm.folder / f"launcher-{self.number}.out"
        return path.read_text() if path.exists() else ""

    def state(self) -> str:
        return self._slurm.run("squeue", "-h", "-t", "all", "-o", "%T", "-j", self.number).stdout

    def wait_for(self, condition: Callable[[], object], what: str) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while not condition():
            is_in_time = time.monotonic() < deadline_s and self.state().strip() != "FAILED"
            assert is_in_time or condition(), f"waited in vain: {what}\n{self.output}"
            time.sleep(0.1)

    def wait_until_it_trains(self, step: int = 12) -> None:
        self.wait_for(lambda: last_step(self.run_dir) >= step, f"step {step}")

    def wait_for_state(self, *names: str) -> None:
        self.wait_for(lambda: self.state().strip() in names, " or ".join(names))

    def signal(self, *how: str) -> None:
        self._slurm.run("scancel", *how, self.number)


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    if why := why_not():
        pytest.skip(why)
    with slurm_cluster() as environ:
        yield environ


@pytest.fixture
def slurm(cluster: dict[str, str], tmp_path: Path) -> Slurm:
    return Slurm(cluster, tmp_path)


@pytest.fixture(scope="module")
def undisturbed(cluster: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a whole run on two nodes, with its output."""
    slurm = Slurm(cluster, tmp_path_factory.mktemp("undisturbed"))
    done = slurm.launch(*LENET5)
    assert done.returncode == 0, done.stdout
    (run_dir,) = (slurm.folder / "runs" / "lenet5").iterdir()
    (run_dir / "output").write_text(done.stdout)
    return run_dir


@pytest.mark.timeout(600)
def test_a_step_of_two_nodes_trains_together(undisturbed: Path) -> None:
    assert undisturbed.name.startswith("slurm-")
    assert [one["count"] for one in records(undisturbed, "eval")] == [130] * 3
    nodes = lines(undisturbed / "events.jsonl")[0]["nodes"]
    assert nodes == ["node 0 (n1)", "node 1 (n2)"]
    assert set(pids_of_both(undisturbed)) == {0, 1}
    assert "all 2 ranks ended well" in (undisturbed / "output").read_text()


def pids_of_both(run_dir: Path) -> dict[int, int]:
    """Return the process of each rank, wherever it runs."""
    events = lines(run_dir / "events_node_1.jsonl")
    elsewhere = {one["rank"]: one["pid"] for one in events if one["event"] == "spawn"}
    return {**pids(run_dir, 0), **elsewhere}


@pytest.mark.timeout(900)
def test_a_job_that_is_told_to_stop_is_requeued_and_ends_as_if_it_had_not_been(
    slurm: Slurm, undisturbed: Path
) -> None:
    job = slurm.submit(NODES, *LENET5)
    job.wait_until_it_trains()
    job.signal("--signal=TERM")
    job.wait_for(lambda: "is requeued and goes on" in job.output, "it is requeued")
    assert "stopped by SIGTERM after step" in job.output
    assert list((job.run_dir / "ckpt").glob("step_*"))
    events = [one for path in job.run_dir.glob("events*.jsonl") for one in lines(path)]
    assert not any(one["ranks_are_gone"] for one in events if one["event"] == "peer")
    job.wait_for_state("COMPLETED", "FAILED")
    assert "resume     after step" in job.output
    assert job.state().strip() == "COMPLETED", job.output
    assert_same_run(undisturbed, job.run_dir)


FAILS = """\
import os, signal, sys, time
if os.environ["RANK_ID"] == "3":
    if sys.argv[1] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("odd one")
time.sleep(600)
"""


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("raises", 1, "rank 3 of 4 failed: ValueError: odd one"),
        ("killed", 137, "rank 3 of 4 failed: SIGKILL (signal 9)"),
    ],
)
def test_a_failure_on_the_second_node_ends_the_job_and_is_told(
    slurm: Slurm, how: str, code: int, said: str
) -> None:
    (slurm.folder / "worker.py").write_text(FAILS)
    options = ("--rendezvous", "none", "--nproc", 2, "--run-dir", "run")
    done = slurm.launch(*options, "--", "worker.py", how)
    assert done.returncode == code, done.stdout
    assert f"node 1 (n2): {said}" in done.stdout
    assert ("Traceback" in done.stdout) == (how == "raises")
    events = lines(slurm.folder / "run/events.jsonl")
    assert [one["ranks_are_gone"] for one in events if one["event"] == "peer"] == [True]
    (verdict,) = [event for event in events if event["event"] == "verdict"]
    assert (verdict["exit_code"], verdict["root_cause_rank"]) == (code, 3)


def test_nodes_may_have_different_numbers_of_workers(slurm: Slurm) -> None:
    worker = slurm.folder / "worker.py"
    worker.write_text(
        "import json, os, pathlib\n"
        f"said = json.dumps([os.environ[name] for name in ('RANK_SIZE', {LOCAL_RANK!r}, "
        f"{NODE_RANK!r})])\n"
        "pathlib.Path(f'rank_{os.environ[\"RANK_ID\"]}').write_text(said)\n"
    )
    command = "exec python -m launcher --device-target CPU --rendezvous none --nproc"
    done = slurm.run(
        "srun", "-N2", "bash", "-c", f"{command} $((1 + 2 * SLURM_NODEID)) -- {worker}"
    )
    assert done.returncode == 0, done.stdout
    told = [json.loads((slurm.folder / f"rank_{rank}").read_text()) for rank in range(4)]
    assert told == [["4", "0", "0"], ["4", "0", "1"], ["4", "1", "1"], ["4", "2", "1"]]


def test_several_tasks_on_a_node_are_refused(slurm: Slurm) -> None:
    done = slurm.run("srun", "-N1", "-n2", *LAUNCHER, "--", "true")
    assert done.returncode == 2
    assert "srun --ntasks-per-node=1 python -m launcher" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("script", [NODES, ONE_NODE])
@pytest.mark.parametrize(
    ("option", "how"),
    [("USR1@60", ("--signal=USR1",)), ("B:USR1@60", ("--batch", "--signal=USR1"))],
)
def test_the_signal_before_the_time_limit_leads_to_a_checkpoint_and_another_start(
    slurm: Slurm, script: Path, option: str, how: tuple[str, ...]
) -> None:
    """Slurm's clock for limits is a minute coarse: its signal is sent by hand, in the same way."""
    job = slurm.submit(f"--signal={option}", "--time=30", script, *LENET5, *ENDLESS)
    job.wait_until_it_trains()
    job.signal(*how)
    job.wait_for(lambda: "is requeued and goes on" in job.output, "it is requeued")
    assert "exit code 143" in job.output
    assert len(list((job.run_dir / "ckpt").glob("step_*"))) == 1
    job.wait_for(lambda: "resume     after step" in job.output, "it goes on")
    job.signal()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_ends_with_a_checkpoint_before_its_time_limit(slurm: Slurm) -> None:
    """Slurm's clock is a minute coarse: the signal comes 60 to 120 s after the start."""
    job = slurm.submit("--signal=TERM@60", "--time=3", NODES, *LENET5, *ENDLESS)
    job.wait_for(lambda: "is requeued and goes on" in job.output, "it is requeued")
    assert "exit code 143" in job.output
    assert list((job.run_dir / "ckpt").glob("step_*"))
    job.signal()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_cancelled_job_saves_and_does_not_come_back(slurm: Slurm) -> None:
    job = slurm.submit(NODES, *LENET5, *ENDLESS)
    job.wait_until_it_trains()
    job.signal()
    job.wait_for_state("CANCELLED")
    assert list((job.run_dir / "ckpt").glob("step_*"))
    assert "is requeued" not in job.output


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_job_that_is_requeued_from_outside_ends_as_if_it_had_not_been(
    slurm: Slurm, undisturbed: Path
) -> None:
    job = slurm.submit(NODES, *LENET5)
    job.wait_until_it_trains()
    slurm.run("scontrol", "requeue", job.number)
    job.wait_for(lambda: "resume     after step" in job.output, "it goes on")
    job.wait_for_state("COMPLETED", "FAILED")
    assert job.state().strip() == "COMPLETED", job.output
    assert_same_run(undisturbed, job.run_dir)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_rank_that_is_killed_on_the_second_node_while_it_trains_ends_the_job(
    slurm: Slurm,
) -> None:
    job = slurm.submit("--no-requeue", NODES, *LENET5, *ENDLESS)
    job.wait_until_it_trains()
    os.kill(pids_of_both(job.run_dir)[1], signal.SIGKILL)
    job.wait_for_state("FAILED")
    assert "node 1 (n2): rank 1 of 2 failed: SIGKILL (signal 9)" in job.output
    assert "exit code: 137" in job.output


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_nodes_with_one_and_two_workers_train_together(slurm: Slurm) -> None:
    words = " ".join(map(str, (*LENET5, "data.global_batch_size=30", "train.max_steps=4")))
    command = f"exec python -m launcher --run-dir run {words}"
    done = slurm.run("srun", "-N2", "bash", "-c", f"{command} --nproc $((1 + SLURM_NODEID))")
    assert done.returncode == 0, done.stdout
    assert records(slurm.folder / "run", "eval")[0]["count"] == 130
