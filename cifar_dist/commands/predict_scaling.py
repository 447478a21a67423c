"""``cifar_dist bench predict``: step time and efficiency on 1 to 4,096 devices."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from cifar_dist.bench.predict import Machine, Prediction, Workload, predict
from cifar_dist.bench.published import FLOAT32_BYTES, checks
from cifar_dist.commands.models import ModelRow, count_models
from cifar_dist.errors import ConfigError
from cifar_dist.observe.console import say

DESCRIPTION = """Predict how data-parallel training scales, from figures that you measured or from
estimates for Ascend 910; nothing is run. The defaults are held against published numbers: the error
is shown, for those that gave defaults and for those that did not."""
DEFAULT_MODELS = ("lenet5", "resnet20", "resnet18", "resnet50", "vgg_d_bn")
DEVICES = tuple(2**power for power in range(13))
MULTIPLY_ADDS_PER_S = 2115 * 4.09e9
"""Of one Ascend 910: ResNet-50 at 224 pixels (4.09e9 for one image) trains at 2,115 images/s."""

_NUMBERS = (
    ("batch-size", 128, "images per device and step"),
    ("alpha-us", 1e6 * Machine.alpha_s, "cost of a message within a server"),
    ("alpha-between-us", 1e6 * Machine.alpha_between_s, "cost of a message between servers"),
    ("gb-per-s", Machine.bytes_per_s / 1e9, "of one device within a server"),
    ("gb-per-s-between", Machine.bytes_per_s_between / 1e9, "of one device between servers"),
    ("host-images-per-s", math.inf, "that one server's host can feed"),
    ("jitter-percent", 100 * Machine.jitter, "deviation of a rank's step time"),
)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "predict", help="how a network scales to 4,096 devices", description=DESCRIPTION
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"names (default: {', '.join(DEFAULT_MODELS)})"
    )
    parser.add_argument(
        "--images-per-s",
        type=_positive,
        help="of one device (default: from the multiply-adds, as ResNet-50 on Ascend 910)",
    )
    parser.add_argument("--per-server", type=int, default=Machine.per_server, help="devices (8)")
    for name, default, what in _NUMBERS:
        shown = f"{default:g}"
        parser.add_argument(f"--{name}", type=_positive, default=default, help=f"{what} ({shown})")
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    names = args.models or list(DEFAULT_MODELS)
    if args.images_per_s and len(names) != 1:
        raise ConfigError("--images-per-s is of one network: name that one")
    if args.per_server < 1:
        raise ConfigError(f"--per-server ({args.per_server}) must be 1 or more")
    machine = _machine(args)
    works = [_workload(row, args) for row in count_models(names)]
    if args.json:
        say(json.dumps(_object(works, machine)))
        return 0
    for line in _lines(works, machine):
        say(line)
    return 0


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"must be above 0, not {text}")
    return value


def _machine(args: argparse.Namespace) -> Machine:
    return Machine(
        per_server=args.per_server,
        alpha_s=args.alpha_us / 1e6,
        alpha_between_s=args.alpha_between_us / 1e6,
        bytes_per_s=1e9 * args.gb_per_s,
        bytes_per_s_between=1e9 * args.gb_per_s_between,
        host_images_per_s=args.host_images_per_s,
        jitter=args.jitter_percent / 100,
    )


def _workload(row: ModelRow, args: argparse.Namespace) -> Workload:
    return Workload(
        name=row.name,
        gradient_bytes=row.parameters * FLOAT32_BYTES,
        batch_size=int(args.batch_size),
        images_per_s=args.images_per_s or MULTIPLY_ADDS_PER_S / row.multiply_adds,
    )


def _all(work: Workload, machine: Machine, overlap: bool) -> list[Prediction]:
    return [predict(work, machine, devices, overlap=overlap) for devices in DEVICES]


def _object(works: Sequence[Workload], machine: Machine) -> dict[str, object]:
    return {
        "bench": "predict",
        "machine": {
            key: value if math.isfinite(value) else None for key, value in asdict(machine).items()
        },
        "models": [
            {
                **asdict(work),
                "overlap": [asdict(one) for one in _all(work, machine, True)],
                "no_overlap": [asdict(one) for one in _all(work, machine, False)],
            }
            for work in works
        ],
        "published": [
            {
                **asdict(one.published),
                "is_fitted": one.published.is_fitted,
                "predicted": one.predicted,
                "error": one.error,
            }
            for one in checks(Machine())
        ],
    }


def _lines(works: Sequence[Workload], machine: Machine) -> Iterator[str]:
    for work in works:
        alone = f"{work.images_per_s:,.0f} images/s on one device"
        megabytes = work.gradient_bytes / 1e6
        yield f"{work.name}: {alone}, batch {work.batch_size}, gradients {megabytes:.1f} MB"
        yield "  devices    step ms     images/s  efficiency  without overlap  limit"
        for one, plain in zip(_all(work, machine, True), _all(work, machine, False), strict=True):
            yield (
                f"  {one.devices:>7}  {1000 * one.step_s:>9.3f}  {one.images_per_s:>11,.0f}"
                f"  {one.efficiency:>10.3f}  {plain.efficiency:>15.3f}  {one.limit}"
            )
    yield "held against published ResNet-50, Ascend 910 (with the default figures of this command):"
    for check in checks(Machine()):
        known = check.published
        yield (
            f"  batch {known.batch_size:>3}, {known.devices:>2} devices: published "
            f"{known.efficiency:.3f}, predicted {check.predicted:.3f}, error {check.error:+.3f}"
            f" ({'gave defaults' if known.is_fitted else 'gave none'})"
        )
