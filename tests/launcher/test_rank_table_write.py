"""Tables that are written, converted, made, merged and shown."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given, settings
from rank_tables import Shape, document, shapes

from launcher.errors import RankTableError
from launcher.rank_table.convert import to_current
from launcher.rank_table.lint import load, parse
from launcher.rank_table.make import Machine, make_table
from launcher.rank_table.merge import merge_tables
from launcher.rank_table.model import Device, RankTable, Server
from launcher.rank_table.show import show
from launcher.rank_table.write import to_json, write


def table_of(shape: Shape) -> RankTable:
    return parse(json.dumps(document(shape)).encode())


@given(shapes(forms=("1.0", "1.2")))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back_equal(shape: Shape) -> None:
    table = table_of(shape)
    assert parse(to_json(table).encode()) == table


@given(shapes(forms=("1.0", "1.2"), small=True))
@settings(max_examples=60, deadline=None)
def test_what_is_read_is_written_back_as_the_same_json(shape: Shape) -> None:
    assert json.loads(to_json(table_of(shape))) == document(shape)


@given(shapes(forms=("lab", "cloud"), small=True))
@settings(max_examples=60, deadline=None)
def test_an_old_table_becomes_1_0_with_the_same_ranks(shape: Shape) -> None:
    old = table_of(shape)
    new = parse(to_json(to_current(old)).encode())
    assert new.form == "1.0"
    assert list(new.ranks()) == list(to_current(old).ranks())
    facts = [(s.server_id, d.device_id, d.device_ips, d.rank_id) for s, d in old.ranks()]
    assert facts == [(s.server_id, d.device_id, d.device_ips, d.rank_id) for s, d in new.ranks()]
    assert to_current(new) == new


def test_every_key_survives_a_round_trip() -> None:
    device = Device(
        device_id=3, rank_id=0, device_ips=("10.0.0.1", "10.0.0.2"), super_device_id=37748736,
        device_port=16666, host_port=60001, backup_device_ips=("10.0.0.3",),
        backup_device_port=16667,
    )  # fmt: skip
    server = Server("node_0", (device,), "172.16.0.1", "10.244.0.1", "10.244.0.2", "A3", "reserve")
    table = RankTable("1.2", (server,))
    assert parse(to_json(table).encode()) == table


def test_the_text_has_hccl_strings_in_the_usual_order() -> None:
    text = to_json(table_of(Shape(servers=1, devices=1)))
    assert text == (
        '{\n    "version": "1.0",\n    "server_count": "1",\n    "server_list": [\n        {\n'
        '            "server_id": "node_0",\n            "device": [\n                {\n'
        '                    "device_id": "0",\n'
        '                    "device_ip": "192.168.0.1",\n'
        '                    "rank_id": "0"\n                }\n            ]\n        }\n    ],\n'
        '    "status": "completed"\n}\n'
    )


@pytest.mark.parametrize("form", ["2.0", "lab", "cloud"])
def test_forms_that_hccl_gets_from_others_are_not_written(form: str) -> None:
    with pytest.raises(RankTableError, match="is not written"):
        to_json(table_of(Shape(form)))


def test_a_file_is_written_whole_with_mode_0640(tmp_path: Path) -> None:
    path = tmp_path / "hccl.json"
    before = os.umask(0o022)
    try:
        write(table_of(Shape()), path)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
    assert load(path) == table_of(Shape())
    assert list(tmp_path.iterdir()) == [path]


def machine(index: int, **more: object) -> Machine:
    addresses = {device: f"192.168.{index}.{device + 1}" for device in range(16)}
    return Machine(f"10.0.0.{index}", (0, 1), addresses, **more)  # type: ignore[arg-type]


def test_ranks_are_counted_machine_by_machine() -> None:
    table = make_table([machine(2), machine(1)])
    found = [(server.server_id, device.device_id) for server, device in table.ranks()]
    assert found == [("10.0.0.2", 0), ("10.0.0.2", 1), ("10.0.0.1", 0), ("10.0.0.1", 1)]
    assert table.form == "1.0"


def test_devices_keep_their_order_and_number() -> None:
    table = make_table([replace(machine(1), device_ids=(6, 4, 10))])
    assert [device.device_id for _, device in table.ranks()] == [6, 4, 10]


def test_machines_of_one_super_pod_are_put_together() -> None:
    def pod(index: int, name: str) -> Machine:
        sdid = {0: index * 10, 1: index * 10 + 1}
        return machine(index, super_pod_id=name, super_device_ids=sdid)

    table = make_table([pod(1, "a"), pod(2, "b"), pod(3, "a"), pod(4, "b")])
    assert table.form == "1.2"
    assert [server.server_id[-1] for server in table.servers] == ["1", "3", "2", "4"]
    assert [pod.server_ids for pod in table.super_pods] == [
        ("10.0.0.1", "10.0.0.3"), ("10.0.0.2", "10.0.0.4")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("machines", "words"),
    [
        ([], "server_list is empty"),
        ([machine(1), machine(1)], "'10.0.0.1' is already at"),
        ([machine(1), Machine("x", (0,))], "device_ip is missing or empty"),
        ([machine(1), machine(2, super_pod_id="a")], "without a super pod"),
        ([replace(machine(1), device_ids=(0, 0))], "device 0 is already at"),
        ([replace(machine(1), addresses={0: "10.0.0.300", 1: "10.0.0.1"})], "is no IPv4"),
    ],
)
def test_what_would_be_no_valid_table_is_refused(machines: list[Machine], words: str) -> None:
    with pytest.raises(RankTableError, match=words):
        make_table(machines)


def test_a_product_can_refuse_what_another_takes() -> None:
    mixed = replace(machine(1), device_ids=(3, 4))
    assert make_table([mixed]).world_size == 2
    with pytest.raises(RankTableError, match="two rings"):
        make_table([mixed], product="910A")


def test_a_merge_does_not_depend_on_the_order_of_its_parts() -> None:
    tables = [make_table([machine(index)]) for index in (10, 9, 100)]
    results = {to_json(merge_tables(order)) for order in permutations(tables)}
    assert len(results) == 1
    merged = parse(results.pop().encode())
    assert [server.server_id for server in merged.by_rank] == [
        "10.0.0.9",
        "10.0.0.10",
        "10.0.0.100",
    ]
    assert merged.world_size == 6


def test_numbers_in_names_count_as_numbers() -> None:
    tables = [make_table([replace(machine(i), server_id=f"node_{i}")]) for i in (10, 2, 1)]
    merged = merge_tables(tables)
    assert [server.server_id for server in merged.by_rank] == ["node_1", "node_2", "node_10"]


def test_old_tables_merge_with_new_ones() -> None:
    old = table_of(Shape("lab", servers=1, devices=2))
    assert merge_tables([make_table([machine(1)]), old]).world_size == 4


def test_super_pods_merge_by_their_id() -> None:
    def part(index: int, pod: str) -> RankTable:
        sdid = {0: index * 10, 1: index * 10 + 1}
        return make_table([machine(index, super_pod_id=pod, super_device_ids=sdid)])

    parts = [part(4, "0"), part(3, "1"), part(2, "1"), part(1, "0")]
    merged = merge_tables(parts)
    assert [server.server_id[-1] for server in merged.by_rank] == ["1", "4", "2", "3"]
    assert [pod.super_pod_id for pod in merged.super_pods] == ["0", "1"]


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ([], "no table is given"),
        ([make_table([machine(1)])] * 2, "more than one table has the server '10.0.0.1'"),
        ([make_table([machine(1)]), table_of(Shape("1.2"))], "versions 1.0 and 1.2 do not mix"),
        ([make_table([replace(machine(1), server_id=n)]) for n in "ab"], "is already at"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tables: list[RankTable], words: str) -> None:
    with pytest.raises(RankTableError, match=words):
        merge_tables(tables)


def test_a_table_is_shown_line_by_line() -> None:
    assert show(make_table([machine(9), machine(10)])) == (
        "form 1.0: 2 servers, 4 ranks\n"
        "rank  node  server     device  address       more\n"
        "0     0     10.0.0.9   0       192.168.9.1\n"
        "1     0     10.0.0.9   1       192.168.9.2\n"
        "2     1     10.0.0.10  0       192.168.10.1\n"
        "3     1     10.0.0.10  1       192.168.10.2\n"
    )


@given(shapes(small=True))
@settings(max_examples=40, deadline=None)
def test_any_table_can_be_shown(shape: Shape) -> None:
    lines = show(table_of(shape)).splitlines()
    ranks = [line for line in lines if line.split()[0].isdigit()]
    assert len(ranks) == shape.servers * shape.devices
