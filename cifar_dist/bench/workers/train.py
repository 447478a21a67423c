"""Training as a user starts it, stretch by stretch: ``cifar_dist train`` with a gate."""

from __future__ import annotations

import argparse
import os
import sys

from cifar_dist.bench.gate import Gate
from cifar_dist.bench.observer import AtGate
from cifar_dist.commands import train
from cifar_dist.observe.records import Observer


def main() -> int:
    os.environ.setdefault("GLOG_v", "3")
    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers(required=True))
    return train.run(parser.parse_args(["train", *sys.argv[1:]]), more_observers=at_gate)


def at_gate() -> list[Observer]:
    """Return what stops rank 0 after each stretch; the others wait for its part of the average."""
    gate = Gate.from_environ()
    assert gate is not None, "started without a bench"
    return [AtGate(gate)]


if __name__ == "__main__":
    sys.exit(main())
