"""From files to a run: what is read, what is left out, and that nothing in a file is trusted."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_runs import (
    START_S,
    eval_line,
    event_line,
    failed_run,
    good_run,
    running_run,
    train_line,
    write_lines,
    write_manifest,
    write_signs,
)

from launcher.contract import RunPaths
from launcher.report.build import build
from launcher.report.files import Lines, read_bytes, tail_lines
from launcher.report.life import events_of, lives_of
from launcher.report.metrics import collect
from launcher.report.predictions import parse_predictions, picture_of, png
from launcher.report.read import read_run
from launcher.report.run import Prediction, Run, State
from launcher.report.times import split

NOW_S = START_S + 100
FILES = (
    "manifest.json", "events.jsonl", "metrics.jsonl", "config.yaml", "progress/rank_0.json",
    "failures/attempt_0/rank_1.json", "logs/attempt_0/rank_1.log", "report/predictions.csv",
    "report/picture.png",
)  # fmt: skip


def read(folder: Path, *alive: str) -> Run:
    return read_run(folder, is_alive=lambda job_id: job_id in alive, clock=lambda: NOW_S)


def test_a_good_run_is_read_whole(tmp_path: Path) -> None:
    run = read(good_run(tmp_path / "lenet5" / "1"))
    assert run.name == "lenet5/1"
    assert run.state is State.ENDED_WELL
    assert run.exit_code == 0
    assert [point.step for point in run.metrics.train] == list(range(10, 101, 10))
    assert run.metrics.train[0].rank_step_ms == (50.0, 60.0)
    assert run.metrics.matrix == [[4, 1], [1, 4]]
    assert [row.name for row in run.metrics.classes] == ["cat", "dog"]
    assert [(life.title, life.returncode) for life in run.lives] == [("rank 0", 0), ("rank 1", 0)]
    assert [sign.step for sign in run.signs] == [100, 100]
    assert run.missing == []


def test_a_failed_run_names_its_root_cause(tmp_path: Path) -> None:
    run = read(failed_run(tmp_path / "run"))
    assert run.state is State.FAILED
    assert run.root_cause_rank == 1
    assert run.failures[0].type == "ValueError"
    assert run.lives[0].stopped
    assert any("metrics.jsonl is not there" in words for words in run.missing)


def test_a_run_whose_processes_are_found_goes_on(tmp_path: Path) -> None:
    folder = running_run(tmp_path / "run", now_s=NOW_S)
    assert read(folder, "job-1").state is State.RUNNING
    assert any("half-written" in words for words in read(folder).missing)


def test_a_run_without_processes_and_without_an_end_has_ended_without_a_word(
    tmp_path: Path,
) -> None:
    assert read(running_run(tmp_path / "run", now_s=NOW_S)).state is State.LOST


def test_a_single_card_run_goes_on_while_it_gives_signs_of_life(tmp_path: Path) -> None:
    write_manifest(tmp_path, plan=None)
    write_signs(tmp_path, step=3, phase="train", time_s=NOW_S - 2)
    assert read(tmp_path).state is State.RUNNING
    write_signs(tmp_path, step=3, phase="train", time_s=NOW_S - 1000)
    assert read(tmp_path).state is State.LOST


def test_the_verdict_of_the_events_counts_where_the_manifest_has_no_end(tmp_path: Path) -> None:
    write_manifest(tmp_path)
    verdict = event_line(5, "verdict", exit_code=137, root_cause_rank=1, reason="failure")
    write_lines(tmp_path / "events.jsonl", [event_line(0, "spawn", rank=1), verdict])
    run = read(tmp_path)
    assert (run.state, run.exit_code, run.root_cause_rank) == (State.FAILED, 137, 1)


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    run = read(tmp_path)
    assert run.state is State.UNKNOWN
    assert len(run.missing) == 3


def test_steps_that_are_done_again_count_once() -> None:
    found = collect([train_line(10), train_line(20), train_line(30), train_line(20, loss=9.0)])
    assert [(point.step, point.loss) for point in found.train] == [(10, 0.2), (20, 9.0)]
    assert found.repeated == 2


def test_evaluations_of_other_images_are_kept_apart() -> None:
    lines = [eval_line(10), eval_line(10, split="validation"), eval_line(10, accuracy=0.9)]
    assert [(one.split, one.accuracy) for one in collect(lines).evals] == [
        ("validation", 0.8),
        ("test", 0.9),
    ]


@pytest.mark.parametrize(
    "matrix", [[], [[1]] * 2, [[1, 2], [3]], [[1, -1], [0, 1]], [["1", 1], [1, 1]], "x", {"a": 1}]
)
def test_a_matrix_that_is_none_is_left_out(matrix: object) -> None:
    assert collect([eval_line(10, confusion_matrix=matrix)]).matrix == ()


def test_numbers_that_cannot_be_drawn_are_left_out() -> None:
    text = '{"event": "train", "step": 1, "loss": NaN, "lr": 1e400, "step_ms": true}'
    (point,) = collect([json.loads(text)]).train
    assert (point.loss, point.lr, point.step_ms) == (None, None, None)


def test_a_process_of_each_attempt_has_a_life_of_its_own() -> None:
    events = events_of(
        [
            event_line(0, "spawn", rank=0),
            event_line(2, "exit", rank=0, returncode=-9),
            event_line(3, "spawn", rank=0) | {"attempt": 1},
        ]
    )
    first, second = lives_of(events)
    assert (first.returncode, first.end_s) == (-9, START_S + 2)
    assert (second.attempt, second.end_s) == (1, None)


def test_events_of_other_nodes_are_read_too(tmp_path: Path) -> None:
    write_lines(tmp_path / "events.jsonl", [event_line(1, "spawn", rank=0)])
    write_lines(tmp_path / "events_node_1.jsonl", [event_line(0, "spawn", rank=8)])
    assert [life.title for life in read(tmp_path).lives] == ["rank 8", "rank 0"]


def test_a_large_file_is_sampled_over_its_whole_length(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    write_lines(path, [{"step": step} for step in range(100_000)])
    lines = Lines(path, limit=64 << 10)
    steps = [record["step"] for record in lines]
    assert lines.sampled
    assert lines.damaged == 0
    assert 1000 < len(steps) < 10_000
    assert steps == sorted(set(steps))
    assert steps[0] == 0
    assert steps[-1] == 99_999


def test_a_huge_sparse_file_takes_no_memory(tmp_path: Path) -> None:
    with open(tmp_path / "metrics.jsonl", "wb") as file:
        file.truncate(4 << 30)
    assert any("large" in words for words in read(tmp_path).missing)


def test_the_end_of_a_huge_log_is_read_and_no_more(tmp_path: Path) -> None:
    path = tmp_path / "rank_0.log"
    with open(path, "wb") as file:
        file.truncate(2 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\nlast line\n")
    assert tail_lines(path, 2)[-1] == "last line"


def test_a_pipe_in_the_run_directory_does_not_stop_us(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "metrics.jsonl")
    assert read_bytes(tmp_path / "metrics.jsonl", limit=10) is None
    assert not read(tmp_path).metrics.train


def test_the_time_is_split_into_what_is_recorded(tmp_path: Path) -> None:
    parts = {part.name: part.seconds for part in split(read(good_run(tmp_path)))}
    assert parts["waiting for data"] == pytest.approx(0.5)
    assert parts["step, with communication"] == pytest.approx(4.5)
    assert parts["evaluation"] == pytest.approx(0.5)
    assert parts["compilation"] == pytest.approx(2.0)
    assert sum(parts.values()) == pytest.approx(30.0)


def test_what_rank_0_waited_for_a_slower_rank_is_told(tmp_path: Path) -> None:
    run = read(good_run(tmp_path))
    slow = [replace(one, rank_step_ms=(20.0, 50.0)) for one in run.metrics.train]
    run = replace(run, metrics=replace(run.metrics, train=slow))
    parts = {part.name: part.seconds for part in split(run)}
    assert parts["waiting for slower ranks"] == pytest.approx(3.0)
    assert parts["step, with communication"] == pytest.approx(1.5)
    assert sum(parts.values()) == pytest.approx(30.0)


def test_rows_of_predictions_that_are_none_are_left_out() -> None:
    content = "file,record,label,probability,truth,note\na.bin,7,cat,0.9,dog,\nb,,cat,much,dog,\n"
    assert parse_predictions(content) == [Prediction("a.bin", 7, "cat", 0.9, "dog")]


@pytest.mark.parametrize("labels", [1, 2])
def test_a_record_of_a_cifar_file_becomes_a_picture(tmp_path: Path, labels: int) -> None:
    from io import BytesIO

    from PIL import Image

    planes = [bytes([value]) * 1024 for value in (10, 200, 30)]
    record = b"\3" * labels + b"".join(planes)
    (tmp_path / "data.bin").write_bytes(bytes(len(record)) + record)
    assert picture_of(Prediction("data.bin", 1, "cat", 1.0, "cat"), [tmp_path]).startswith(
        "data:image/png;base64,"
    )
    assert picture_of(Prediction("data.bin", 2, "cat", 1.0, "cat"), [tmp_path]) == ""
    image = Image.open(BytesIO(png(b"".join(planes), 32)))
    assert image.size == (32, 32)
    assert image.getpixel((31, 31)) == (10, 200, 30)


def test_a_file_that_is_no_picture_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_text("not a picture")
    assert picture_of(Prediction("secret.png", None, "cat", 1.0, "cat"), [tmp_path]) == ""


ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["event", "step", "loss", "time", "rank", "attempt", "confusion_matrix",
                 "per_class", "rank_step_ms", "plan", "exit_code", "start", "versions", "name"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip
KIND = {"event": st.sampled_from(["train", "eval", "end", "spawn", "exit", "verdict", "hang"])}
RECORD = st.fixed_dictionaries(
    KIND,
    optional={
        name: st.integers(-3, 40) | st.floats() | ANY_JSON
        for name in (
            "step", "time", "rank", "attempt", "loss", "lr", "images_per_s", "step_ms", "accuracy",
            "eval_s", "data_wait_ms", "confusion_matrix", "per_class", "rank_step_ms",
            "returncode", "pid", "exit_code", "root_cause_rank", "reason", "compile_s", "train_s",
        )
    },
)  # fmt: skip
LINES = st.lists(RECORD, max_size=8).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
CONTENT = st.binary(max_size=60) | ANY_JSON.map(lambda one: json.dumps(one).encode()) | LINES


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(FILES), CONTENT, max_size=6))
def test_any_bytes_in_any_file_give_a_page(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    run = read(folder)
    assert build([run]).startswith("<!DOCTYPE html>")
    assert build([run, run]).startswith("<!DOCTYPE html>")


@given(st.binary(max_size=200))
def test_any_bytes_as_a_png_or_table_are_no_error(content: bytes) -> None:
    parse_predictions(content.decode("utf-8", "replace"))


def test_folders_in_place_of_files_are_no_error(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).mkdir(parents=True)
    assert read(tmp_path).state is State.UNKNOWN
    assert RunPaths(tmp_path).metrics.is_dir()
