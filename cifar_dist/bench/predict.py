"""Step time and efficiency of data-parallel training on 1 to 4,096 devices: pure functions.

A step is the network's own time, the part of the gradient all-reduce that the backward pass does
not hide, and the wait for the slowest rank; the host may feed it more slowly than that.

- All-reduce: a ring within a server, then halving and doubling between servers, each device with
  its share (Thakur, Rabenseifner, Gropp 2005): a message costs alpha, a byte beta.
- Overlap: buckets are reduced while the backward pass, two thirds of the step, still runs. The last
  bucket cannot be hidden, nor what does not fit under the backward pass.
- Slowest rank: step times spread by ``jitter`` of the step; the slowest of N ranks is expected as
  many deviations late as the largest of N normal numbers is (Blom 1958: the quantile of
  (N - 0.375) / (N + 0.25)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

BACKWARD_SHARE = 2 / 3
"""Of the network's own time: two of three products with each weight are in the backward pass."""


@dataclass(frozen=True)
class Workload:
    """One network on one device.

    Attributes:
        name: of the network.
        gradient_bytes: that all ranks add up in each step.
        batch_size: images per device and step.
        images_per_s: of one device alone.
        last_bucket_bytes: of the bucket whose gradients are ready last.
    """

    name: str
    gradient_bytes: float
    batch_size: int
    images_per_s: float
    last_bucket_bytes: float = 1e6

    @property
    def compute_s(self) -> float:
        return self.batch_size / self.images_per_s


@dataclass(frozen=True)
class Machine:
    """What connects and feeds the devices.

    The defaults are estimates for servers of eight Ascend 910 (100 Gbit/s RoCE each between
    servers); alpha within a server and jitter are those with which the two figures of 8 devices in
    bench.published come out right. Measure your own and give them.

    Attributes:
        per_server: devices of one server.
        alpha_s: cost of a message within a server.
        alpha_between_s: cost of a message between servers.
        bytes_per_s: of one device within a server.
        bytes_per_s_between: of one device between servers.
        host_images_per_s: what one server's host can feed; infinite where devices hold the data.
        jitter: standard deviation of a rank's step time, as a part of it.
    """

    per_server: int = 8
    alpha_s: float = 31e-6
    alpha_between_s: float = 50e-6
    bytes_per_s: float = 20e9
    bytes_per_s_between: float = 10e9
    host_images_per_s: float = math.inf
    jitter: float = 0.0104


@dataclass(frozen=True)
class Prediction:
    """One size of a job: ``efficiency`` is against as many single devices."""

    devices: int
    step_s: float
    images_per_s: float
    efficiency: float
    all_reduce_s: float
    exposed_s: float
    limit: str


def all_reduce_s(message_bytes: float, devices: int, machine: Machine) -> float:
    """Return seconds to add up one message over all devices."""
    within = min(devices, machine.per_server)
    servers = math.ceil(devices / machine.per_server)
    seconds = 2 * (within - 1) * machine.alpha_s
    seconds += 2 * (within - 1) / within * message_bytes / machine.bytes_per_s
    if servers > 1:
        share = message_bytes / within
        seconds += 2 * math.ceil(math.log2(servers)) * machine.alpha_between_s
        seconds += 2 * (servers - 1) / servers * share / machine.bytes_per_s_between
    return seconds


def slowest_s(compute_s: float, devices: int, machine: Machine) -> float:
    """Return how long a step waits for the slowest of all ranks, on average."""
    if devices == 1:
        return 0.0
    deviations = NormalDist().inv_cdf((devices - 0.375) / (devices + 0.25))
    return deviations * machine.jitter * compute_s


def predict(work: Workload, machine: Machine, devices: int, *, overlap: bool = True) -> Prediction:
    """Return what one step takes on so many devices, each with the same batch.

    Args:
        work: one device's part.
        machine: links and hosts.
        devices: 1 or more; below one server's devices all are in one server.
        overlap: whether gradients are reduced in buckets while the backward pass runs.
    """
    whole_s = all_reduce_s(work.gradient_bytes, devices, machine)
    exposed_s = whole_s
    if overlap:
        last = min(work.last_bucket_bytes, work.gradient_bytes)
        exposed_s = max(
            all_reduce_s(last, devices, machine), whole_s - BACKWARD_SHARE * work.compute_s
        )
    exposed_s = min(exposed_s, whole_s)
    late_s = slowest_s(work.compute_s, devices, machine)
    step_s = work.compute_s + exposed_s + late_s
    fed = min(devices, machine.per_server)
    host_s = fed * work.batch_size / machine.host_images_per_s
    parts = {"network": work.compute_s, "all-reduce": exposed_s, "host": host_s}
    step_s = max(step_s, host_s)
    images_per_s = devices * work.batch_size / step_s
    alone_s = max(work.compute_s, work.batch_size / machine.host_images_per_s)
    return Prediction(
        devices=devices,
        step_s=step_s,
        images_per_s=images_per_s,
        efficiency=alone_s / step_s,
        all_reduce_s=whole_s,
        exposed_s=exposed_s,
        limit=max(parts, key=parts.__getitem__),
    )
