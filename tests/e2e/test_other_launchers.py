"""Their scripts under our launcher, our trainer under theirs."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.e2e.conftest import ROOT, SCRIPTS, launch, records, run_command, succeed


def test_a_script_written_for_msrun_runs_unchanged(tmp_path: Path) -> None:
    script = SCRIPTS / "plain_mindspore.py"
    done = succeed(
        launch("--nproc", 2, "--console", "all", "--", script, "--lr", "0.5", cwd=tmp_path)
    )
    lines = [line for line in done.stdout.splitlines() if "of 2 lr 0.5 weights" in line]
    assert sorted(line.split("rank ")[-1][0] for line in lines) == ["0", "1"]
    assert len({line.split()[-1] for line in lines}) == 1


def test_the_trainer_runs_under_plain_msrun(tmp_path: Path) -> None:
    from launcher.planning.ports import PortReservation

    ports = PortReservation(None)
    port = ports.choose()
    ports.close()
    msrun = Path(sys.executable).with_name("msrun")
    options = ["--worker_num", 2, "--local_worker_num", 2, "--master_port", port, "--join", True]
    overrides = [
        "data.source=synthetic",
        "data.synthetic_train_images=128",
        "data.synthetic_test_images=64",
        "train.max_steps=2",
        "monitor.log_interval=1",
    ]
    run_dir = tmp_path / "run"
    trainer = [ROOT / "cifar_dist" / "__main__.py", "train", "--config", "lenet5"]
    command = [msrun, *options, *trainer, "--run-dir", run_dir, *overrides]
    succeed(run_command(command, cwd=tmp_path))
    assert [record["world_size"] for record in records(run_dir, "train")] == [2, 2]
    assert records(run_dir, "eval")[-1]["count"] == 64
