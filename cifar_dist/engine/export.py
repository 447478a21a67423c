"""A network as one file for other programs: MindIR or ONNX, read back and compared.

The file takes bytes, uint8[N, 3, 32, 32] of fixed N, and gives logits float32[N, classes]:
normalisation is a part of it. It computes in float32 whatever the recipe's precision, and holds the
running statistics of batch norm as they are.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from numpy.typing import NDArray

from cifar_dist.engine.inference import InferenceStep
from cifar_dist.errors import ExportError

Format = Literal["mindir", "onnx"]
Images = NDArray[np.uint8]
Logits = NDArray[np.float32]

TOLERANCE = 1e-4
"""Of the largest logit: other kernels add in another order."""


@dataclass(frozen=True)
class Comparison:
    """How far the outputs of a file are from the network's.

    Attributes:
        images: how many were compared.
        same_class: for how many of them the most probable class is the same.
        largest_difference: between two logits.
        largest_logit: of the network, without its sign.
    """

    images: int
    same_class: int
    largest_difference: float
    largest_logit: float

    @property
    def is_close(self) -> bool:
        return self.largest_difference <= TOLERANCE * max(1.0, self.largest_logit)


def check_runtime(format: Format) -> None:
    """Raise ExportError where a file of this format could not be read back."""
    if format == "onnx" and importlib.util.find_spec("onnxruntime") is None:
        raise ExportError(
            "ONNX files are compared with the network by onnxruntime, which is not installed: "
            "pip install 'cifar-dist[export]', or use --format mindir"
        )


def export_network(step: InferenceStep, path: Path, format: Format, *, batch_size: int) -> None:
    """Write a network to a file whose name ends in its format.

    Raises:
        ExportError: the format has no place for something that the network does.
    """
    images = Tensor(np.zeros((batch_size, 3, 32, 32), dtype=np.uint8))
    try:
        ms.export(step, images, file_name=str(path), file_format=format.upper())
    except (RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        raise ExportError(
            f"MindSpore cannot write this network as {format.upper()}: {reason}"
        ) from error


def open_exported(path: Path, format: Format) -> Callable[[Images], Logits]:
    """Read a file back, and return what computes with it: one batch in, its logits out."""
    if format == "mindir":
        cell = nn.GraphCell(ms.load(str(path)))
        return lambda images: cell(Tensor(images)).asnumpy()
    runtime = importlib.import_module("onnxruntime")  # only where [export] was installed
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    return lambda images: session.run(None, {source.name: images})[0]


def compare(
    expected: Callable[[Images], Logits],
    found: Callable[[Images], Logits],
    images_nchw: Images,
    *,
    batch_size: int,
) -> Comparison:
    """Compare the logits of two ways to compute the same, batch by batch.

    Args:
        expected: of the network.
        found: of the file.
        images_nchw: uint8[N, 3, 32, 32]; the last batch is filled up, the filling is not compared.
        batch_size: of both.
    """
    count = len(images_nchw)
    pairs = []
    for start in range(0, count, batch_size):
        batch = images_nchw[np.arange(start, start + batch_size) % count]
        pairs.append((expected(batch), found(batch)))
    ours, theirs = (np.concatenate(part)[:count] for part in zip(*pairs, strict=True))
    with np.errstate(invalid="ignore"):
        difference = np.abs(ours.astype(np.float64) - theirs).max()
    return Comparison(
        images=count,
        same_class=int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum()),
        largest_difference=float(difference),
        largest_logit=float(np.abs(ours).max()),
    )
