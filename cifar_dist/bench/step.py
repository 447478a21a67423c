"""Training, images per second: one rank against ``Model.train``, against PyTorch, and two ranks."""

from __future__ import annotations

import os

from cifar_dist.bench.contest import Contestant, Together, Turns, compete
from cifar_dist.bench.result import Comparison, Figure, Result
from cifar_dist.bench.settings import WITHOUT_PYTORCH, Settings
from cifar_dist.bench.spread import spread, times_faster
from cifar_dist.bench.training import (
    MODEL_TRAIN,
    PYTORCH,
    model_train,
    on_core,
    ours,
    torch_train,
)

BATCH_SIZE = 64
CORES = sorted(os.sched_getaffinity(0))[:2]
ONE, TWO = "one_rank", "two_ranks"
SHORT_TURNS = 3
"""Turns for each repetition: the shorter a turn, the more alike is the machine to both rivals."""

APART = "two ranks that do not talk"
"""What the machine can do at most: two processes, each alone on a core, with half the images."""


def run(settings: Settings) -> Result:
    """Measure LeNet-5 and ResNet-18."""
    lenet, resnet = _lenet5(settings), _resnet18(settings)
    notes = () if settings.torch_python else (WITHOUT_PYTORCH,)
    return Result(
        "step",
        (*lenet.comparisons, *resnet.comparisons),
        (*lenet.figures, *resnet.figures),
        notes,
    )


def _lenet5(settings: Settings) -> Result:
    steps = 50 if settings.quick else 100
    turns = _compete("lenet5", settings, steps=steps, with_two=True)
    what = f"LeNet-5, batch {BATCH_SIZE}"
    rows = [
        _faster("step_lenet5", f"{what}, one rank", turns[ONE], turns, MODEL_TRAIN, 1.05),
        _faster(
            "step_lenet5_two_ranks",
            f"{what}, two ranks on one core each",
            turns[TWO],
            turns,
            MODEL_TRAIN,
            1.6,
        ),
        _faster("step_lenet5_apart", f"{what}, two ranks", turns[TWO], turns, APART),
    ]
    if settings.torch_python:
        rows.append(_faster("step_lenet5_torch", f"{what}, one rank", turns[ONE], turns, PYTORCH))
    return Result("step", tuple(rows), (_data_wait("lenet5", "LeNet-5", turns[ONE], steps),))


def _resnet18(settings: Settings) -> Result:
    steps = 1 if settings.quick else 2
    turns = _compete("resnet18", settings, steps=steps, with_two=False)
    what = f"ResNet-18, batch {BATCH_SIZE}, one rank"
    rows = [_faster("step_resnet18", what, turns[ONE], turns, MODEL_TRAIN, 1.0)]
    if settings.torch_python:
        rows.append(_faster("step_resnet18_torch", what, turns[ONE], turns, PYTORCH))
    return Result("step", tuple(rows), (_data_wait("resnet18", "ResNet-18", turns[ONE], steps),))


def _compete(model: str, settings: Settings, *, steps: int, with_two: bool) -> dict[str, Turns]:
    one = {"batch_size": BATCH_SIZE, "steps": steps}
    contestants: list[Contestant | Together] = [
        ours(ONE, model, settings, **one),
        model_train(model, settings, batch_size=BATCH_SIZE, steps=steps),
    ]
    if settings.torch_python:
        contestants.append(torch_train(model, settings.torch_python, settings, **one))
    if with_two:
        contestants.append(ours(TWO, model, settings, **one, ranks=2))
        apart = [on_core(ours(f"apart_{core}", model, settings, **one), core) for core in CORES]
        contestants.append(Together(APART, apart))
    return compete(
        contestants,
        repetitions=SHORT_TURNS * settings.repetitions,
        folder=settings.subfolder(f"step_{model}"),
        timeout_s=settings.timeout_s,
    )


def _faster(
    key: str,
    what: str,
    own: Turns,
    turns: dict[str, Turns],
    rival: str,
    target: float | None = None,
) -> Comparison:
    """Compare images per second, turn by turn."""
    other = turns[rival]
    per_image = [[1 / one for one in each.images_per_s] for each in (own, other)]
    return Comparison(
        key=key,
        what=f"training, {what}",
        own=spread(own.images_per_s),
        rival=spread(other.images_per_s),
        ratio=spread(times_faster(*per_image)),
        unit="images/s",
        rival_name=rival,
        target=target,
    )


def _data_wait(key: str, title: str, own: Turns, steps: int) -> Figure:
    """Return which part of a step the loop waited for its batch."""
    shares = [
        100 * facts["data_wait_ms"] / (1000 * seconds / steps)
        for facts, seconds in zip(own.facts, own.seconds, strict=True)
    ]
    what = f"data wait of a step, {title}, one rank"
    return Figure(f"step_{key}_data_wait_percent", what, spread(shares), "%", 1.0)
