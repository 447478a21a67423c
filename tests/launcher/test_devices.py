from __future__ import annotations

import pytest

from launcher.errors import NotReadyError, UsageError
from launcher.host.npus import Holder, Npus
from launcher.options import LaunchSpec
from launcher.planning.devices import (
    Devices,
    choose_devices,
    container_devices,
    held_message,
    refuse_absent,
    refuse_held,
    refuse_ring,
    visible_npus,
    worker_visible,
)

EIGHT = tuple(range(8))


def choose(
    npus: tuple[int, ...] = EIGHT, environ: dict[str, str] | None = None, **spec: object
) -> Devices:
    wanted = LaunchSpec(**spec)  # type: ignore[arg-type]
    return choose_devices(wanted, npus=Npus.counted(*npus), environ=environ or {})


def test_auto_means_all_npus_where_there_are_some_and_one_cpu_worker_elsewhere() -> None:
    assert choose() == Devices("Ascend", 8, EIGHT)
    assert choose(npus=()) == Devices("CPU", 1)


def test_the_cpu_can_be_asked_for_beside_npus() -> None:
    assert choose(device_target="CPU", nproc=3) == Devices("CPU", 3)


def test_the_first_npus_are_taken_unless_named() -> None:
    assert choose(nproc=2).ids == (0, 1)
    assert choose(devices=(3, 6)) == Devices("Ascend", 2, (3, 6))
    assert choose(npus=(2, 5, 7), nproc=2).ids == (2, 5)


def test_workers_see_exactly_their_npus_by_logical_number() -> None:
    assert worker_visible(Npus.counted(*EIGHT), (3, 6)) == "3,6"
    assert worker_visible(Npus.counted(4, 5, 6, 7), (5, 6)) == "1,2"


def test_the_visible_devices_of_the_user_are_respected() -> None:
    environ = {"ASCEND_RT_VISIBLE_DEVICES": "4,5,6"}
    assert choose(environ=environ).ids == (4, 5, 6)
    with pytest.raises(UsageError, match="NPU 3 is not visible on this node; visible: 4-6"):
        choose(environ=environ, devices=(3, 4))


@pytest.mark.parametrize("text", ["1,0", "0, 1", "0,a", "0,0", "9"])
def test_a_list_that_cann_would_cut_short_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"ASCEND_RT_VISIBLE_DEVICES=.* is not usable"):
        visible_npus(Npus.counted(*EIGHT), {"ASCEND_RT_VISIBLE_DEVICES": text})


@pytest.mark.parametrize(
    ("spec", "npus", "message"),
    [
        ({"device_target": "Ascend"}, (), "no NPU is visible on this node: /dev/davinci"),
        ({"nproc": 9}, EIGHT, r"--nproc 9: this node has 8 visible NPUs \(0-7\)"),
        ({"devices": (0, 8)}, EIGHT, "NPU 8 is not visible"),
        ({"devices": (0, 1), "nproc": 3}, EIGHT, "names 2 devices, but --nproc says 3"),
        ({"devices": (0,)}, (), "the workers run on the CPU"),
        ({"devices": (0,), "device_target": "CPU"}, EIGHT, "the workers run on the CPU"),
    ],
)
def test_what_is_not_there_is_refused(
    spec: dict[str, object], npus: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        choose(npus=npus, **spec)


def test_npus_hidden_by_the_variable_are_told_from_missing_ones() -> None:
    with pytest.raises(UsageError, match="is hidden by ASCEND_RT_VISIBLE_DEVICES"):
        choose(environ={"ASCEND_RT_VISIBLE_DEVICES": ""}, device_target="Ascend")


def test_logical_numbers_of_the_variable_are_not_taken_for_physical_ones() -> None:
    container = Npus.counted(4, 5, 6, 7)
    assert visible_npus(container, {"ASCEND_RT_VISIBLE_DEVICES": "0,2"}) == (4, 6)
    with pytest.raises(UsageError, match=r"of the NPUs here \(0-3, counted from 0\)"):
        visible_npus(container, {"ASCEND_RT_VISIBLE_DEVICES": "4,6"})


def test_npus_stand_in_the_order_of_their_logical_numbers() -> None:
    turned = Npus((2, 3), {2: 1, 3: 0})
    devices = choose_devices(LaunchSpec(devices=(2, 3)), npus=turned, environ={})
    assert devices.ids == (3, 2)
    assert worker_visible(turned, devices.ids) == "0,1"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("0", (0,)),
        ("1,3", (1, 3)),
        ("0-2,4", (0, 1, 2, 4)),
        ("npu-1,npu-3", (1, 3)),
        ("npu-1,2", None),
        ("void", None),
        ("", None),
    ],
)
def test_the_container_runtimes_variable_has_rules_of_its_own(
    text: str, ids: tuple[int, ...] | None
) -> None:
    assert container_devices(text) == ids


def test_the_container_runtimes_variable_counts_where_its_npus_are_here() -> None:
    assert choose(environ={"ASCEND_VISIBLE_DEVICES": "4-5"}).ids == (4, 5)
    assert choose(environ={"ASCEND_VISIBLE_DEVICES": "12"}).ids == EIGHT
    both = {"ASCEND_VISIBLE_DEVICES": "4-7", "ASCEND_RT_VISIBLE_DEVICES": "5,6"}
    assert choose(environ=both).ids == (5, 6)


def test_a_container_that_was_given_no_npu_is_told_why() -> None:
    with pytest.raises(UsageError, match="'void' asks the container runtime for none"):
        choose(npus=(), environ={"ASCEND_VISIBLE_DEVICES": "void"}, device_target="Ascend")


def test_a_held_npu_is_temporary_and_an_absent_one_is_not() -> None:
    npus = Npus(EIGHT, holders=(Holder(3, 7, "python"), Holder(3, 9), Holder(5, 8, "x")))
    assert held_message(npus, (0, 3)) == "NPU 3 is held by pid 7 (python), pid 9"
    refuse_held(npus, (0, 1))
    with pytest.raises(NotReadyError, match=r"NPU 3 is held by .*; NPU 5 is held by pid 8 \(x\);"):
        refuse_held(npus, (3, 5))
    with pytest.raises(UsageError, match=r"t\.json, node 1: NPU 8 is not visible on this node"):
        refuse_absent(Npus.counted(*EIGHT), {}, (7, 8), "t.json, node 1")


@pytest.mark.parametrize("ids", [(3,), (0, 1), (4, 7), (0, 1, 2, 3), (4, 5, 6, 7), EIGHT])
def test_npus_of_one_ring_of_a_910a_may_work_together(ids: tuple[int, ...]) -> None:
    refuse_ring(Npus(EIGHT, products={0: "910A"}), ids)


@pytest.mark.parametrize("ids", [(3, 4), (0, 1, 2), (2, 3, 4, 5), (0, 1, 2, 3, 4, 5)])
def test_npus_that_hccl_does_not_join_are_refused(ids: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="two rings"):
        refuse_ring(Npus(EIGHT, products={0: "910A"}), ids)
    refuse_ring(Npus(EIGHT, products={0: "A2"}), ids)
