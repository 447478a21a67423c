"""The command line over the tables."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from rank_tables import Shape, document

from launcher.errors import RankTableError, UsageError
from launcher.rank_table.cli import add_parser, run
from launcher.rank_table.lint import load


def call(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(dest="command"))
    return run(parser.parse_args(["rank-table", *map(str, words)]))


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.json"
    path.write_text(json.dumps(document(Shape(servers=2, devices=4))))
    return path


def test_check_lists_notes_and_passes(good: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = json.loads(good.read_text())
    good.write_text(json.dumps({**table, "IsMindIEEPJob": "false", "\ud800\n": "x"}))
    assert call("check", good) == 0
    out = capfd.readouterr().out.splitlines()
    assert out[0].startswith("note: $.IsMindIEEPJob: ")
    assert out[1].startswith("note: $['\\ud800\\n']: ")
    assert out[-1] == f"{good}: good, form 1.0, 2 servers, 8 ranks"


def test_check_lists_every_problem_and_fails(good: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good.write_text(good.read_text().replace('"rank_id": "7"', '"rank_id": "1"'))
    assert call("check", good) == 2
    out = capfd.readouterr().out
    assert "$.server_list[1].device[3].rank_id" in out
    assert out.endswith(": bad\n")


def test_check_knows_the_products(tmp_path: Path) -> None:
    path = tmp_path / "three.json"
    path.write_text(json.dumps(document(Shape(servers=1, devices=3))))
    assert call("check", path) == 0
    assert call("check", "--product", "910A", path) == 2


def test_show_prints_and_refuses_a_bad_table(good: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert call("show", good) == 0
    assert "8 ranks" in capfd.readouterr().out
    good.write_text("{}")
    with pytest.raises(RankTableError):
        call("show", good)


def test_make_and_merge_give_tables_that_check(tmp_path: Path) -> None:
    conf = tmp_path / "hccn.conf"
    for index in (0, 1):
        conf.write_text("".join(f"address_{i}=10.{index}.0.{i + 1}\n" for i in range(8)))
        arguments = ["--devices", "0-3", "--server-id", f"n{index}", "--hccn-conf", conf]
        assert call("make", *arguments, "-o", tmp_path / f"{index}.json") == 0
    merged = tmp_path / "all.json"
    assert call("merge", tmp_path / "1.json", tmp_path / "0.json", "-o", merged) == 0
    assert [server.server_id for server in load(merged).by_rank] == ["n0", "n1"]
    assert call("check", "--product", "910A", merged) == 0


def test_make_prints_where_no_file_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert call("make", "--devices", "5", "--address", "5=fd00::5", "--server-id", "here") == 0
    device = json.loads(capfd.readouterr().out)["server_list"][0]["device"]
    assert device == [{"device_id": "5", "device_ip": "fd00::5", "rank_id": "0"}]


@pytest.mark.parametrize(
    "words",
    [
        ["make", "--devices", "3-1"],
        ["make", "--devices", "a"],
        ["make", "--devices", "0", "--address", "10.0.0.1"],
        ["make", "--devices", "0", "--hccn-conf", "/no/such/hccn.conf"],
        ["make", "--devices", "0", "-o", "/tmp/table.txt"],
        ["make", "--devices", "0", "-o", "/proc/no/table.json"],
        ["make", "--devices", "0,0"],
        ["merge", "/no/such/table.json"],
    ],
)
def test_wrong_words_are_usage_errors(words: list[str]) -> None:
    with pytest.raises(UsageError):
        call(*words)
