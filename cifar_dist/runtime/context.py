"""The one place that talks to devices: everything specific to Ascend or to the CPU is in here.

The CPU path runs the same calls with other values (``CPU`` and ``mccl`` for ``Ascend`` and
``hccl``), so that what is tested without an NPU is what runs on one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mindspore as ms
from mindspore import communication

from cifar_dist.config.schema import TrainConfig
from cifar_dist.errors import ConfigError
from cifar_dist.runtime.naps import short_naps
from launcher.contract import RankEnv

BACKENDS = {"Ascend": "hccl", "CPU": "mccl"}
MODES = {"graph": ms.GRAPH_MODE, "pynative": ms.PYNATIVE_MODE}


@dataclass(frozen=True)
class DistContext:
    """This worker within its group, after the group was formed."""

    rank: int
    world_size: int
    device_target: str
    device_id: int

    @property
    def is_main(self) -> bool:
        """Whether this rank reports and saves for all."""
        return self.rank == 0

    @property
    def device(self) -> str:
        return "CPU" if self.device_target == "CPU" else f"{self.device_target}:{self.device_id}"


def choose_target(asked: str | None, *, dev: Path = Path("/dev")) -> str:
    """Return "Ascend" or "CPU"; without a wish it is Ascend where an NPU is visible."""
    if asked in BACKENDS:
        return asked
    return "Ascend" if any(dev.glob("davinci[0-9]*")) else "CPU"


def check_precision(train: TrainConfig, device_target: str) -> None:
    """Refuse a precision that the device has no kernels for.

    Raises:
        ConfigError: bfloat16 on a CPU, where MindSpore 2.10 has no bfloat16 convolution.
    """
    if device_target == "CPU" and train.amp != "O0" and train.dtype == "bfloat16":
        raise ConfigError(
            f"'train.dtype' (bfloat16) with 'train.amp' ({train.amp}) cannot run on a CPU: "
            "MindSpore has no bfloat16 convolution there; use train.dtype=float16 or train.amp=O0"
        )


def enter(env: RankEnv, *, mode: Literal["graph", "pynative"], device_target: str) -> DistContext:
    """Take the device, join the group, and switch on data parallelism. Call it before any tensor.

    Args:
        env: who the environment says we are; msrun may leave the rank open until the group is up.
        mode: compiled graphs, or step by step for debugging.
        device_target: "Ascend" or "CPU", see :func:`choose_target`.
    """
    device_id = env.device_id or 0
    ms.set_context(mode=MODES[mode])
    if device_target == "Ascend":
        ms.set_device("Ascend", device_id)
    else:
        ms.set_device("CPU")
    rank, world_size = env.rank or 0, env.world_size
    if world_size > 1:
        with short_naps():
            communication.init(BACKENDS[device_target])
        rank, world_size = communication.get_rank(), communication.get_group_size()
        ms.set_auto_parallel_context(
            parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=world_size
        )
    bind_threads(env.cpus)
    return DistContext(rank, world_size, device_target, device_id)


def is_cpu() -> bool:
    """Whether the device is the CPU."""
    found: bool = ms.get_context("device_target") == "CPU"
    return found


def bind_threads(cpus: tuple[int, ...]) -> None:
    """Keep every thread of this process on the given cores; none given: leave them.

    The launcher binds a worker before it starts, unless its share is a single core: MindSpore 2.10
    joins a CPU cluster from one core only after many failed attempts (63 to 88 s measured against
    5 s). Such a worker is bound here, once it has joined.
    """
    for thread in os.listdir("/proc/self/task") if cpus else ():
        try:
            os.sched_setaffinity(int(thread), cpus)
        except ProcessLookupError:
            continue


def run_scheduler() -> None:
    """Be the scheduler of a dynamic cluster: msrun starts our own command for that role too."""
    communication.init("mccl")
