"""The section of predictions: the surest answers with their pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from launcher.report.files import mapping, read_bytes, text
from launcher.report.markup import escape, note
from launcher.report.numbers import percent
from launcher.report.predictions import data_address, picture_of
from launcher.report.run import Prediction, Run

MOST_FACES = 12
MOST_PICTURES = 6
MOST_PICTURE_BYTES = 600 << 10
_TITLES = {
    "right_answers": "Right, and most sure of it (rank 0's part of the images)",
    "wrong_answers": "Wrong, and most sure of it (rank 0's part of the images)",
}
"""What the trainer's own pictures of the newest evaluation show."""


def predictions_section(run: Run) -> str:
    """Return the surest right and the surest wrong answers, and the pictures of report/."""
    parts = []
    if run.predictions:
        known = [one for one in run.predictions if one.truth]
        sure = sorted(known, key=lambda one: -one.probability)
        wrong = [one for one in sure if one.label != one.truth][:MOST_FACES]
        right = [one for one in sure if one.label == one.truth][:MOST_FACES]
        parts.append(_faces("Wrong, and most sure of it", wrong, run))
        parts.append(_faces("Right, and most sure of it", right, run))
        if not known:
            parts.append(note("predictions.csv holds no image whose truth is known."))
    elif not any(one.stem in _TITLES for one in run.pictures):
        parts.append(
            '<p class="note">No predictions.csv is here. This writes one: <code>python -m '
            f"cifar_dist predict {escape(run.path)} IMAGES --output {escape(run.path / 'report')}"
            "</code></p>"
        )
    others = [one for one in run.pictures if not run.predictions or one.stem != "predictions"]
    return "".join([*parts, *_pictures(others)])


def _faces(title: str, rows: Sequence[Prediction], run: Run) -> str:
    if not rows:
        return ""
    directory = text(mapping(run.manifest).get("directory"), 4000)
    folders = [Path.cwd(), *([Path(directory)] if directory else []), run.path]
    made = []
    for one in rows:
        address = picture_of(one, folders)
        picture = f'<img alt="" src="{address}">' if address else ""
        answer = f"<b>{escape(one.label)}</b> {percent(one.probability, 1)}"
        truth = "" if one.label == one.truth else f"<br>truth: {escape(one.truth)}"
        made.append(f'<div title="{escape(_place(one))}">{picture}{answer}{truth}</div>')
    return f'<h3>{escape(title)}</h3><div class="faces">{"".join(made)}</div>'


def _place(one: Prediction) -> str:
    return one.file if one.record is None else f"{one.file} record {one.record}"


def _pictures(files: Sequence[Path]) -> list[str]:
    made = []
    for file in sorted(files, key=lambda one: one.stem not in _TITLES)[:MOST_PICTURES]:
        content = read_bytes(file, limit=MOST_PICTURE_BYTES + 1) or b""
        address = data_address(content, MOST_PICTURE_BYTES)
        if address:
            picture = f'<img class="shot" alt="{escape(file.name)}" src="{address}">'
            made.append(f"<h3>{escape(_TITLES.get(file.stem, file.name))}</h3>{picture}")
    return made
