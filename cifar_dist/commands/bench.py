"""``cifar_dist bench``: how fast it is, beside its rivals in the same run."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from cifar_dist.bench.files import write_noise
from cifar_dist.bench.machine import describe_machine
from cifar_dist.bench.result import Result, table
from cifar_dist.bench.settings import Settings
from cifar_dist.commands import predict_scaling
from cifar_dist.observe.console import say

DESCRIPTION = """Measure one thing beside its rival in the same run, turn by turn. A ratio above 1
is faster (or smaller) than the rival. 'predict' measures nothing: it says how a network scales."""
BENCHES = {
    "input": "augmented batches against mindspore.dataset",
    "step": "training against Model.train, and PyTorch where it is",
    "scaling": "two ranks on one core each against one rank on both",
    "reduce": "gradients in one message against a message each",
    "checkpoint": "saving a training state against mindspore.save_checkpoint",
    "memory": "what a rank needs beyond MindSpore's own",
    "monitor": "what reports, progress and records take of a step",
}
QUICK_REPETITIONS = 2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "bench", help="measure speed beside rivals", description=DESCRIPTION
    )
    names = parser.add_subparsers(required=True, metavar="NAME")
    for name, what in BENCHES.items():
        one = names.add_parser(name, help=what, description=what)
        one.add_argument("--json", action="store_true", help="print one object")
        one.add_argument("--repetitions", type=int, default=5, metavar="N", help="turns (5)")
        one.add_argument("--quick", action="store_true", help="2 short turns: rough ratios")
        one.add_argument("--torch-python", metavar="PATH", help="a Python that has PyTorch")
        one.set_defaults(run=run, name=name)
    predict_scaling.add_parser(names)


def run(args: argparse.Namespace) -> int:
    measure: Callable[[Settings], Result] = import_module(f"cifar_dist.bench.{args.name}").run
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="cifar-dist-bench-") as temporary:
        folder = Path(temporary)
        settings = Settings(
            folder=folder,
            data=write_noise(folder),
            repetitions=QUICK_REPETITIONS if args.quick else max(1, args.repetitions),
            quick=args.quick,
            torch_python=args.torch_python,
        )
        result = replace(measure(settings), machine=machine)
    if args.json:
        say(json.dumps(result.to_json()))
        return 0
    say(", ".join(f"{key} {value}" for key, value in machine.items()))
    for line in table([result]):
        say(line)
    return 0
