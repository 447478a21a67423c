"""The picture of a run: its loss while training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_curve(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the training loss over the epochs, as SVG of a few kilobytes.

    Args:
        records: of metrics.jsonl.
        path: where the picture goes.
    """
    import matplotlib
    from matplotlib.figure import Figure

    train = [one for one in records if one["event"] == "train"]
    per_epoch = max(one["step"] / one["epoch"] for one in train)
    figure: Any = Figure(figsize=(6, 2.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([one["step"] / per_epoch for one in train], [one["loss"] for one in train])
    axes.set(xlabel="epoch", ylabel="training loss")
    axes.grid(alpha=0.3)
    settings = {"svg.fonttype": "none", "svg.hashsalt": "curve"}
    with matplotlib.rc_context(settings):
        figure.savefig(path, format="svg", metadata={"Date": None})
