"""Which server of a table is this node."""

from __future__ import annotations

import json

import pytest
from rank_tables import Document, Shape, document

from launcher.errors import RankTableError
from launcher.rank_table.lint import parse
from launcher.rank_table.model import RankTable
from launcher.rank_table.node import server_of_node


def read(table: Document) -> RankTable:
    return parse(json.dumps(table).encode())


TABLE = read(document(Shape(servers=3, devices=2, named_by_address=True, extras=True)))


@pytest.mark.parametrize("own", ["10.1.0.2", "10.244.0.2", "172.16.0.2"])
def test_a_node_is_found_by_any_of_its_addresses(own: str) -> None:
    server = server_of_node(TABLE, addresses=["127.0.0.1", own])
    assert server.server_id == "10.1.0.2"
    assert [(device.rank_id, device.device_id) for device in server.by_rank] == [(2, 0), (3, 1)]


def test_a_node_is_found_by_its_host_name() -> None:
    table = read(document(Shape(servers=2)))
    assert server_of_node(table, addresses=["10.0.0.7", "node_1"]).server_id == "node_1"


def test_an_ipv6_address_is_found_in_any_spelling() -> None:
    table = document(Shape(servers=2))
    table["server_list"][1]["server_id"] = "FD00:0:0::0007"
    assert server_of_node(read(table), addresses=["fd00::7"]).first_rank == 4


def test_node_rank_counts_servers_by_their_ranks() -> None:
    table = document(Shape(servers=3, devices=2))
    table["server_list"].reverse()
    assert server_of_node(read(table), node_rank=0).server_id == "node_0"
    assert server_of_node(read(table), addresses=["node_0"], node_rank=2).server_id == "node_2"


def test_the_only_server_of_a_table_is_this_node() -> None:
    assert server_of_node(read(document(Shape(servers=1)))).server_id == "node_0"


def test_no_match_names_the_servers_and_the_option() -> None:
    with pytest.raises(RankTableError) as caught:
        server_of_node(TABLE, addresses=["192.0.2.1"])
    message = str(caught.value)
    assert message.startswith("no server of the rank table match")
    assert "--node-rank" in message
    assert "  1: 10.1.0.2 (10.244.0.2, 172.16.0.2), ranks 2 to 3" in message


def test_several_matches_are_refused() -> None:
    with pytest.raises(RankTableError, match="several servers"):
        server_of_node(TABLE, addresses=["10.1.0.1", "172.16.0.2"])


@pytest.mark.parametrize("node_rank", [-1, 3])
def test_a_node_rank_beyond_the_table_is_refused(node_rank: int) -> None:
    with pytest.raises(RankTableError, match="the table has the nodes 0 to 2"):
        server_of_node(TABLE, node_rank=node_rank)
