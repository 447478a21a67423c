"""The files of a run that are kept under docs/results, and the numbers in them.

docs/results/ROW/seed_N/result.json      who, when, on what, with which command, how long in all
                        metrics.jsonl    the run's own records
                        config.yaml      the whole recipe
                        curve.svg        the loss while training
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cifar_dist.engine.flip_average import FLIPS
from cifar_dist.metrics.confusion import accuracy
from scripts.result_rows.curve import write_curve
from scripts.result_rows.rows import Row

ROOT = Path(__file__).resolve().parent.parent.parent
RESULTS = ROOT / "docs" / "results"
RESULT, METRICS, CONFIG, CURVE = "result.json", "metrics.jsonl", "config.yaml", "curve.svg"
MOST_BYTES = 200_000
"""Of one file: the repository keeps small files only."""


class NotKeptError(Exception):
    """A run that does not belong into the table; the text says why."""


@dataclass(frozen=True)
class Kept:
    """One run that was kept: its facts, and all its records."""

    folder: Path
    facts: dict[str, Any]
    records: tuple[dict[str, Any], ...]

    @property
    def accuracy(self) -> float:
        """Of the last weights, each image looked at once, from the confusion matrix."""
        return _accuracy(self._evaluation("last"))

    @property
    def flip_accuracy(self) -> float | None:
        """Of the last weights, the mean of each image and its mirror image; None: not counted."""
        found = [one for one in self._evaluations() if one["weights"] == "last" + FLIPS]
        return _accuracy(found[-1]) if found else None

    @property
    def split(self) -> str:
        """Which images were looked at: "test", or in a trial "validation"."""
        return str(self._evaluation("last")["split"])

    @property
    def images(self) -> int:
        return int(np.sum(self._evaluation("last")["confusion_matrix"]))

    @property
    def train_s(self) -> float:
        """Seconds of training, without compilation and evaluation."""
        return float(self._of("end")[-1]["train_s"])

    @property
    def compile_s(self) -> float:
        return float(self._of("end")[-1]["compile_s"])

    def _evaluation(self, weights: str) -> dict[str, Any]:
        return [one for one in self._evaluations() if one["weights"] == weights][-1]

    def _evaluations(self) -> list[dict[str, Any]]:
        return self._of("eval")

    def _of(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.records if one["event"] == event]


def read_kept(folder: Path) -> Kept:
    """Read a run that was kept, or a run directory with a result.json."""
    lines = (folder / METRICS).read_text(encoding="utf-8").splitlines()
    facts = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return Kept(folder, facts, tuple(json.loads(line) for line in lines))


def runs_of(row: Row, *, results: Path = RESULTS) -> list[Kept]:
    """Return the runs of a row that were kept, by seed; fewer than it has seeds where some lack."""
    folders = [place(row, seed, results=results) for seed in row.seeds]
    return [read_kept(folder) for folder in folders if (folder / RESULT).is_file()]


def place(row: Row, seed: int, *, results: Path = RESULTS) -> Path:
    """Return where the run of a seed is kept."""
    return results / row.name / f"seed_{seed}"


def keep(run_dir: Path, folder: Path) -> Kept:
    """Copy the small files of a finished run, and draw its curve; what was there is replaced.

    Raises:
        NotKeptError: the run did not end, or evaluated before its last step.
    """
    found = read_kept(run_dir)
    problems = list(_problems(run_dir, found))
    if problems:
        raise NotKeptError(f"{run_dir} is not kept: {'; '.join(problems)}")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name in (RESULT, METRICS):
        shutil.copyfile(run_dir / name, folder / name)
    recipe = (run_dir / CONFIG).read_text(encoding="utf-8")
    (folder / CONFIG).write_text(recipe.replace(f"{ROOT}/", ""), encoding="utf-8")
    write_curve(found.records, folder / CURVE)
    return read_kept(folder)


def _problems(run_dir: Path, found: Kept) -> Iterator[str]:
    steps = [one["step"] for one in found.records if one["event"] == "train"]
    ends = [one for one in found.records if one["event"] == "end"]
    evaluated = {one["step"] for one in found.records if one["event"] == "eval"}
    if len(ends) != 1:
        yield "its metrics.jsonl has no end"
    if not steps or evaluated != {steps[-1]}:
        yield f"test images were evaluated after steps {sorted(evaluated)}, not once at the end"
    for name in (RESULT, METRICS, CONFIG):
        if (run_dir / name).stat().st_size > MOST_BYTES:
            yield f"{name} has over {MOST_BYTES:,} bytes"


def _accuracy(record: dict[str, Any]) -> float:
    return accuracy(np.array(record["confusion_matrix"], dtype=np.int64))
