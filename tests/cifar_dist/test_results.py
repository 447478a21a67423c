"""The table of docs/results says what the kept files say, and they are what they should be."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cifar_dist.config import find_recipe, load_config
from cifar_dist.data.cifar10 import CLASSES
from cifar_dist.metrics.tally import Tally
from cifar_dist.observe.metrics_file import MetricsFile
from cifar_dist.observe.records import EndRecord, TrainRecord, eval_record, to_json
from scripts.result_rows.kept import MOST_BYTES, RESULTS, ROOT, NotKeptError, keep, place, runs_of
from scripts.result_rows.model_train import Watch
from scripts.result_rows.rows import LONG, ROWS, Row, find_row
from scripts.result_rows.table import BEGIN, END, HEAD, NOT_MEASURED, table

KEPT = [folder.parent for folder in sorted(RESULTS.glob("*/seed_*/result.json"))]
TIMES = ("training", "with compiling", "whole command")
LONG_S, END_S = 500.0, 60.0
FILES = {"result.json", "metrics.jsonl", "config.yaml", "curve.svg"}


def records_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def by_hand(folder: Path) -> dict[str, float]:
    """All numbers of one run, from its files, without this project's code."""
    records, facts = records_of(folder), json.loads((folder / "result.json").read_text())
    numbers = {"seed": facts["seed"], "epochs": facts["epochs"], "whole command": facts["wall_s"]}
    for record in records:
        if record["event"] == "eval" and record["split"] == "test":
            matrix = record["confusion_matrix"]
            right = sum(matrix[i][i] for i in range(len(matrix)))
            name = {"last": "accuracy", "last_flips": "with flips"}[record["weights"]]
            numbers[name] = right / sum(map(sum, matrix))
        if record["event"] == "end":
            numbers["training"] = record["train_s"]
            numbers["with compiling"] = record["train_s"] + record["compile_s"]
    return numbers


def cells_of(text: str, row: str) -> dict[str, str]:
    """One line of the table, by its headings."""
    line = next(line for line in text.splitlines() if line.startswith(f"| `{row}` |"))
    return dict(zip(HEAD, [cell.strip() for cell in line.strip("|").split("|")], strict=True))


