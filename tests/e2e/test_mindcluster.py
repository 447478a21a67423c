"""Pods of MindCluster that train on CPUs: two process namespaces, ended as the kubelet does."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.hosts import Launched, Loopback
from tests.e2e.killing import SMALL, last_step

pytestmark = pytest.mark.slow
INTO_A_POD = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
LIMIT_S = 300
ENDLESS = ("train.epochs=100000", "checkpoint.interval_steps=1000000")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Loopback]:
    if os.geteuid():
        pytest.skip("process namespaces need root")
    node = Loopback(tmp_path)
    yield node
    node.close()


def start_pod(node: Loopback, rank: int, *arguments: object) -> Launched:
    """Start a launcher as process 1 of a pod, with the variables of ascend-operator."""
    environ = {
        "HOSTNAME": f"job-worker-{rank}",
        "MINDX_TASK_ID": "0c7c-11",
        "MS_LOCAL_WORKER": "1",
        "MS_NODE_RANK": str(rank),
        "MS_ROLE": "MS_WORKER" if rank else "MS_SCHED",
        "MS_SCHED_HOST": node.master,
        "MS_SCHED_PORT": str(node.port),
        "MS_SERVER_NUM": "0",
        "MS_WORKER_NUM": "2",
        "NPU_POD": "true",
    }
    launcher = (sys.executable, "-m", "launcher", "--device-target", "CPU", *arguments)
    return node.run(rank, *INTO_A_POD, *launcher, **environ)


def delete(pod: Launched) -> None:
    """Send SIGTERM to process 1 of a pod, as the kubelet does."""
    outside = pod.process.pid
    (first,) = Path(f"/proc/{outside}/task/{outside}/children").read_text().split()
    os.kill(int(first), signal.SIGTERM)


def wait_until_it_trains(run_dir: Path, pod: Launched) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while last_step(run_dir) < 3:
        if pod.process.poll() is not None or time.monotonic() > deadline_s:
            pytest.fail(f"it does not train\n{pod.wait(0).said}")
        time.sleep(0.1)


@pytest.mark.timeout(900)
def test_pods_that_are_deleted_save_first_and_others_in_their_place_go_on(
    node: Loopback, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    options = ("--run-dir", run_dir, "--resume", "auto", "--grace", 120, "--config", "lenet5.yaml")
    pods = [start_pod(node, rank, *options, *SMALL, *ENDLESS) for rank in (0, 1)]
    wait_until_it_trains(run_dir, pods[0])
    for pod in pods:
        delete(pod)
    ended = [pod.wait(LIMIT_S) for pod in pods]
    assert [pod.code for pod in ended] == [143, 143], ended[0].said
    assert "stopped by SIGTERM after step" in ended[0].said
    assert "SIGKILL to" not in ended[0].said + ended[1].said
    (saved,) = (run_dir / "ckpt").glob("step_*")
    step = int(saved.name.removeprefix("step_"))
    more = (*options, *SMALL, *ENDLESS, f"train.max_steps={step + 2}")
    after = [start_pod(node, rank, *more) for rank in (0, 1)]
    assert [pod.wait(LIMIT_S).code for pod in after] == [0, 0], after[0].said
    assert f"resume     after step {step}" in after[0].said
