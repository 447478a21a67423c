"""``--profile`` on real ranks: what MindSpore's profiler writes is of the steps that were asked."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.e2e.conftest import launch, succeed
from tests.e2e.killing import SMALL


def test_each_rank_s_profile_holds_every_operator_once_for_each_step(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    done = succeed(
        launch(
            *("--nproc", 2, "--run-dir", run_dir, "--profile", "steps=4:6"),
            *("--config", "lenet5.yaml", *SMALL, "train.max_steps=8"),
            cwd=tmp_path,
        )
    )
    assert f"profile    steps 4 to 6 of each rank: {run_dir / 'profile'}" in done.stdout
    for rank in (0, 1):
        (trace,) = (run_dir / "profile" / f"rank_{rank}").glob("*/*/trace_view.json")
        names = [
            event["name"]
            for event in json.loads(trace.read_text())
            if event.get("args", {}).get("type") == "HostCpuOps"
        ]
        assert any("AllReduce" in name for name in names)
        (count, operators), *_ = Counter(Counter(names).values()).most_common()
        assert count == 3
        assert operators > 50


@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_steps_that_the_run_does_not_have_are_refused_before_anything_starts(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    run_dir = tmp_path / "run"
    done = launch(
        *("--run-dir", run_dir, "--profile", "steps=60:70", "--config", "lenet5.yaml"),
        *(*SMALL, "train.max_steps=64", *more),
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert "'monitor.profile_steps' (60:70) is not allowed" in done.stderr
    assert "2 <= FIRST <= LAST <= 60, which the run has" in done.stderr
    assert "Traceback" not in done.stderr
    assert not run_dir.exists()