def check_line(text: str, row: Row, results: Path) -> None:
    """Compare each number of a line with what the files of its runs say."""
    cells = cells_of(text, row.name)
    folders = [place(row, seed, results=results) for seed in row.seeds]
    runs = [by_hand(folder) for folder in folders if folder.is_dir()]
    if not runs:
        assert cells["epochs"] == NOT_MEASURED
        assert not any(cells[name] for name in ("seeds", "accuracy", "with flips", *TIMES, "files"))
        return
    assert cells["seeds"] == ", ".join(str(run["seed"]) for run in runs)
    assert cells["epochs"] == str(runs[0]["epochs"])
    for name in ("accuracy", "with flips"):
        values = [run[name] for run in runs if name in run]
        shown = [float(number) for number in re.findall(r"\d\.\d+", cells[name])]
        wanted = values if len(values) < 2 else [np.mean(values), np.std(values, ddof=1)]
        assert shown == pytest.approx(wanted, abs=5.1e-5)
    for name in TIMES:
        minutes = float(cells[name].removesuffix(" min"))
        assert minutes * 60 == pytest.approx(statistics.fmean(r[name] for r in runs), abs=3.1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_number_of_the_page_follows_from_the_files(row: Row) -> None:
    check_line((RESULTS / "README.md").read_text(encoding="utf-8"), row, RESULTS)


def test_the_table_of_the_page_is_the_one_that_the_script_writes() -> None:
    text = (RESULTS / "README.md").read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table()


def test_recipes_that_were_not_run_are_said_to_be_so() -> None:
    shown = table()
    for name in LONG:
        assert find_recipe(name)
        assert f"| `{name}.yaml` | {NOT_MEASURED} | " in shown


@pytest.mark.parametrize("folder", KEPT, ids=lambda folder: f"{folder.parent.name}/{folder.name}")
def test_kept_files_are_few_and_small_and_of_a_run_as_the_row_says(folder: Path) -> None:
    facts = json.loads((folder / "result.json").read_text())
    row = find_row(folder.parent.name)
    assert row is not None
    assert {path.name for path in folder.iterdir()} == FILES
    assert all(path.stat().st_size <= MOST_BYTES for path in folder.iterdir())
    assert (facts["row"], facts["ranks"], facts["recipe"]) == (
        row.name,
        row.nproc,
        f"{row.recipe}.yaml",
    )
    records = records_of(folder)
    last_step = [one["step"] for one in records if one["event"] == "train"][-1]
    assert {one["step"] for one in records if one["event"] == "eval"} == {last_step}
    counts = [np.sum(one["confusion_matrix"]) for one in records if one["event"] == "eval"]
    assert set(counts) == {10_000}
    ours = load_config(find_recipe(row.recipe), [f"train.seed={facts['seed']}", *row.overrides])
    kept = load_config(folder / "config.yaml").config
    for section in ("model", "train", "optimizer", "schedule"):
        assert getattr(kept, section) == getattr(ours.config, section)
    assert kept.data.model_copy(update={"dir": None}) == ours.config.data


def finished_run(
    folder: Path, *, seed: int, right: int, early: bool = False, split: str = "test"
) -> Path:
    """A run directory of two epochs that got ``right`` of a hundred images right."""
    truth = np.arange(100) % 10
    predicted = np.where(np.arange(100) < right, truth, (truth + 1) % 10)
    everything = np.ones(100, np.bool_)
    tally = Tally.empty(10).plus(truth, predicted, np.ones(100, np.float32), everything)
    trained = [
        TrainRecord(epoch, 10 * epoch, 2.0 / epoch, 0.1, 50.0, 20.0, 0.0, 1.0, 1)
        for epoch in (1, 2)
    ]
    steps = (10, 20) if early else (20,)
    found = eval_record(tally, CLASSES, epoch=2, step=20, eval_s=1.0)
    evaluated = [replace(found, step=step, split=split) for step in steps]
    lines = [to_json(one) for one in (*trained, *evaluated, EndRecord(0.0, 0.0, 60.0 + seed, 6.0))]
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.yaml").write_text("model: {name: lenet5}\n")
    machine = {"processor": "p", "cores": 2, "memory_gib": 1, "mindspore": "2", "python": "3"}
    facts = {"row": "lenet5", "seed": seed, "epochs": 2, "wall_s": 90.0, "machine": machine}
    (folder / "result.json").write_text(json.dumps(facts))
    return folder


def test_several_seeds_become_mean_and_deviation(tmp_path: Path) -> None:
    row, results = find_row("lenet5"), tmp_path / "results"
    assert row is not None
    for seed, right in ((0, 70), (1, 72), (2, 77)):
        run = finished_run(tmp_path / f"run_{seed}", seed=seed, right=right)
        keep(run, place(row, seed, results=results))
    text = table(results=results)
    assert "0.7300 +- 0.0361" in cells_of(text, "lenet5")["accuracy"]
    for other in ROWS:
        check_line(text, other, results)
    assert {path.name for path in (results / "lenet5" / "seed_1").iterdir()} == FILES
    assert [run.train_s for run in runs_of(row, results=results)] == [60, 61, 62]


def test_a_run_that_looked_at_the_test_images_before_its_end_is_not_kept(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", seed=0, right=70, early=True)
    with pytest.raises(NotKeptError, match=r"after steps \[10, 20\], not once at the end"):
        keep(run, tmp_path / "results" / "lenet5" / "seed_0")
    assert not (tmp_path / "results").exists()


def test_a_run_that_did_not_end_is_not_kept(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", seed=0, right=70)
    metrics = run / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(NotKeptError, match="no end"):
        keep(run, tmp_path / "results" / "lenet5" / "seed_0")


def results(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the script; where it takes too long, all that it has started is ended with it."""
    command = [sys.executable, "-m", "scripts.result_rows", *map(str, arguments)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    )
    try:
        out, err = process.communicate(timeout=LONG_S)
    except BaseException:
        for number in (signal.SIGTERM, signal.SIGKILL):  # a launcher in it ends its workers
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(process.pid, number)
                process.communicate(timeout=END_S)
                break
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def test_a_row_cannot_be_remade_with_other_values() -> None:
    done = results("lenet5", "train.epochs=1")
    assert done.returncode == 2
    assert "for a trial add --into" in done.stderr


def test_a_trial_with_a_key_that_is_none_ends_with_one_message(tmp_path: Path) -> None:
    done = results("lenet5", "--into", tmp_path, "train.epoch=1")
    assert done.returncode == 2
    assert "scripts/results: " in done.stderr
    assert "train.epoch" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_seed_that_a_row_has_not_is_refused() -> None:
    done = results("lenet5", "--seed", 7)
    assert done.returncode == 2
    assert "--seed 7: row lenet5 has only 0, 1, 2" in done.stderr


def test_a_trial_on_images_held_out_of_training_says_which_it_counted(tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run", seed=0, right=70, split="validation")
    found = keep(run, tmp_path / "kept")
    assert (found.split, found.images, found.accuracy) == ("validation", 100, 0.7)


def test_times_of_model_train_are_those_of_our_records(tmp_path: Path) -> None:
    """A step with the wait for its data, without the first, which compiles."""
    now_s = [100.0]
    config = load_config(find_recipe("lenet5"), ["monitor.log_interval=2"]).config
    metrics = MetricsFile(tmp_path / "metrics.jsonl")
    watch = Watch(metrics, config, [0.1] * 5, clock=lambda: now_s[0])
    outputs = SimpleNamespace(asnumpy=lambda: 1.0)
    step = SimpleNamespace(net_outputs=outputs, cur_epoch_num=1)
    seen = SimpleNamespace(original_args=lambda: step)

    def after(seconds: float, call: Callable[[Any], None]) -> None:
        now_s[0] += seconds
        call(seen)

    watch.on_train_begin(seen)
    for wait_s, step_s in ((9.0, 50.0), (1.0, 2.0), (2.0, 2.0), (4.0, 2.0), (1.0, 1.0)):
        after(wait_s, watch.on_train_step_begin)
        after(step_s, watch.on_train_step_end)
    metrics.close()
    found = records_of(tmp_path)
    assert [one["step"] for one in found] == [2, 4, 5]
    assert [one["step_ms"] for one in found] == pytest.approx([3000, 5000, 2000])
    assert [one["data_wait_ms"] for one in found] == pytest.approx([1000, 3000, 1000])
    batch = config.data.global_batch_size
    speeds = [batch / seconds for seconds in (3, 5, 2)]
    assert [one["images_per_s"] for one in found] == pytest.approx(speeds)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lenet5_2_ranks", "model_train", "speed94"])
def test_one_command_remakes_a_row(name: str, tmp_path: Path, cifar10_dir: Path) -> None:
    """On few images: the launcher and the script around Model.train leave the same files."""
    small = ["data.max_train_images=1280", "data.max_test_images=500", "train.epochs=1"]
    small += ["schedule.warmup_epochs=0.5", "monitor.log_interval=1"]
    if name == "speed94":
        small += ["model.width=0.125", "data.global_batch_size=128"]
    into = tmp_path / "results"
    done = results(name, "--into", into, "--images", cifar10_dir, *small)
    assert done.returncode == 0, done.stdout + done.stderr
    row = find_row(name)
    assert row is not None
    (run,) = runs_of(row, results=into)
    assert {path.name for path in run.folder.iterdir()} == FILES
    assert run.images == 500
    assert 0.05 < run.accuracy < 0.8
    assert (run.flip_accuracy is not None) == (name == "speed94")
    assert run.facts["ranks"] == row.nproc
    text = table(results=into)
    check_line(text, row, into)
