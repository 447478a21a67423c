"""The page on one run and on several: complete, self-contained, and text stays text."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_runs import (
    NASTY,
    START_S,
    eval_line,
    event_line,
    failed_run,
    good_run,
    running_run,
    train_line,
    write_lines,
    write_manifest,
)

from launcher.report.build import build
from launcher.report.compare import recipe_keys
from launcher.report.predictions import png
from launcher.report.read import read_run
from launcher.report.run import Run

LONG_S = 60
NOW_S = START_S + 100
_VOID = {"meta", "link", "br", "img"}
_FETCHES = ("src", "href", "xlink:href", "action", "data", "poster", "srcset")


def read(folder: Path, *, alive: bool = False) -> Run:
    return read_run(folder, is_alive=lambda job_id: alive, clock=lambda: NOW_S)


class Checker(HTMLParser):
    """Notes what a page consists of, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.handlers: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in _FETCHES]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


def checked(page: str) -> Checker:
    """Return what is in a page that fetches nothing, runs nothing and is well formed."""
    checker = Checker()
    checker.feed(page)
    checker.close()
    assert checker.open == []
    assert not checker.tags & {"script", "iframe", "object", "embed", "form", "base"}
    assert checker.handlers == []
    for address in checker.addresses:
        assert address.startswith(("#", "data:image/", "data:,")), address
    assert "url(" not in page
    assert "@import" not in page
    links = {address[1:] for address in checker.addresses if address.startswith("#")}
    assert links <= set(checker.ids)
    assert "default-src 'none'" in page
    return checker


def test_a_good_run_has_every_section(tmp_path: Path) -> None:
    page = checked(build([read(good_run(tmp_path / "run"))]))
    assert page.ids == [
        "result", "curves", "time", "ranks", "classes", "predictions", "story", "logs",
        "environment",
    ]  # fmt: skip
    for words in ("80.00\N{NO-BREAK SPACE}%", "ended well", "Confusion matrix", "mindspore"):
        assert words in page.text
    assert "Slowest: rank 1, 60.0 ms per step, 9.1% above the mean." in page.text


def test_a_failed_run_shows_cause_traceback_and_log(tmp_path: Path) -> None:
    page = checked(build([read(failed_run(tmp_path / "run"))]))
    assert f"rank 1: ValueError: {NASTY}" in page.text
    assert "Traceback (most recent call last)" in page.text
    assert f"red {NASTY}" in page.text
    assert "metrics.jsonl is not there" in page.text
    assert "curves" not in page.ids


def test_a_rank_that_was_killed_is_named_with_its_signal(tmp_path: Path) -> None:
    write_manifest(tmp_path, exit_code=137, root_cause_rank=1, reason="failure")
    lines = [
        event_line(0, "spawn", rank=1, pid=12),
        event_line(2, "exit", rank=1, returncode=-9),
    ]
    write_lines(tmp_path / "events.jsonl", lines)
    assert "rank 1: was ended by SIGKILL" in checked(build([read(tmp_path)])).text


def test_a_run_that_goes_on_says_of_when_it_is(tmp_path: Path) -> None:
    folder = running_run(tmp_path / "run", now_s=NOW_S)
    page = checked(build([read(folder, alive=True)]))
    assert "running" in page.text
    assert "this page shows it as of" in page.text


def test_restarts_are_in_the_time_line(tmp_path: Path) -> None:
    write_manifest(tmp_path, exit_code=0, reason="success")
    lines = [event_line(0, "spawn", rank=0), event_line(1, "exit", rank=0, returncode=-9),
             event_line(1, "restart", why="rank 0 was ended by SIGKILL") | {"attempt": 1},
             event_line(2, "spawn", rank=0) | {"attempt": 1},
             event_line(9, "exit", rank=0, returncode=0) | {"attempt": 1}]  # fmt: skip
    write_lines(tmp_path / "events.jsonl", lines)
    page = build([read(tmp_path)])
    assert page.count('class="b1"') == 1
    assert page.count('class="b2"') == 1
    assert page.count('class="mark"') == 1
    assert "why=rank 0 was ended by SIGKILL" in checked(page).text


def test_the_trainers_own_pictures_are_shown_under_words(tmp_path: Path) -> None:
    folder = good_run(tmp_path / "run")
    (folder / "report").mkdir()
    pixel = png(bytes(12), 2)
    for name in ("a_curve", "wrong_answers", "right_answers"):
        (folder / "report" / f"{name}.png").write_bytes(pixel)
    html = build([read(folder)])
    titles = [html.index(words) for words in ("Right, and most", "Wrong, and most", "a_curve.png")]
    assert titles == sorted(titles)
    assert "No predictions.csv" not in html


def test_class_names_and_recipes_stay_text(tmp_path: Path) -> None:
    folder = good_run(tmp_path / "<b>run</b>", (NASTY, "dog & 'cat'"))
    (folder / "config.yaml").write_text(f"model:\n  name: {NASTY}\n")
    (folder / "report").mkdir()
    rows = f'file,record,label,probability,truth,note\n"{NASTY}",,"{NASTY}",0.9,dog,\n'.replace(
        '""', '"'
    )
    (folder / "report" / "predictions.csv").write_text(rows)
    one, two = build([read(folder)]), build([read(folder), read(good_run(tmp_path / "other"))])
    for page in (one, two):
        checked(page)
        assert "<script" not in page
        assert "<b>run" not in page
    assert NASTY in checked(one).text


