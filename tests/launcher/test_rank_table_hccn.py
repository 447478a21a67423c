"""Addresses of devices in hccn.conf and in the output of hccn_tool."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.rank_table.hccn import parse_hccn_conf, parse_ip_collection, parse_ip_output


def sample(shared: Path, number: str) -> str:
    found = sorted((shared / "samples" / "hccn").glob(f"{number}_*"))
    if not found:
        pytest.skip(f"no hccn sample {number}")
    return found[0].read_text(encoding="utf-8")


def test_a_conf_gives_every_address(shared: Path) -> None:
    found = parse_hccn_conf(sample(shared, "02"))
    assert sorted(found.addresses) == list(range(8))
    assert found.addresses[7] == "127.0.0.223"
    assert found.findings == ()


def test_a_conf_that_is_cut_off_gives_what_is_there(shared: Path) -> None:
    assert sorted(parse_hccn_conf(sample(shared, "01")).addresses) == [0, 1, 2, 3]


def test_a_conf_with_odd_lines_says_which() -> None:
    text = (
        "\n# x\narp_0=eth0 10.0.0.1 aa:bb\naddress_12 = fd00::12\naddress_1=\naddress_2=10.0.*.1\n"
    )
    found = parse_hccn_conf(text + "address_12=fd00::13\nIPv6address_3=fd00::3\n")
    assert found.addresses == {12: "fd00::12"}
    assert [finding.split(":")[0] for finding in found.findings] == ["line 5", "line 6", "line 7"]


def test_a_collection_gives_every_address(shared: Path) -> None:
    found = parse_ip_collection(sample(shared, "04"))
    assert len(found.addresses) == 8
    assert found.addresses[0] == "192.1.45.172"
    assert found.addresses[7] == "192.4.32.120"


def test_other_calls_in_a_collection_are_passed_over(shared: Path) -> None:
    found = parse_ip_collection(sample(shared, "06"))
    assert found.addresses[0] == "10.10.0.10"
    assert len(found.addresses) + len(found.findings) == 8


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ipaddr:192.1.45.172\nnetmask:255.255.0.0\n", "192.1.45.172"),
        ("ipaddr:fd00::1:2\nnetmask:ffff::\n", "fd00::1:2"),
        ("", None),
        ("netmask:255.255.0.0\n", None),
        ("ipaddr:10.xx.xx.10\n", None),
        ("[ERROR] device 2 does not exist\n", None),
    ],
)
def test_the_output_of_one_call(text: str, address: str | None) -> None:
    assert parse_ip_output(text) == address


def test_an_empty_answer_is_no_address(shared: Path) -> None:
    assert parse_ip_output(sample(shared, "10")) is None
