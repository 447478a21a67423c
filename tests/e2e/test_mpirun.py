"""Under mpirun: a launcher on each host, or a rank in each process."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import records, run_command, succeed
from tests.e2e.hosts import two_hosts

pytestmark = [
    pytest.mark.skipif(
        shutil.which("mpirun") is None, reason="mpirun is not installed (openmpi-bin)"
    ),
    pytest.mark.timeout(900),
]
AS_ROOT = ["mpirun", "--allow-run-as-root", "--bind-to", "none"]
RSH = """\
#!/bin/sh
case $1 in host-0) name={names[0]};; *) name={names[1]};; esac
host=$1
shift
exec ip netns exec $name unshare --uts sh -c "hostname $host; $*"
"""
"""What mpirun calls in place of ssh: HOST COMMAND..."""


def test_mpirun_starts_a_launcher_on_each_of_two_hosts(tmp_path: Path) -> None:
    with two_hosts(tmp_path) as hosts:
        rsh, hostfile = tmp_path / "rsh", tmp_path / "hosts"
        rsh.write_text(RSH.format(names=hosts.names))
        rsh.chmod(0o755)
        hostfile.write_text("host-0 slots=1\nhost-1 slots=1\n")
        options = ["--hostfile", hostfile, "--map-by", "ppr:1:node"]
        options += ["--mca", "plm_rsh_agent", rsh, "--mca", "oob_tcp_if_include", "eth0"]
        launcher = [sys.executable, "-m", "launcher", "--device-target", "CPU", "--nproc", 2]
        plain = ["--rendezvous", "none", "--run-dir", "run", "--", sys.executable, "-c"]
        program = "import os; print('rank', os.environ['RANK_ID'])"
        ended = hosts.run(0, *AS_ROOT, *options, *launcher, *plain, program).wait()
        assert ended.code == 0, ended.said
        for node in (0, 1):
            assert f"(node {node} of 2)" in ended.said
        logs = tmp_path / "run" / "logs" / "attempt_0"
        assert [(logs / f"rank_{rank}.log").read_text() for rank in range(4)] == [
            f"rank {rank}\n" for rank in range(4)
        ]


@pytest.mark.slow
def test_the_trainer_runs_under_mpirun(tmp_path: Path) -> None:
    ranks = [*AS_ROOT, "--oversubscribe", "-n", 2, sys.executable]
    overrides = [
        "data.source=synthetic",
        "data.synthetic_train_images=128",
        "data.synthetic_test_images=64",
        "train.max_steps=2",
        "monitor.log_interval=1",
    ]
    run_dir = tmp_path / "run"
    trainer = ["-m", "cifar_dist", "train", "--config", "lenet5", "--run-dir", run_dir]
    succeed(run_command([*ranks, *trainer, *overrides], cwd=tmp_path, limit_s=600))
    assert [record["world_size"] for record in records(run_dir, "train")] == [2, 2]
    assert records(run_dir, "eval")[-1]["count"] == 64
