"""The rival of training in PyTorch: DataLoader, channels-last, float32; needs no MindSpore.

The networks are those of cifar_dist: LeNet-5 (62,006 parameters), ResNet-18 with the stem for
32 x 32 images (11,173,962).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
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


def loader(folder: Path, batch_size: int) -> Any:
    """Return the DataLoader; one worker process beside the one that trains."""
    return torch.utils.data.DataLoader(
        Images(folder),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=1,
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


def batches(folder: Path, batch_size: int) -> Iterator[tuple[Any, Any]]:
    source = loader(folder, batch_size)
    while True:
        yield from source


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=sorted(NETWORKS), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--batch-size", type=int, default=64)
    args = parser.parse_args()
    gate = Gate.from_environ()
    assert gate is not None, "started without a bench"
    network = NETWORKS[args.model]().to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(network.parameters(), 0.02, momentum=0.9, weight_decay=5e-4)
    for number, (images, labels) in enumerate(batches(args.data, args.batch_size), start=1):
        optimizer.zero_grad()
        images = images.contiguous(memory_format=torch.channels_last)
        loss = F.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        if number % gate.stretch == 0 and not gate.wait():
            return


if __name__ == "__main__":
    main()
