"""Options are read from a command line, and written again for a start that goes on."""

from __future__ import annotations

import pytest

from launcher.flags import lasting_flags, read_flags

LAUNCHER = ("/usr/bin/python", "-m", "launcher")


@pytest.mark.parametrize(
    ("arguments", "lasting"),
    [
        (["--nproc", "2", "--config", "r.yaml", "train.epochs=3"], ["--nproc", "2"]),
        (
            ["--nproc_per_node=4", "--nnodes", "2", "--node-rank=0", "--master-addr", "h0", "a=1"],
            ["--nproc", "4", "--nnodes", "2", "--node-rank", "0", "--master-addr", "h0"],
        ),
        (["--tensorboard", "--run-dir=d", "--resume", "auto"], ["--tensorboard"]),
        (["--profile", "steps=2:3", "--grace", "5"], ["--grace", "5"]),
        (["--bind", "none", "--", "-m", "cifar_dist", "--nproc", "9"], ["--bind", "none"]),
        ([], []),
    ],
)
def test_what_a_start_that_goes_on_needs_is_kept(arguments: list[str], lasting: list[str]) -> None:
    assert lasting_flags([*LAUNCHER, *arguments]) == lasting
    given, extras = read_flags(lasting)
    assert (len(given) > 0, extras) == (bool(lasting), [])


def test_another_program_has_no_options_of_ours() -> None:
    assert lasting_flags(["python", "own.py", "--nproc", "2"]) == []
    assert lasting_flags([]) == []
