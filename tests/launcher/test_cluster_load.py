"""Cluster files: what ships, what is read, and every mistake with its line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.cluster.document import MAX_BYTES
from launcher.cluster.find import SHIPPED, find_cluster
from launcher.cluster.load import load_cluster
from launcher.cluster.model import Cluster, Node
from launcher.errors import UsageError
from launcher.planning.sources import table_of

HEAD = "device_target: Ascend\ndevices: 0-1\n"
PAIR = "nodes:\n- {name: a, address: 10.0.0.1}\n- {name: b, address: 10.0.0.2}\n"


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str) -> Cluster:
        path = tmp_path / "c.yaml"
        path.write_text(text)
        return load_cluster(path)

    return load


@pytest.mark.parametrize(
    ("name", "sizes", "target"),
    [
        ("local_cpu.yaml", [2], "CPU"),
        ("one_node_8p.yaml", [8], "Ascend"),
        ("half_node_4p.yaml", [4], "Ascend"),
        ("two_nodes_16p.yaml", [8, 8], "Ascend"),
        ("a3_node_16p.yaml", [16], "Ascend"),
    ],
)
def test_every_file_that_ships_can_be_read(name: str, sizes: list[int], target: str) -> None:
    cluster = load_cluster(find_cluster(name))
    assert [node.nproc for node in cluster.nodes] == sizes
    assert cluster.device_target == target
    assert f"`{name}`" in (SHIPPED / "README.md").read_text()


def test_no_file_ships_that_is_not_tested_and_documented() -> None:
    assert len(list(SHIPPED.glob("*.yaml"))) == 5


def test_the_file_of_two_nodes_makes_a_rank_table_that_910a_takes() -> None:
    cluster = load_cluster(find_cluster("two_nodes_16p"))
    table = table_of(Cluster("Ascend", cluster.nodes, product="910A"))
    assert [server.server_id for server in table.servers] == ["node_0", "node_1"]
    assert table.world_size == 16


def test_every_key_is_read(load) -> None:
    cluster = load(
        "device_target: Ascend\nproduct: A3\nmaster_port: 9000\ndevices: 0-1\ninterface: eth0\n"
        "environment: {A: 1, B: yes}\n"
        "nodes:\n"
        "- {name: a, address: 10.0.0.1, device_addresses: [10.1.0.1, 'fd00::1'], super_pod: 0,\n"
        "   super_device_ids: {0: 7, 1: 8}}\n"
        "- {name: b, address: 'fd00::b', devices: [3], interface: bond0, environment: {B: x}}\n"
    )
    first = Node(
        "a", "10.0.0.1", 2, (0, 1), {0: "10.1.0.1", 1: "fd00::1"}, "eth0", "0", {0: 7, 1: 8},
        {"A": "1", "B": "yes"},
    )  # fmt: skip
    second = Node("b", "fd00::b", 1, (3,), interface="bond0", environment={"A": "1", "B": "x"})
    assert cluster == Cluster("Ascend", (first, second), "A3", 9000)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", "", "the file is empty"),
        ("a: [1\n", ":2", "this is no YAML"),
        ("[" * 100_000, "", "nested too deeply"),
        ("[1]\n", ":1", "the file: a list stands where"),
        ("devices: 0-1\n", ":1", "`nodes:` is missing"),
        (HEAD + "nodes: []\n", ":3", "0 nodes"),
        (HEAD + "noodes: []\n" + PAIR, ":3", "noodes: there is no such key (did you mean 'nodes'"),
        (HEAD + "devices: 0\n" + PAIR, ":3", "devices: the key stands here twice"),
        (HEAD + "nodes:\n- {name: a}\n- {name: b}\n", ":4", "`address:` is missing"),
        (HEAD + "nodes:\n- {address: 10.0.0.1}\n", ":4", "`name:` is missing"),
        (HEAD + "nodes:\n- {name: 7}\n", ":4", "name: '7' is no text: put it in quotes"),
        (HEAD + "nodes:\n- name:\n", ":4", "name: nothing is no text"),
        (HEAD + "nodes:\n- {name: a, adress: x}\n", ":4", "did you mean 'address'?"),
        (HEAD + PAIR + "- {name: a, address: 10.0.0.3}\n", ":6", "'a' is another node's already"),
        (HEAD + "nproc: 3\n" + PAIR, ":3", "nproc: 3 workers on 2 devices"),
        (HEAD + "master_port: 80\n" + PAIR, ":3", "'80' is no whole number from 1024 to 65535"),
        (HEAD + "product: 910C\n" + PAIR, ":3", "'910C' is none of 910A, A2, A3, A5"),
        ("device_target: GPU\n" + PAIR, ":1", "'GPU' is none of Ascend, CPU"),
        ("device_target: CPU\ndevices: 0\n" + PAIR, ":2", "a CPU has no devices"),
        ("devices: 1,0\n" + PAIR, ":1", "device ids must go up"),
        ("devices: 0-a\n" + PAIR, ":1", "'0-a' is neither a number nor a range"),
        (PAIR, ":2", "`devices:` is missing"),
        (HEAD + "environment: {RANK_ID: 1}\n" + PAIR, ":3", "the launcher itself sets this"),
        (HEAD + "environment: {A-B: 1}\n" + PAIR, ":3", "'A-B' is no name of an environment"),
        (HEAD + "environment: {A: [1]}\n" + PAIR, ":3", "a list stands where one value"),
        (
            HEAD
            + "nodes:\n- {name: a, address: 10.0.0.1, super_pod: x}\n"
            + "- {name: b, address: 10.0.0.2, super_pod: y}\n"
            + "- {name: c, address: 10.0.0.3, super_pod: x}\n",
            ":6",
            "nodes of super pod 'x' stand above and below others",
        ),
        (HEAD + "nodes:\n- {name: a, address: b}\n", ":4", "'b' is no IPv4 or IPv6 address"),
        (
            HEAD + "nodes:\n- {name: a, device_addresses: [10.0.0.1]}\n",
            ":4",
            "1 values for 2 devices",
        ),
        (
            HEAD + "nodes:\n- {name: a, device_addresses: {5: 10.0.0.1}}\n",
            ":4",
            "5: there is no such key; keys here: 0, 1",
        ),
        (
            HEAD + "nodes:\n- {name: a, device_addresses: {0: 10.0.0.999}}\n",
            ":4",
            "'10.0.0.999' is no IPv4 or IPv6 address",
        ),
    ],
)
def test_a_mistake_is_told_with_its_line(load, text: str, line: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text)
    assert f"c.yaml{line}: " in str(caught.value)
    assert message in str(caught.value)


def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(UsageError, match=r"c\.yaml: the file is longer than 16777216 bytes"):
        load_cluster(path)


@given(st.text(max_size=200) | st.from_regex(r"(nodes|devices|name)?[ \n:\[\]{},&*!|>-]{0,40}"))
def test_any_text_is_read_or_refused(tmp_path_factory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "c.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    with suppress(UsageError):
        load_cluster(path)


def test_a_file_that_loops_is_refused(load) -> None:
    for text in ("nodes: &a [*a]\n", "&a {nodes: *a}\n", "nodes: &a\n- {name: *a}\n"):
        with pytest.raises(UsageError):
            load(text)


def test_a_name_that_does_not_ship_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"did you mean one_node_8p\.yaml"):
        find_cluster("one_node_8.yaml")
    with pytest.raises(UsageError, match="this is a folder"):
        find_cluster(str(tmp_path))
    with pytest.raises(UsageError, match="cluster files that ship: none"):
        find_cluster("x", shipped=tmp_path)
