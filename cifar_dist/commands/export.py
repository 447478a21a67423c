"""``cifar_dist export``: a saved network as a MindIR or ONNX file that answers as it does."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_dist.commands.saved import (
    Saved,
    add_saved_arguments,
    enter_device,
    open_saved,
    refuse_many_ranks,
)
from cifar_dist.data.synthetic import synthetic_dataset
from cifar_dist.errors import ConfigError, ExportError, OutputError
from cifar_dist.observe.console import say
from launcher.contract import RankEnv

if TYPE_CHECKING:
    from cifar_dist.engine.export import Comparison

DESCRIPTION = """Write a checkpoint's network as MindIR or ONNX, read the file back, and compare its
outputs with the network's on 16 images. The file takes bytes: uint8[N, 3, 32, 32], red, green and
blue; normalisation is a part of it. It computes in float32."""
COMPARED_IMAGES = 16
MODE = 0o644


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "export", help="write a network as MindIR or ONNX", description=DESCRIPTION
    )
    add_saved_arguments(parser)
    parser.add_argument("--format", choices=["mindir", "onnx"], default="mindir")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="default: MODEL.mindir or MODEL.onnx"
    )
    parser.add_argument(
        "--batch-size", type=int, default=1, metavar="N", help="images at once (default: 1)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    env = RankEnv.from_environ(os.environ)
    refuse_many_ranks(env, "export")
    if not 1 <= args.batch_size <= 65_536:
        raise ConfigError(f"--batch-size must be 1 to 65,536, not {args.batch_size}")
    saved = _in_float32(open_saved(args.checkpoint))
    path = _target(args.output or Path(f"{saved.config.model.name}.{args.format}"), args.format)

    from cifar_dist.engine.export import check_runtime

    check_runtime(args.format)
    enter_device(env, saved.config, args.device_target)
    with _beside(path) as draft:
        compared = _export(saved, draft, args)
        if not compared.is_close:
            raise ExportError(
                f"{path} was not written: read back, it answers otherwise than the network\n"
                f"  {_described(compared)}"
            )
        size = draft.stat().st_size
        draft.chmod(MODE)
        draft.replace(path)
    say(f"wrote {path} ({size:,} bytes): {saved.config.model.name}, {args.weights} weights")
    say(f"input uint8[{args.batch_size}, 3, 32, 32], 0 to 255; output logits")
    say(f"read back and compared: {_described(compared)}")
    return 0


def _target(path: Path, format: str) -> Path:
    """Return the file to write, after what can be said about it at once."""
    if path.suffix != f".{format}":
        raise ConfigError(
            f"--output {path}: the name of a file of --format {format} must end in .{format}"
        )
    if path.is_dir():
        raise OutputError(f"{path} cannot be written: it is a folder; name another file")
    return path


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Yield a place of the same name in a folder beside it, which is gone afterwards."""
    try:
        folder = tempfile.TemporaryDirectory(prefix=".export-", dir=path.absolute().parent)
    except OSError as error:
        raise OutputError(
            f"{path} cannot be written: {error.strerror} ({path.absolute().parent}); "
            "name another file"
        ) from None
    with folder as name:
        yield Path(name) / path.name


def _export(saved: Saved, path: Path, args: argparse.Namespace) -> Comparison:
    from mindspore import Tensor

    from cifar_dist.engine.export import compare, export_network, open_exported
    from cifar_dist.engine.inference import InferenceStep, restored_network

    network = restored_network(
        saved.config, saved.checkpoint, origin=str(saved.path), weights=args.weights
    )
    step = InferenceStep(network)
    export_network(step, path, args.format, batch_size=args.batch_size)
    return compare(
        lambda images: step(Tensor(images)).asnumpy(),
        open_exported(path, args.format),
        synthetic_dataset("test", COMPARED_IMAGES).images_nchw,
        batch_size=args.batch_size,
    )


def _in_float32(saved: Saved) -> Saved:
    train = saved.config.train.model_copy(update={"amp": "O0", "mode": "graph"})
    return replace(saved, config=saved.config.model_copy(update={"train": train}))


def _described(compared: Comparison) -> str:
    return (
        f"{compared.same_class} of {compared.images} images have the same class; logits of up to "
        f"{compared.largest_logit:.4g} differ by at most {compared.largest_difference:.2g}"
    )