def test_what_the_trainer_wrote_about_wrong_numbers_is_shown(tmp_path: Path) -> None:
    folder = failed_run(tmp_path / "run")
    (folder / "report").mkdir()
    (folder / "report" / "bad_numbers_step_12.json").write_text(f'{{"what": "{NASTY}"}}')
    page = checked(build([read(folder)]))
    assert "bad_numbers_step_12.json" in page.text
    assert f'"what": "{NASTY}"' in page.text


def test_half_written_lines_are_counted(tmp_path: Path) -> None:
    folder = running_run(tmp_path / "run", now_s=NOW_S)
    assert "metrics.jsonl: 1 line is damaged or half-written" in checked(build([read(folder)])).text


def test_several_runs_are_compared(tmp_path: Path) -> None:
    first, second = good_run(tmp_path / "a"), good_run(tmp_path / "b")
    (second / "config.yaml").write_text("model:\n  name: resnet20\ntrain:\n  epochs: 2\n")
    page = checked(build([read(first), read(second), read(failed_run(tmp_path / "c"))]))
    assert "3 runs compared" in page.text
    assert "model.name" in page.text
    assert "resnet20" in page.text
    assert "train.epochs" not in page.text


def test_the_keys_of_a_recipe_are_what_yaml_reads() -> None:
    import yaml

    folder = Path(__file__).resolve().parents[2] / "cifar_dist" / "recipes"
    from cifar_dist.config import dump_config, load_config

    for path in sorted(folder.glob("*.yaml")):
        text = dump_config(load_config(path, []).config)
        found = recipe_keys(text)
        wanted = {
            f"{section}.{key}": value
            for section, keys in yaml.safe_load(text).items()
            for key, value in keys.items()
            if not isinstance(value, list | dict)
        }
        assert {name: yaml.safe_load(found[name]) for name in wanted} == wanted


def test_a_long_run_gives_a_small_page(tmp_path: Path) -> None:
    names = [f"class {index}" for index in range(100)]
    matrix = [[row * column % 7 for column in range(100)] for row in range(100)]
    rows = [{"name": name, "f1": 0.5} for name in names]
    write_manifest(tmp_path, exit_code=0)
    write_lines(tmp_path / "metrics.jsonl", [
        *(train_line(step, rank_step_ms=[1.0] * 64) for step in range(1, 20_001)),
        eval_line(20_000, confusion_matrix=matrix, per_class=rows),
    ])  # fmt: skip
    events = [event_line(step, "restart", why="x" * 3000) for step in range(5000)]
    write_lines(tmp_path / "events.jsonl", events)
    log = tmp_path / "logs" / "attempt_0" / "rank_0.log"
    log.parent.mkdir(parents=True)
    log.write_text("y" * 100_000 + "\n" + "z\n" * 100_000)
    page = build([read(tmp_path)])
    assert len(page) < 600_000
    checked(page)


def launcher(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "launcher", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=LONG_S,
    )


def test_the_command_writes_the_page_where_it_says(tmp_path: Path) -> None:
    folder = good_run(tmp_path / "run")
    done = launcher("report", folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {folder}/report/index.html\n"
    checked((folder / "report" / "index.html").read_text(encoding="utf-8"))
    done = launcher("report", folder, folder, "--out", tmp_path / "two.html")
    assert done.returncode == 0, done.stderr
    assert "2 runs compared" in (tmp_path / "two.html").read_text(encoding="utf-8")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    for folder, words in ((tmp_path, "no run directory"), (tmp_path / "none", "no such folder")):
        done = launcher("report", folder)
        assert done.returncode == 2
        assert words in done.stderr
        assert not re.search("Traceback", done.stderr)


def test_the_report_loads_no_framework() -> None:
    code = (
        "import sys; import launcher.report.build, launcher.report.read, launcher.status.cli;"
        "print(sorted({'numpy', 'mindspore', 'yaml', 'cifar_dist', 'matplotlib'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=LONG_S, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("count", [2, 12])
def test_step_times_of_few_ranks_are_drawn_each_and_of_many_as_a_spread(
    tmp_path: Path, count: int
) -> None:
    write_manifest(tmp_path)
    lines = [train_line(step, rank_step_ms=[10.0] * count) for step in (10, 20, 30)]
    write_lines(tmp_path / "metrics.jsonl", lines)
    text = checked(build([read(tmp_path)])).text
    assert ("slowest rank" in text) == (count == 12)


def test_a_straggler_is_marked_on_the_time_line_with_its_rank(tmp_path: Path) -> None:
    folder = failed_run(tmp_path / "run")
    with open(folder / "events.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps(event_line(1, "straggler", rank=1, factor=2.24)) + "\n")
    page = checked(build([read(folder)]))
    assert "straggler: rank 1, 2.2 times the others' time" in page.text


def test_many_stragglers_hide_neither_a_restart_nor_a_failure(tmp_path: Path) -> None:
    folder = failed_run(tmp_path / "run")
    with open(folder / "events.jsonl", "a", encoding="utf-8") as file:
        for step in range(400):
            line = event_line(3 + step, "straggler", rank=1, factor=2.24)
            file.write(json.dumps(line) + "\n")
        for event in ("failure", "restart", "hang", "preempt"):
            file.write(json.dumps(event_line(500, event, rank=0, why=f"the {event}")) + "\n")
        for step in range(400):
            line = event_line(600 + step, "straggler", rank=1, factor=2.24)
            file.write(json.dumps(line) + "\n")
    text = checked(build([read(folder)])).text
    for event in ("restart", "hang", "preempt"):
        assert f"{event}: rank 0" in text
    for event in ("failure", "restart", "hang", "preempt"):
        assert f"why=the {event}" in text
    assert "events are left out: those of stragglers at first" in text
