"""What a person sees of a real run: TensorBoard and the report, in a real browser.

One run for all: LeNet-5 on the real images, two ranks, one of which is killed.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.chromium import Chromium
from tests.e2e.conftest import ROOT, records, run_command, succeed
from tests.e2e.killing import last_step, pids, started, wait_until
from tests.pixels import coloured_share, wait_until_drawn, window
from tests.viewer import open_page, serving, wait_for_words

pytestmark = pytest.mark.timeout(900)

LIMIT_S = 400.0
STEPS_PER_EPOCH = 50
SMALL = (
    f"data.max_train_images={64 * STEPS_PER_EPOCH}",
    "data.max_test_images=2000",
    "train.epochs=3",
    "train.ema_decay=0.9",
    "eval.flip_average=true",
    "monitor.log_interval=5",
)
WINDOW = (1280, 900)
READ_ALL = {"scalars": 0, "images": 0, "tensors": 0}


@pytest.fixture(scope="module")
def run_dir(cifar10_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was killed in its second epoch and has gone on to its end."""
    folder = tmp_path_factory.mktemp("seen") / "run"
    options = ("--nproc", 2, "--device-target", "CPU", "--max-restarts", 1, "--run-dir", folder)
    words = ("-m", "launcher", *options, "--config", "lenet5.yaml")
    command = [sys.executable, *map(str, words), f"data.dir={cifar10_dir}", *SMALL]
    log = folder.parent / "log"
    with started(command, log) as process:
        saved = folder / "ckpt" / f"step_{STEPS_PER_EPOCH:08d}"
        wait_until(
            lambda: saved.is_dir() and last_step(folder) >= STEPS_PER_EPOCH + 10,
            process,
            limit_s=LIMIT_S,
        )
        os.kill(pids(folder, 0)[1], signal.SIGKILL)
        assert process.wait(LIMIT_S) == 0, log.read_text()
    return folder


@pytest.fixture(scope="module")
def events(run_dir: Path) -> EventAccumulator:
    """What TensorBoard's own reader finds: every point, also of steps that are there twice."""
    found = EventAccumulator(str(run_dir / "tb"), READ_ALL, purge_orphaned_data=False)
    found.Reload()
    return found


@pytest.fixture(scope="module")
def viewer(run_dir: Path) -> Iterator[str]:
    with serving(run_dir) as address:
        yield address


def listed_tags() -> list[re.Pattern[str]]:
    """Return the tags of README's table as patterns: a word in <> stands for any."""
    table = (ROOT / "README.md").read_text().split("| tags of TensorBoard |")[1].split("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    tags = [tag for cell in cells for tag in re.findall(r"`([^`]+)`", cell)]
    return [re.compile(re.sub(r"<\w+>", r"[^/]+", re.escape(tag))) for tag in tags]


def test_every_tag_that_the_readme_lists_is_there_and_no_other(events: EventAccumulator) -> None:
    written = set(events.Tags()["scalars"])
    listed = listed_tags()
    assert len(listed) > 20
    of_npus = [one for one in listed if one.pattern.startswith("npu")]
    assert len(of_npus) == 4
    lacking = [
        one.pattern for one in listed if one not in of_npus and not any(map(one.fullmatch, written))
    ]
    assert lacking == []
    assert [tag for tag in written if not any(one.fullmatch(tag) for one in listed)] == []


def test_no_step_is_there_twice_after_a_kill(events: EventAccumulator, run_dir: Path) -> None:
    assert len(list((run_dir / "tb").iterdir())) == 2
    for tag in events.Tags()["scalars"]:
        steps = [one.step for one in events.Scalars(tag)]
        assert steps == sorted(set(steps)), tag
    every = [one["step"] for one in records(run_dir, "train")]
    assert every[-1] == 3 * STEPS_PER_EPOCH
    assert [one.step for one in events.Scalars("loss/train")] == every
    for tag in ("accuracy/eval", "loss/eval_ema", "f1/cat"):
        steps = [one.step for one in events.Scalars(tag)]
        assert steps == [STEPS_PER_EPOCH, 2 * STEPS_PER_EPOCH, 3 * STEPS_PER_EPOCH], tag
    for tag in ("images/confusion_matrix", "images/right_answers", "images/wrong_answers"):
        assert len(events.Images(tag)) == 3, tag
    assert len(events.Images("images/augmented_batch")) == 1
    assert len(events.Tensors("precision_recall/cat")) == 3
    assert len(events.Tensors("recipe/text_summary")) == 1


def test_the_curves_are_those_of_the_metrics(events: EventAccumulator, run_dir: Path) -> None:
    losses = [one["loss"] for one in records(run_dir, "train")]
    np.testing.assert_allclose([one.value for one in events.Scalars("loss/train")], losses)
    last = [one for one in records(run_dir, "eval") if one["weights"] == "last"][-1]
    assert events.Scalars("accuracy/eval")[-1].value == pytest.approx(last["accuracy"])
    assert {int(one.value) for one in events.Scalars("ranks/slowest_rank")} <= {0, 1}


def test_tensorboard_draws_the_curves(chromium: Chromium, viewer: str) -> None:
    open_page(chromium, viewer, "scalars", tags="loss/|accuracy/", size=WINDOW)
    wait_for_words(chromium, "loss/train", "loss/eval", "accuracy/eval", "accuracy/eval_ema")
    wait_until_drawn(chromium, "vz-line-chart2", 2)


def test_tensorboard_shows_our_layout(chromium: Chromium, viewer: str) -> None:
    open_page(chromium, viewer, "custom_scalars", size=WINDOW)
    wait_for_words(chromium, "Progress", "Speed", "Machine", "loss/train (tb)")
    wait_until_drawn(chromium, "vz-line-chart2", 2)


def test_tensorboard_shows_the_pictures(chromium: Chromium, viewer: str) -> None:
    open_page(chromium, viewer, "images", size=WINDOW)
    wait_for_words(
        chromium, "images/augmented_batch", "images/confusion_matrix", "images/wrong_answers"
    )
    wait_until_drawn(chromium, "img", 2)


def test_tensorboard_shows_the_recipe(chromium: Chromium, viewer: str) -> None:
    open_page(chromium, viewer, "text", size=WINDOW)
    wait_for_words(chromium, "recipe/text_summary", "name: lenet5", "ema_decay: 0.9")


@pytest.fixture(scope="module")
def report(run_dir: Path) -> Path:
    succeed(
        run_command(
            [sys.executable, "-m", "launcher", "report", run_dir], cwd=run_dir, limit_s=LIMIT_S
        )
    )
    return run_dir / "report" / "index.html"


def test_the_report_opens_from_disk_alone_and_its_pictures_are_drawn(
    chromium: Chromium, report: Path
) -> None:
    seen = chromium.open(report.as_uri(), width=1200, height=900)
    assert seen.complaints == []
    assert [one for one in seen.requests if not one.startswith("data:")] == [report.as_uri()]
    words = chromium.text()
    for one in (
        "Accuracy",
        "Learning rate",
        "waiting for data",
        "Slowest: rank",
        "restart",
        "most sure",
    ):
        assert one in words, one
    whole = window(chromium, whole_page=True)
    boxes = chromium.boxes("svg")
    assert len(boxes) >= 7
    for box in boxes:
        assert coloured_share(whole.crop(tuple(map(int, box)))) > 0.0003, box
