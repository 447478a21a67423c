from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cifar_dist.commands.go_on import lines_to_go_on

RUN = Path("runs/r")
AGAIN = "--config runs/r/config.yaml --run-dir runs/r --resume auto train.epochs=N"
FOUR_RANKS = [{"rank": rank} for rank in range(4)]


def lines(folder: Path, manifest: object, world_size: int = 8) -> list[str]:
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest))
    return lines_to_go_on(path, RUN, world_size=world_size)


def test_the_options_are_those_of_the_launch(tmp_path: Path) -> None:
    manifest = {"options": ["--nproc", "2", "--bind", "none"], "plan": {"nnodes": 1}}
    assert lines(tmp_path, manifest) == [f"python -m launcher --nproc 2 --bind none {AGAIN}"]


def test_on_several_nodes_the_command_is_typed_on_each(tmp_path: Path) -> None:
    own = ["--nproc", "4", "--nnodes", "2", "--node-rank", "0", "--master-addr", "h0"]
    where, command = lines(tmp_path, {"options": own, "plan": {"nnodes": 2}})
    assert where == "on all 2 nodes, as before, each with its own --node-rank:"
    assert command == (
        "python -m launcher --nproc 4 --nnodes 2 --node-rank 0 --master-addr h0 " + AGAIN
    )
    where, command = lines(tmp_path, {"options": ["--cluster", "two.yaml"], "plan": {"nnodes": 2}})
    assert (where, command) == (
        "on all 2 nodes, as before:", f"python -m launcher --cluster two.yaml {AGAIN}"
    )  # fmt: skip


def test_without_options_the_plan_tells_the_ranks_of_a_node(tmp_path: Path) -> None:
    where, command = lines(tmp_path, {"options": [], "plan": {"nnodes": 2, "ranks": FOUR_RANKS}})
    assert where == "on all 2 nodes, as before:"
    assert command == f"python -m launcher --nproc 4 --nnodes 2 {AGAIN}"


@pytest.mark.parametrize("manifest", [None, [], {"options": "x", "plan": 7}, {"plan": {}}])
def test_without_a_manifest_of_a_launcher_all_ranks_are_of_one_node(
    tmp_path: Path, manifest: Any
) -> None:
    assert lines(tmp_path, manifest, 1) == [f"python -m launcher --nproc 1 {AGAIN}"]
    missing = tmp_path / "nothing.json"
    assert lines_to_go_on(missing, RUN, world_size=1) == [f"python -m launcher --nproc 1 {AGAIN}"]
