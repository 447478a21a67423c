"""Training that writes down when its steps were done: a script for any launcher.

As ``cifar_dist train``; rank 0 appends a line to a file for each record of training: the step, and
the clock.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from cifar_dist.commands import train
from cifar_dist.observe.records import Observer, Record, TrainRecord

MOMENTS = "CIFAR_DIST_BENCH_MOMENTS"
"""Environment variable: where the lines go."""


class Moments:
    """Write ``<step> <seconds since 1970>`` for every record of training."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="ascii")

    def record(self, record: Record) -> None:
        if isinstance(record, TrainRecord):
            self._file.write(f"{record.step} {time.time():.6f}\n")
            self._file.flush()

    def sync(self) -> None:
        return

    def close(self) -> None:
        self._file.close()


def main() -> int:
    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers(required=True))
    return train.run(parser.parse_args(["train", *sys.argv[1:]]), more_observers=moments)


def moments() -> list[Observer]:
    return [Moments(Path(os.environ[MOMENTS]))]


if __name__ == "__main__":
    sys.exit(main())
