"""docs/from-msrun.md: every option that it names is one, on both sides."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from launcher.cli import parse
from launcher.options import OPTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "from-msrun.md"
_OPTION = re.compile(r"--[a-z][a-z_-]*")
TORCHRUN = {
    "--nproc-per-node", "--nnodes", "--node-rank", "--master-addr", "--master-port",
    "--max-restarts", "--monitor-interval", "--log-dir", "--redirects", "--tee", "--standalone",
    "--rdzv-backend", "--rdzv-endpoint", "--module",
}  # fmt: skip


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table below a heading, without its head."""
    part = PAGE.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def ours() -> set[str]:
    names = {f"--{name}" for option in OPTIONS for name in (option.name, *option.aliases)}
    return names | {name.replace("-", "_").replace("__", "--", 1) for name in names}


@pytest.mark.parametrize("title", ["msrun", "torchrun"])
def test_every_option_on_our_side_exists(title: str) -> None:
    for row in rows(title):
        for cell in row[1:]:
            for name in _OPTION.findall(cell):
                assert name in ours(), f"{name} in the row of {row[0]}"


def test_every_option_in_the_other_tables_exists() -> None:
    for row in rows("Variables"):
        assert set(_OPTION.findall(row[2])) <= ours(), row
    for _, here in rows("Model-zoo scripts"):
        before_script = here.split(" -- ")[0]
        assert set(_OPTION.findall(before_script)) <= ours(), here


def test_every_option_of_msrun_has_a_row() -> None:
    spec = importlib.util.find_spec("mindspore")
    if spec is None or spec.origin is None:
        pytest.skip("MindSpore is not installed")
    source = Path(spec.origin).parent / "parallel" / "cluster" / "run.py"
    theirs = set(re.findall(r'"(--[a-z_]+)"', source.read_text(encoding="utf-8")))
    named = [name for row in rows("msrun") for name in _OPTION.findall(row[0])]
    assert sorted(theirs) == sorted(named)


def test_every_option_of_torchrun_that_is_named_is_one() -> None:
    named = {name for row in rows("torchrun") for name in _OPTION.findall(row[0])}
    assert named == TORCHRUN


def test_variables_of_ours_are_options() -> None:
    named = set(re.findall(r"LAUNCHER_[A-Z_]+", PAGE.read_text(encoding="utf-8")))
    assert named <= {option.variable for option in OPTIONS}


def test_the_commands_at_the_top_are_the_same_job() -> None:
    said = re.search(r"^python -m launcher (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert said is not None
    spec = parse(said[1].split(), {})
    assert spec is not None
    assert spec.nproc == 8
    assert spec.command == ("train.py", "--lr", "0.1")
