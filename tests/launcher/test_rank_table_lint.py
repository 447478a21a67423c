"""Every fault is named by its rule, no valid table is refused, no input is an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rank_table_faults import CATALOGUE
from rank_tables import FORMS, Document, Shape, document, shapes

from launcher.errors import RankTableError
from launcher.rank_table.lint import load, parse, read_file, read_table
from launcher.rank_table.problem import RULES, Problem

PLACES = ((0, 0), (1, 2), (3, 3))
BASE = {form: document(Shape(form, servers=4, devices=4, per_pod=2)) for form in FORMS}

VERDICTS = {
    "01": None, "03": None, "04": None, "06": None, "07": None, "08": None, "10": None, "11": None,
    "12": "address-placeholder", "14": None, "15": "inference-table", "17": "address-missing",
    "18": "server-id-repeated", "19": "json-comment", "20": "json-invalid", "21": "type-integer",
    "23": "address-placeholder", "25": "address-placeholder", "26": "status-value",
    "29": "json-invalid",
}  # fmt: skip
"""Of each published table (by its number): None = valid, else the rule that refuses it."""


def lint(table: Any, **more: Any) -> tuple[Problem, ...]:
    data = table if isinstance(table, bytes) else json.dumps(table).encode()
    return read_table(data, **more).problems


def bad(problems: tuple[Problem, ...]) -> list[str]:
    return [problem.rule for problem in problems if problem.severity == "bad"]


def notes(problems: tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(one.rule, one.product) for one in problems if one.severity == "note"]


def single_faults() -> dict[str, tuple[Document, str]]:
    found: dict[str, tuple[Document, str]] = {}
    seen = set()
    for fault in CATALOGUE:
        for form in fault.forms:
            for place in PLACES:
                broken = fault.put_into(BASE[form], *place)
                text = json.dumps(broken)
                if text not in seen:
                    seen.add(text)
                    found[f"{form}: {fault.name} at {place}"] = (broken, fault.rule)
    return found


FAULTS = single_faults()


def test_the_catalogue_has_over_200_different_faults() -> None:
    assert len(FAULTS) >= 200
    assert len({rule for _, rule in FAULTS.values()}) >= 35


@pytest.mark.parametrize("name", FAULTS)
def test_a_single_fault_is_named_by_its_rule(name: str) -> None:
    broken, rule = FAULTS[name]
    reading = read_table(json.dumps(broken).encode())
    assert reading.table is None
    assert rule in bad(reading.problems)
    assert all(
        problem.path.startswith("$") and problem.rule in RULES for problem in reading.problems
    )


@given(data=st.data(), shape=shapes(small=True))
@settings(max_examples=150, deadline=None)
def test_a_fault_anywhere_in_any_table_is_found(data: st.DataObject, shape: Shape) -> None:
    # Some faults need company: a second device, a second server, a second super pod.
    enough = shape.devices > 1 and shape.servers > 1 and shape.servers > shape.per_pod
    if not enough:
        shape = Shape(shape.form, 4, 4, shape.ipv6, 2, shape.named_by_address, shape.extras)
    fault = data.draw(st.sampled_from([one for one in CATALOGUE if shape.form in one.forms]))
    server = data.draw(st.integers(0, shape.servers - 1))
    device = data.draw(st.integers(0, shape.devices - 1))
    broken = fault.put_into(document(shape), server, device)
    assert fault.rule in bad(lint(broken)), fault.name


@given(shape=shapes())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_valid_table_is_refused(shape: Shape) -> None:
    reading = read_table(json.dumps(document(shape)).encode())
    assert bad(reading.problems) == []
    assert reading.table is not None
    assert reading.table.form == shape.form
    assert reading.table.world_size == shape.servers * shape.devices
    assert [device.rank_id for _, device in reading.table.ranks()] == list(
        range(shape.servers * shape.devices)
    )
    assert len(reading.table.servers) == shape.servers


@pytest.mark.parametrize("number", VERDICTS)
def test_a_published_table_gets_its_verdict(number: str, shared: Path) -> None:
    found = sorted((shared / "samples" / "ranktables").glob(f"{number}_*"))
    if not found:
        pytest.skip(f"no published table {number}")
    reading = read_table(found[0].read_bytes())
    if VERDICTS[number] is None:
        assert bad(reading.problems) == []
        assert reading.table is not None
    else:
        assert VERDICTS[number] in bad(reading.problems)
        assert reading.table is None


def test_every_published_table_has_a_verdict_here(shared: Path) -> None:
    found = sorted((shared / "samples" / "ranktables").glob("*.json*"))
    assert {path.name[:2] for path in found} <= VERDICTS.keys()


def test_a_commented_table_is_read_past_its_comments(shared: Path) -> None:
    found = sorted((shared / "samples" / "ranktables").glob("19_*"))
    if not found:
        pytest.skip("no published table 19")
    problems = lint(found[0].read_bytes())
    assert bad(problems) == ["json-comment"]
    assert "line 2 column 29" in problems[0].message


def test_two_faults_are_both_reported_with_their_paths() -> None:
    table = document(Shape(servers=2, devices=4))
    table["server_list"][1]["device"][3]["rank_id"] = "0"
    table["server_list"][0]["device"][1]["device_ip"] = "10.*.*.*"
    found = {(one.path, one.rule) for one in lint(table) if one.severity == "bad"}
    assert found == {
        ("$.server_list[1].device[3].rank_id", "rank-repeated"),
        ("$.server_list[0].device[1].device_ip", "address-placeholder"),
    }


def test_a_problem_says_where_what_and_the_code_of_hccl() -> None:
    table = document(Shape(servers=1))
    table["server_list"][0]["device"][2]["rank_id"] = "9"
    (problem,) = [one for one in lint(table) if one.severity == "bad"]
    assert problem.hccl_code == "EI0014"
    assert str(problem) == (
        "bad: $.server_list[0].device[2].rank_id: rank 9 leaves a gap: 4 devices have the ranks "
        "0 to 3, each once; missing: 2 [rank-not-contiguous, EI0014]"
    )


def ids(table: Document, numbers: list[str]) -> Document:
    for row, number in zip(table["server_list"][0]["device"], numbers, strict=True):
        row["device_id"] = number
    return table


def test_910a_keeps_a_job_of_4_in_one_ring() -> None:
    table = ids(document(Shape(servers=1)), ["2", "3", "4", "5"])
    assert bad(lint(table, product="910A")) == ["device-ring"]
    assert bad(lint(table, product="A2")) == []
    assert ("device-ring", "910A") in notes(lint(table))
    assert bad(lint(ids(table, ["4", "5", "6", "7"]), product="910A")) == []


def test_910a_takes_1_2_4_or_8_devices() -> None:
    table = document(Shape(servers=1, devices=3))
    assert bad(lint(table, product="910A")) == ["devices-per-server"]
    assert bad(lint(table, product="A2")) == []
    assert ("devices-per-server", "910A") in notes(lint(table))


def test_unequal_servers_pass_on_a2_alone() -> None:
    table = document(Shape(servers=2, devices=2))
    del table["server_list"][1]["device"][1]
    assert bad(lint(table, product="910A")) == ["devices-unequal"]
    assert bad(lint(table, product="A3")) == ["devices-unequal"]
    assert bad(lint(table, product="A2")) == []
    assert bad(lint(table)) == []


def test_device_ids_end_where_the_product_does() -> None:
    table = ids(document(Shape(servers=1, devices=1)), ["8"])
    assert bad(lint(table, product="910A")) == ["device-id-range"]
    assert bad(lint(table, product="A2")) == []
    assert bad(lint(ids(table, ["16"]), product="A3")) == ["device-id-range"]


def test_one_server_needs_no_addresses_but_on_910a() -> None:
    table = document(Shape(servers=1, devices=1))
    del table["server_list"][0]["device"][0]["device_ip"]
    assert bad(lint(table)) == []
    assert bad(lint(table, product="A2")) == []
    assert bad(lint(table, product="910A")) == ["address-missing"]


def test_one_super_pod_needs_no_addresses() -> None:
    table = document(Shape("1.2", servers=2, devices=2, per_pod=2))
    for server in table["server_list"]:
        for row in server["device"]:
            del row["device_ip"]
    assert bad(lint(table)) == []


def test_a5_and_the_others_do_not_share_a_form() -> None:
    assert bad(lint(BASE["2.0"], product="A2")) == ["version-product"]
    assert bad(lint(BASE["1.0"], product="A5")) == ["version-product"]
    assert bad(lint(BASE["2.0"], product="A5")) == []


def test_one_rank_may_use_an_address_on_two_planes() -> None:
    table = document(Shape("2.0", servers=1, devices=2))
    level = table["rank_list"][0]["level_list"][0]
    level["rank_addr_list"].append({**level["rank_addr_list"][0], "ports": ["1/1"]})
    table["rank_list"][1]["level_list"][1]["rank_addr_list"] = []
    problems = lint(table)
    assert bad(problems) == []
    assert ("list-empty", "") in notes(problems)


def test_keys_that_nobody_reads_are_noted_once() -> None:
    table = document(Shape(servers=2, devices=2, extras=True))
    table["IsMindIEEPJob"] = "false"
    for server in table["server_list"]:
        for row in server["device"]:
            row["dpu_ip"] = "8.2.17.60"
    problems = lint(table)
    assert bad(problems) == []
    unknown = [one.path for one in problems if one.rule == "key-unknown"]
    assert unknown == ["$.IsMindIEEPJob", "$.server_list[0].device[0].dpu_ip"]


def test_servers_and_devices_may_stand_in_any_order() -> None:
    table = document(Shape(servers=2, devices=3))
    table["server_list"].reverse()
    table["server_list"][0]["device"].reverse()
    reading = read_table(json.dumps(table).encode())
    assert bad(reading.problems) == []
    assert reading.table is not None
    assert [server.server_id for server in reading.table.by_rank] == ["node_0", "node_1"]


def test_servers_out_of_the_order_of_their_names_are_noted() -> None:
    table = document(Shape(servers=2, devices=1))
    names = [server["server_id"] for server in table["server_list"]]
    for server, name in zip(table["server_list"], reversed(names), strict=True):
        server["server_id"] = name
    assert [rule for rule, product in notes(lint(table)) if not product] == ["server-order"]


def test_a_cloud_table_counts_its_ranks_by_server_and_device() -> None:
    table = document(Shape("cloud", servers=2, devices=2))
    table["group_list"][0]["instance_list"].reverse()
    reading = read_table(json.dumps(table).encode())
    assert reading.table is not None
    found = [(s.server_id, d.device_id, d.rank_id) for s, d in reading.table.ranks()]
    assert found == [("node_0", 0, 0), ("node_0", 1, 1), ("node_1", 0, 2), ("node_1", 1, 3)]


def test_ranks_of_one_rack_are_split_where_device_ids_begin_anew() -> None:
    table = document(Shape("2.0", servers=1, devices=4))
    for row in table["rank_list"]:
        row["device_id"] %= 2
    reading = read_table(json.dumps(table).encode())
    assert reading.table is not None
    assert [server.server_id for server in reading.table.servers] == ["rack-0", "rack-0#1"]


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"", "json-invalid"),
        (b"  \n", "json-invalid"),
        (b"[]", "not-a-table"),
        (b"null", "not-a-table"),
        (b'"completed"', "not-a-table"),
        (b"{}", "not-a-table"),
        (b'{"a": 1}', "not-a-table"),
        (b'{"status": "completed", "server_list": NaN}', "json-invalid"),
        (b'{"status": "completed", "version": 1e999}', "type-string"),
        (b'{"version": "1.0", "server_count": ' + b"9" * 500_000 + b"}", "type-string"),
        (b"[" * 200_000, "json-depth"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "json-depth"),
        (b"\xff\xfe{\x00}\x00", "json-encoding"),
        (b'{"status": "compl\xe9t\xe9"}', "json-encoding"),
        (b'{"status": "a", "status": "completed", "version": "1.0"}', "key-repeated"),
        (b'{"status": "completed",}', "json-invalid"),
        (b"{'status': 'completed'}", "json-invalid"),
        (b'{"status": "initializing"} {"status": "completed"}', "json-invalid"),
        (b'{"prefill_device_list": []}', "inference-table"),
        (b'{"status": "completed", "group_list": null, "group_count": ""}', "key-missing"),
        (b'{"version": "1.0", "group_list": [], "status": "completed"}', "key-missing"),
        (b'/* "' + b"/*" * 100_000, "json-invalid"),
        (b'"\\' * 250_000, "json-invalid"),
    ],
)
def test_what_is_no_table_is_named(data: bytes, rule: str) -> None:
    assert rule in bad(lint(data))
    with pytest.raises(RankTableError):
        parse(data)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert bad(lint(b"\xef\xbb\xbf" + json.dumps(BASE["1.0"]).encode())) == []


def test_an_error_names_line_and_column() -> None:
    assert "line 2 column 3" in lint(b'{"status": 1,\n  oops}')[0].message


@given(st.binary(max_size=2000))
@settings(max_examples=200, deadline=None)
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    reading = read_table(data)
    assert (reading.table is None) == bool(bad(reading.problems))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(data=st.data(), form=st.sampled_from(FORMS), value=JSON_VALUES)
@settings(max_examples=300, deadline=None)
def test_any_value_in_any_place_gives_a_model_or_problems(
    data: st.DataObject, form: str, value: Any
) -> None:
    table = document(Shape(form, servers=2, devices=2, per_pod=1))
    here: Any = table
    while True:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        inner = here[key]
        if not isinstance(inner, dict | list) or not inner or data.draw(st.integers(0, 4)) == 0:
            here[key] = value
            break
        here = inner
    reading = read_table(json.dumps(table).encode("utf-8", "surrogatepass"))
    assert (reading.table is None) == bool(bad(reading.problems))


@given(data=st.data(), form=st.sampled_from(FORMS))
@settings(max_examples=200, deadline=None)
def test_the_beginning_of_a_table_is_known_as_unfinished(data: st.DataObject, form: str) -> None:
    indent = data.draw(st.sampled_from([None, 4]))
    table = document(Shape(form, servers=1, devices=2))
    table["note"] = 'tab\t "quoted" \u6587 \\ back'
    table["numbers"] = [1.5e-30, -7, True, False, None]
    content = json.dumps(table, indent=indent, ensure_ascii=data.draw(st.booleans())).encode()
    cut = data.draw(st.integers(0, len(content) - 1))
    reading = read_table(content[:cut])
    assert reading.table is None
    assert reading.waiting


@pytest.mark.parametrize("data", [b"Fake rank table file", b'{"status" "completed"}', b"{} {}"])
def test_what_can_become_no_table_is_not_waited_for(data: bytes) -> None:
    assert not read_table(data).waiting


@pytest.mark.parametrize("form", FORMS)
def test_ten_thousand_ranks_are_read_whole(form: str) -> None:
    shape = Shape(form, servers=1250, devices=8, per_pod=10)
    table = read_table(json.dumps(document(shape)).encode()).table
    assert table is not None
    assert table.world_size == 10_000


def test_ten_thousand_equal_ranks_are_all_reported() -> None:
    table = document(Shape(servers=1250, devices=8))
    for server in table["server_list"]:
        for row in server["device"]:
            row["rank_id"] = "0"
    assert bad(lint(table)).count("rank-repeated") == 9_999


def test_a_file_must_end_in_json(tmp_path: Path) -> None:
    path = tmp_path / "table.jsonc"
    path.write_text(json.dumps(BASE["1.0"]))
    assert bad(read_file(path).problems) == ["file-name"]
    path.rename(tmp_path / "table.json")
    assert load(tmp_path / "table.json").world_size == 16


def test_a_folder_with_json_in_its_name_is_noted(tmp_path: Path) -> None:
    folder = tmp_path / "a.json.d"
    folder.mkdir()
    (folder / "t.json").write_text(json.dumps(BASE["1.0"]))
    reading = read_file(folder / "t.json")
    assert ("file-name", "") in notes(reading.problems)
    assert reading.table is not None


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    assert bad(read_file(tmp_path / "none.json").problems) == ["file-path"]
    (tmp_path / "dir.json").mkdir()
    assert bad(read_file(tmp_path / "dir.json").problems) == ["file-path"]
    with pytest.raises(RankTableError, match=r"none\.json cannot be read: No such file"):
        load(tmp_path / "none.json")


def test_the_error_lists_all_problems_in_one_message() -> None:
    table = document(Shape(servers=2, devices=2))
    table["server_count"] = "3"
    del table["status"]
    with pytest.raises(RankTableError) as caught:
        parse(json.dumps(table).encode(), name="/x/hccl.json")
    lines = str(caught.value).splitlines()
    assert lines[0] == "/x/hccl.json: 2 problems in this rank table"
    assert len(lines) == 3
