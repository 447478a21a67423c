"""The rival of training in PyTorch: DataLoader, channels-last, float32; needs no MindSpore.

The networks are those of cifar_dist: LeNet-5 (62,006 parameters), ResNet-18 with the stem for
32 x 32 images (11,173,962). Under torchrun the ranks train together by DistributedDataParallel;
only rank 0 is told when to go on, the others wait for its gradients.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from cifar_dist.bench.gate import Gate

MEAN = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1) * 255
STD = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1) * 255


class Images(torch.utils.data.Dataset):
    """CIFAR-10 with crop and flip, an image at a time, as torchvision users have it."""

    def __init__(self, folder: Path) -> None:
        files = [np.fromfile(folder / f"data_batch_{n}.bin", dtype=np.uint8) for n in range(1, 6)]
        records = np.concatenate(files).reshape(-1, 3073)
        self.labels = torch.from_numpy(records[:, 0].astype(np.int64))
        self.images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = F.pad(self.images[index], (4, 4, 4, 4))
        top, left, flip = torch.randint(0, 9, (3,)).tolist()
        image = image[:, top : top + 32, left : left + 32]
        if flip % 2:
            image = image.flip(2)
        return (image.float() - MEAN) / STD, self.labels[index]


def loader(folder: Path, batch_size: int, workers: int) -> Any:
    """Return the DataLoader, with so many processes beside the one that trains."""
    images = Images(folder)
    is_alone = not torch.distributed.is_initialized()
    return torch.utils.data.DataLoader(
        images,
        batch_size,
        shuffle=is_alone,
        sampler=None if is_alone else torch.utils.data.DistributedSampler(images),
        drop_last=True,
        num_workers=workers,
        persistent_workers=True,
    )


class Block(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.shortcut = nn.Sequential()
        if stride > 1 or inner != outer:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x: Any) -> Any:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


def resnet18() -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 3, 1, 1, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
    ]
    inner = 64
    for outer, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
        layers += [Block(inner, outer, stride), Block(outer, outer, 1)]
        inner = outer
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def lenet5() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU()),
        nn.Linear(84, 10),
    )


NETWORKS = {"lenet5": lenet5, "resnet18": resnet18}


GoesOn = Callable[[int], bool]
"""Is told how many steps were done, and says whether there is another one."""


def batches(folder: Path, batch_size: int, workers: int) -> Iterator[tuple[Any, Any]]:
    source = loader(folder, batch_size, workers)
    while True:
        yield from source


def load(source: Iterator[Any], goes_on: GoesOn) -> None:
    """Take batches and do nothing with them."""
    for number, _ in enumerate(source, start=1):
        if not goes_on(number):
            return


def train(network: nn.Module, source: Iterator[Any], goes_on: GoesOn) -> None:
    optimizer = torch.optim.SGD(network.parameters(), 0.02, momentum=0.9, weight_decay=5e-4)
    for number, (images, labels) in enumerate(source, start=1):
        optimizer.zero_grad()
        images = images.contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        if not goes_on(number):
            return


def at_gate() -> GoesOn:
    """Return what waits after each stretch until the bench says go."""
    gate = Gate.from_environ()
    assert gate is not None, "started without a bench"
    return lambda number: number % gate.stretch > 0 or gate.wait()


def until(steps: int, moments: Path | None) -> GoesOn:
    """Return what ends after so many steps; each is a line ``<step> <seconds since 1970>``."""

    def goes_on(number: int) -> bool:
        if moments is not None:
            with moments.open("a", encoding="ascii") as file:
                file.write(f"{number} {time.time():.6f}\n")
        return number < steps

    return goes_on


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=sorted(NETWORKS), help="none: only load batches")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--steps", type=int, help="end after so many, without a bench's gate")
    parser.add_argument("--moments", type=Path, help="where rank 0 writes when steps were done")
    args = parser.parse_args()
    is_main = os.environ.get("RANK", "0") == "0"
    if "RANK" in os.environ:
        torch.distributed.init_process_group("gloo")
    if args.steps is not None:
        goes_on = until(args.steps, args.moments if is_main else None)
    else:
        goes_on = at_gate() if is_main else lambda number: True
    source = batches(args.data, args.batch_size, args.workers)
    if args.model is None:
        load(source, goes_on)
        return
    network = NETWORKS[args.model]().to(memory_format=torch.channels_last)
    if torch.distributed.is_initialized():
        network = nn.parallel.DistributedDataParallel(network)
    train(network, source, goes_on)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
