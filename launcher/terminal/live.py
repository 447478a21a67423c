"""The live rows of a run, from its ranks' signs of life: functions of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from launcher.contract import Progress

LINE, RANKS, NONE = "line", "ranks", "none"
LEAST_WIDTH = 20
_BAR_FROM = 110
"""Columns from which on there is room for a bar."""
_WIDEST_BAR = 40
_SILENT_S = 5.0
_WORDS = {
    "start": "starting",
    "data": "loading the data",
    "build": "building the network",
    "compile": "compiling",
    "evaluate": "evaluating",
    "checkpoint": "saving a checkpoint",
    "done": "done",
}


class Field(NamedTuple):
    """A piece of a row; where there is no room those with the highest ``rank`` go first."""

    text: str
    rank: int


def live_rows(
    signs: Mapping[int, Progress],
    *,
    world_size: int,
    started_s: float,
    now_s: float,
    width: int,
    height: int,
    with_ranks: bool = False,
) -> list[str]:
    """Return what is shown of a run now, each row shorter than the terminal is wide.

    Args:
        signs: the newest sign of life of each rank of this node that has given one.
        world_size: ranks of the whole job.
        started_s: when the job began; both times are as in ``Progress.time``.
        now_s: the time.
        width: columns of the terminal; below LEAST_WIDTH nothing is shown.
        height: its rows, of which one is left for what comes above.
        with_ranks: whether there is a row for each rank.
    """
    if width < LEAST_WIDTH:
        return []
    if not signs:
        return [f"running {duration(now_s - started_s)}"]
    first = signs[min(signs)]
    rows = [_run_row(first, world_size, now_s, width - 1)]
    if with_ranks:
        rows += _rank_rows(signs, now_s, room=max(0, height - 2))
    return [row[: width - 1] for row in rows]


def _run_row(sign: Progress, world_size: int, now_s: float, width: int) -> str:
    fields = _run_fields(sign, world_size, now_s)
    bar = ""
    if width >= _BAR_FROM and sign.total_steps:
        row = _fitted(fields, width)
        bar = _bar(sign.step / sign.total_steps, min(_WIDEST_BAR, width - len(row) - 9))
    return _fitted(fields, width - len(bar)) if not bar else bar + _fitted(fields, width)


def _run_fields(sign: Progress, world_size: int, now_s: float) -> list[Field]:
    fields = []
    if sign.step or sign.phase in ("train", "evaluate", "checkpoint"):
        epoch = sign.epoch + 1
        epochs = f"/{sign.epochs}" if sign.epochs else ""
        total = f"/{sign.total_steps}" if sign.total_steps else ""
        fields += [Field(f"epoch {epoch}{epochs}", 6), Field(f"step {sign.step}{total}", 0)]
    if activity := _activity(sign, now_s):
        fields.append(Field(activity, 1))
    if sign.loss is not None:
        fields.append(Field(f"loss {sign.loss:.4f}", 2))
    if sign.accuracy is not None:
        fields.append(Field(f"accuracy {sign.accuracy:.4f}", 4))
    if sign.images_per_s is not None:
        fields.append(Field(f"{sign.images_per_s * world_size:,.0f} images/s", 5))
    if (left_s := time_left_s(sign)) is not None:
        fields.append(Field(f"{duration(left_s)} left", 3))
    return fields


def _activity(sign: Progress, now_s: float) -> str:
    """Return what a rank is doing where that is not training, and for how long."""
    age_s = max(0.0, now_s - sign.time)
    if sign.phase == "train":
        return f"no sign of life for {age_s:.0f} s" if age_s >= _SILENT_S else ""
    words = _WORDS.get(sign.phase, sign.phase)
    return words if sign.phase == "done" else f"{words} {age_s:.0f} s"


def time_left_s(sign: Progress) -> float | None:
    """Return how long the steps that are left take at the newest speed; None: it is not known."""
    if sign.total_steps is None or sign.step_ms is None:
        return None
    return max(0, sign.total_steps - sign.step) * sign.step_ms / 1000


def _rank_rows(signs: Mapping[int, Progress], now_s: float, *, room: int) -> list[str]:
    """Return a row for each rank; of too many those that are behind or silent."""
    shown = sorted(signs)
    more = len(shown) - room
    if more > 0:
        behind = sorted(signs, key=lambda rank: (signs[rank].step, signs[rank].time))
        shown = sorted(behind[: max(0, room - 1)])
    rows = [_rank_row(signs[rank], now_s) for rank in shown]
    return [*rows, f"and {more + 1} more ranks"] if more > 0 and room else rows


def _rank_row(sign: Progress, now_s: float) -> str:
    step_ms = "" if sign.step_ms is None else f"{sign.step_ms:,.1f} ms/step"
    speed = "" if sign.images_per_s is None else f"{sign.images_per_s:,.0f} images/s"
    age_s = max(0.0, now_s - sign.time)
    return (
        f"rank {sign.rank:<4} {sign.phase:<10} step {sign.step:<8} {age_s:>4.0f} s ago "
        f"{step_ms:>18} {speed:>17}"
    ).rstrip()


def _fitted(fields: Sequence[Field], width: int) -> str:
    """Join what fits: two blanks between, else one, else without the least important fields."""
    for kept in range(len(fields), 0, -1):
        ranks = sorted(field.rank for field in fields)[:kept]
        texts = [field.text for field in fields if field.rank in ranks]
        for between in ("  ", " "):
            if len(row := between.join(texts)) <= width:
                return row
    return fields[0].text[:width] if fields else ""


def _bar(share: float, width: int) -> str:
    share = min(max(share, 0.0), 1.0)
    full = int(share * width)
    return f"[{'#' * full}{'-' * (width - full)}] {share:>4.0%}  "


def duration(seconds: float) -> str:
    """Return h:mm:ss, with days where there are some."""
    whole = round(seconds)
    days = f"{whole // 86400} d " if whole >= 86400 else ""
    return f"{days}{whole // 3600 % 24}:{whole // 60 % 60:02}:{whole % 60:02}"
