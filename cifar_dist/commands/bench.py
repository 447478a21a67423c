"""``cifar_dist bench``: how fast it is, beside its rivals in the same run."""

from __future__ import annotations

import argparse
import json
import sys
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
    "input": "augmented batches against mindspore.dataset, and PyTorch's DataLoader where it is",
    "step": "training against Model.train, and PyTorch where it is",
    "start": "from command to first step, and from last step to exit, against msrun and torchrun",
    "scaling": "two ranks on one core each against one rank on both, and DDP where PyTorch is",
    "reduce": "gradients in one message against a message each",
    "checkpoint": "saving a training state against mindspore.save_checkpoint",
    "memory": "what a rank needs beyond MindSpore's own",
    "monitor": "what reports, progress and records take of a step",
}
WITH_PYTORCH = ("input", "step", "start", "scaling")
ALL = "all"
QUICK_REPETITIONS = 2
MARGIN = 3.0
"""Of the gate: how far a ratio may fall below its target on a busy machine."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "bench", help="measure speed beside rivals", description=DESCRIPTION
    )
    names = parser.add_subparsers(required=True, metavar="NAME")
    for name, what in {**BENCHES, ALL: "all of these, one after the other"}.items():
        one = names.add_parser(name, help=what, description=what)
        one.add_argument("--json", action="store_true", help="print one object (all: a list)")
        one.add_argument(
            "--repetitions", type=int, default=5, metavar="N", help="turns (5; step: 3 N)"
        )
        one.add_argument("--quick", action="store_true", help="2 short turns: rough ratios")
        one.add_argument(
            "--gate",
            action="store_true",
            help=f"exit with 1 where a ratio is below its target by more than {MARGIN:g} times",
        )
        one.set_defaults(run=run, name=name, torch_python=None)
        if name in (*WITH_PYTORCH, ALL):
            one.add_argument("--torch-python", metavar="PATH", help="a Python that has PyTorch")
    predict_scaling.add_parser(names)


def run(args: argparse.Namespace) -> int:
    names = list(BENCHES) if args.name == ALL else [args.name]
    machine = describe_machine()
    if not args.json:
        say(", ".join(f"{key} {value}" for key, value in machine.items()))
    results = []
    for name in names:
        result = replace(_measure(name, args), machine=machine)
        results.append(result)
        if not args.json:
            for line in table([result], has_head=name == names[0]):
                say(line)
    if args.json:
        found = [result.to_json() for result in results]
        say(json.dumps(found if args.name == ALL else found[0]))
    fallen = [line for result in results for line in result.far_below(MARGIN)]
    if not args.gate or not fallen:
        return 0
    for line in fallen:
        say(line, stream=sys.stderr)
    return 1


def _measure(name: str, args: argparse.Namespace) -> Result:
    measure: Callable[[Settings], Result] = import_module(f"cifar_dist.bench.{name}").run
    with tempfile.TemporaryDirectory(prefix="cifar-dist-bench-") as temporary:
        folder = Path(temporary)
        settings = Settings(
            folder=folder,
            data=write_noise(folder),
            repetitions=QUICK_REPETITIONS if args.quick else max(1, args.repetitions),
            quick=args.quick,
            torch_python=args.torch_python,
        )
        return measure(settings)
