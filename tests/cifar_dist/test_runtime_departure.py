"""A rank of our launcher ends at once; every other process ends as Python and MindSpore want."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cifar_dist.observe.progress import ProgressFile

PROGRAM = """
import atexit, sys
from pathlib import Path
from cifar_dist.runtime.context import DistContext
from cifar_dist.runtime.departure import depart
from launcher.contract import RankEnv

atexit.register(print, "as ever")
print("said", end=" ")
env = RankEnv(job_id={job_id!r}, run_dir=Path({run_dir!r}))
depart(env, DistContext(0, {world_size}, {target!r}, 0), patience_s=0.2)
sys.exit(3)
"""


def end_of(
    run_dir: Path, *, job_id: str | None = "job", world_size: int = 2, target: str = "CPU"
) -> tuple[int, str]:
    """Return the exit code and the output of a rank that departs."""
    program = PROGRAM.format(
        job_id=job_id, run_dir=str(run_dir), world_size=world_size, target=target
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stdout


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run that both ranks have come to the end of."""
    for rank in (0, 1):
        ProgressFile(tmp_path, rank).phase("done")
    return tmp_path


def test_a_rank_of_our_launcher_ends_at_once(run_dir: Path) -> None:
    assert end_of(run_dir) == (0, "said ")


@pytest.mark.parametrize(
    "other", [{"job_id": None}, {"world_size": 1}, {"target": "Ascend"}], ids=str
)
def test_every_other_process_ends_as_ever(run_dir: Path, other: dict[str, object]) -> None:
    assert end_of(run_dir, **other) == (3, "said as ever\n")  # type: ignore[arg-type]


@pytest.mark.parametrize("phase", ["train", None])
def test_nobody_leaves_another_rank_behind(run_dir: Path, phase: str | None) -> None:
    if phase is None:
        next(run_dir.glob("progress/rank_1.json")).unlink()
    else:
        ProgressFile(run_dir, 1).phase(phase)
    assert end_of(run_dir) == (3, "said as ever\n")
