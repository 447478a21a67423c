"""Every recipe of docs/results as it ships, on eight NPUs: no edit, and an eighth of the batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from fake_host import host_910b

RECIPES = ("lenet5_long", "speed94", "resnet20_one_cycle", "seresnet20_one_cycle", "vgg_a_bn")


@pytest.mark.parametrize("name", RECIPES)
def test_a_dry_run_shows_an_eighth_of_the_batch_on_each(
    name: str, tmp_path: Path, shared: Path
) -> None:
    host, work = host_910b(tmp_path / "host", shared / "samples"), tmp_path / "work"
    work.mkdir()
    options = ("--device-target", "Ascend", "--config", f"{name}.yaml")
    plans = {}
    for nproc in (1, 8):
        done = host.launcher("--dry-run", "--nproc", str(nproc), *options, cwd=work)
        assert (done.returncode, done.stderr) == (0, "")
        plans[nproc] = json.loads(done.stdout)
    assert [rank["device_id"] for rank in plans[8]["ranks"]] == list(range(8))
    assert plans[8]["recipe"] == plans[1]["recipe"]
    whole = plans[8]["recipe"]["data"]["global_batch_size"]
    assert plans[1]["batch_size_per_rank"] == whole
    assert plans[8]["batch_size_per_rank"] * 8 == whole
    assert list(work.iterdir()) == []


def test_a_dry_run_refuses_a_batch_that_eight_cannot_share(tmp_path: Path, shared: Path) -> None:
    host = host_910b(tmp_path / "host", shared / "samples")
    options = ("--nproc", "8", "--device-target", "Ascend", "--config", "speed94.yaml")
    done = host.launcher("--dry-run", *options, "data.global_batch_size=1001", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be divided evenly over 8 ranks" in done.stderr
    assert done.stdout == ""
