"""Published scaling on Ascend 910, to hold the model of bench.predict against.

MindSpore's own benchmarks of ResNet-50 v1.5 on ImageNet, 224 pixels, mixed precision, 8 devices a
server: batch 256 from the documentation of r0.5 (benchmark.html, the same in r1.7), batch 32 from
that of 0.2.0-alpha. The figures of 8 devices gave two of the model's defaults; those of 16, on two
servers, gave none and show how far it is off.
"""

from __future__ import annotations

from dataclasses import dataclass

from cifar_dist.bench.predict import Machine, Workload, predict

RESNET50_PARAMETERS = 25_557_032
FLOAT32_BYTES = 4


@dataclass(frozen=True)
class Published:
    """Images per second of one device, and the efficiency of several."""

    batch_size: int
    devices: int
    one_images_per_s: float
    efficiency: float

    @property
    def is_fitted(self) -> bool:
        """Whether defaults of :class:`Machine` were chosen so that this figure comes out."""
        return self.devices == 8


PUBLISHED = (
    Published(256, 8, 2115, 16_600 / (8 * 2115)),
    Published(256, 16, 2115, 32_768 / (16 * 2115)),
    Published(32, 8, 1787, 13_689 / (8 * 1787)),
    Published(32, 16, 1787, 0.94),
)


@dataclass(frozen=True)
class Check:
    """A published efficiency and the predicted one."""

    published: Published
    predicted: float

    @property
    def error(self) -> float:
        """Predicted less published, as parts of 1."""
        return self.predicted - self.published.efficiency


def checks(machine: Machine) -> list[Check]:
    """Return the prediction for each published figure."""
    return [
        Check(one, predict(_workload(one), machine, one.devices).efficiency) for one in PUBLISHED
    ]


def _workload(one: Published) -> Workload:
    return Workload(
        name="resnet50 at 224 px",
        gradient_bytes=RESNET50_PARAMETERS * FLOAT32_BYTES,
        batch_size=one.batch_size,
        images_per_s=one.one_images_per_s,
    )
