"""Which node is which, from options, cluster files and rank tables alike."""

from __future__ import annotations

import json

import pytest
from rank_tables import Document, Shape, document

from launcher.cluster.model import Cluster, Node
from launcher.errors import UsageError
from launcher.planning.devices import Devices
from launcher.planning.layout import Layout, NodeLayout, alone, from_cluster, from_table
from launcher.rank_table.lint import parse


def read(table: Document) -> Layout:
    text = json.dumps(table)
    return from_table(parse(text.encode()), "--rank-table t.json", text)


TABLE = read(document(Shape(servers=3, devices=2, named_by_address=True, extras=True)))


@pytest.mark.parametrize("own", ["10.1.0.2", "10.244.0.2", "172.16.0.2"])
def test_a_node_is_found_by_any_of_its_addresses(own: str) -> None:
    node = TABLE.nodes[TABLE.node_rank(None, ["127.0.0.1", own])]
    assert node.name == "10.1.0.2"
    assert (node.ranks, node.device_ids) == ((2, 3), (0, 1))


def test_a_node_is_found_by_its_host_name() -> None:
    assert read(document(Shape(servers=2))).node_rank(None, ["10.0.0.7", "node_1"]) == 1


def test_an_ipv6_address_is_found_in_any_spelling() -> None:
    table = document(Shape(servers=2))
    table["server_list"][1]["server_id"] = "FD00:0:0::0007"
    assert read(table).node_rank(None, ["fd00::7"]) == 1


def test_node_rank_counts_servers_by_their_ranks() -> None:
    table = document(Shape(servers=3, devices=2))
    table["server_list"].reverse()
    layout = read(table)
    assert [node.name for node in layout.nodes] == ["node_0", "node_1", "node_2"]
    assert layout.node_rank(2, ["node_0"]) == 2


def test_the_only_node_is_this_node() -> None:
    assert read(document(Shape(servers=1))).node_rank(None, []) == 0
    layout = alone(Devices("Ascend", 2, (3, 5)), "here")
    assert layout.nodes == (NodeLayout("here", (0, 1), (3, 5)),)


def test_no_match_names_the_nodes_and_the_option() -> None:
    with pytest.raises(UsageError) as caught:
        TABLE.node_rank(None, ["192.0.2.1"])
    message = str(caught.value)
    assert message.startswith("no node of --rank-table t.json match")
    assert "--node-rank" in message
    assert "  1: 10.1.0.2 (10.244.0.2, 172.16.0.2), ranks 2,3" in message


def test_several_matches_are_refused() -> None:
    with pytest.raises(UsageError, match="several nodes"):
        TABLE.node_rank(None, ["10.1.0.1", "172.16.0.2"])


def test_a_node_rank_beyond_the_layout_is_refused() -> None:
    with pytest.raises(UsageError, match="has the nodes 0 to 2"):
        TABLE.node_rank(3, [])


def test_ranks_of_a_cluster_file_are_counted_node_by_node() -> None:
    nodes = (
        Node("a", "10.0.0.1", 2, (0, 1), interface="eth0", environment={"X": "1"}),
        Node("b", "10.0.0.2", 3, (1, 4, 5)),
    )
    layout = from_cluster(Cluster("Ascend", nodes), "--cluster c.yaml")
    assert [node.ranks for node in layout.nodes] == [(0, 1), (2, 3, 4)]
    assert layout.world_size == 5
    assert layout.nodes[0].environment == {"X": "1", "HCCL_SOCKET_IFNAME": "=eth0"}
    assert layout.node_rank(None, ["10.0.0.2"]) == 1


def test_many_nodes_are_not_all_listed() -> None:
    node = TABLE.nodes[0]
    many = TABLE._replace(nodes=tuple(node._replace(name=f"n{i}", aliases=()) for i in range(99)))
    with pytest.raises(UsageError, match="and 67 more"):
        many.node_rank(None, ["x"])
