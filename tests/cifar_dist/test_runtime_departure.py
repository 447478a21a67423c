"""A rank of our launcher ends at once; every other process ends as Python and MindSpore want."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys
from cifar_dist.runtime.context import DistContext
from cifar_dist.runtime.departure import depart
from launcher.contract import RankEnv

atexit.register(print, "as ever")
print("said", end=" ")
depart(RankEnv(job_id={job_id!r}), DistContext(0, {world_size}, {target!r}, 0))
sys.exit(3)
"""


@pytest.mark.parametrize(
    ("job_id", "world_size", "target", "code", "output"),
    [
        ("job", 2, "CPU", 0, "said "),
        ("job", 1, "CPU", 3, "said as ever\n"),
        ("job", 2, "Ascend", 3, "said as ever\n"),
        (None, 2, "CPU", 3, "said as ever\n"),
    ],
)
def test_only_a_rank_among_others_of_our_launcher_on_a_cpu_departs(
    job_id: str | None, world_size: int, target: str, code: int, output: str
) -> None:
    program = PROGRAM.format(job_id=job_id, world_size=world_size, target=target)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout) == (code, output)
