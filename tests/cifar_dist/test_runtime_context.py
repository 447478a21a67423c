"""The one place of device calls, driven against MindSpore's real API with the device replaced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import mindspore as ms
import pytest
from mindspore import communication

from cifar_dist.config.schema import TrainConfig
from cifar_dist.errors import ConfigError
from cifar_dist.runtime.context import DistContext, check_precision, choose_target, enter
from launcher.contract import RankEnv


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """The calls of a host with NPUs in their order; only what touches a device is replaced."""
    made: list[object] = []
    parallel = ms.set_auto_parallel_context

    def set_parallel(**options: object) -> None:
        made.append(("parallel", options))
        parallel(**options)

    monkeypatch.setattr(ms, "set_device", lambda *args: made.append(("set_device", *args)))
    monkeypatch.setattr(communication, "init", lambda name: made.append(("init", name)))
    monkeypatch.setattr(communication, "get_rank", lambda: 5)
    monkeypatch.setattr(communication, "get_group_size", lambda: 8)
    monkeypatch.setattr(ms, "set_auto_parallel_context", set_parallel)
    yield made
    ms.reset_auto_parallel_context()


def test_an_npu_is_taken_then_hccl_joined_then_data_parallelism_switched_on(
    calls: list[object],
) -> None:
    env = RankEnv(rank=5, world_size=8, local_rank=5, device_id=5, device_target="Ascend")
    context = enter(env, mode="graph", device_target="Ascend")
    assert [call[0] for call in calls] == ["set_device", "init", "parallel"]  # type: ignore[index]
    assert calls[:2] == [("set_device", "Ascend", 5), ("init", "hccl")]
    assert ms.get_auto_parallel_context("parallel_mode") == "data_parallel"
    assert ms.get_auto_parallel_context("gradients_mean") is True
    assert ms.get_auto_parallel_context("device_num") == 8
    assert context == DistContext(rank=5, world_size=8, device_target="Ascend", device_id=5)


def test_one_npu_joins_no_group(calls: list[object]) -> None:
    context = enter(RankEnv(device_id=3), mode="graph", device_target="Ascend")
    assert calls == [("set_device", "Ascend", 3)]
    assert (context.rank, context.world_size, context.device) == (0, 1, "Ascend:3")


def test_cpu_workers_use_the_same_calls_with_mccl(calls: list[object]) -> None:
    enter(RankEnv(rank=1, world_size=8), mode="graph", device_target="CPU")
    assert calls[:2] == [("set_device", "CPU"), ("init", "mccl")]


def test_no_tensor_exists_before_the_group_is_joined(
    calls: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ms, "Tensor", lambda *_: calls.append("tensor"))
    enter(RankEnv(rank=0, world_size=8), mode="graph", device_target="Ascend")
    assert "tensor" not in calls


def test_the_target_is_ascend_where_an_npu_is_visible(tmp_path: Path) -> None:
    assert choose_target(None, dev=tmp_path) == "CPU"
    (tmp_path / "davinci_manager").touch()
    assert choose_target(None, dev=tmp_path) == "CPU"
    (tmp_path / "davinci0").touch()
    assert choose_target("auto", dev=tmp_path) == "Ascend"
    assert choose_target("CPU", dev=tmp_path) == "CPU"


def test_bfloat16_on_a_cpu_is_refused_before_it_breaks() -> None:
    train = TrainConfig(epochs=1, amp="O2", dtype="bfloat16")
    with pytest.raises(ConfigError, match=r"train\.dtype=float16"):
        check_precision(train, "CPU")
    check_precision(train, "Ascend")
    check_precision(TrainConfig(epochs=1, amp="O0", dtype="bfloat16"), "CPU")
