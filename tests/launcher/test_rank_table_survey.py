"""What a rank table says of this machine, and where each answer comes from."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_host import FakeHost

from launcher.errors import UsageError
from launcher.host.access import HostAccess
from launcher.rank_table.survey import Wish, survey

DIE = (
    "| 0     Ascend910 | OK            | 181.0 36    0    / 0     |\n"
    "| {0}   {0}       | 0000:9D:00.{0} | 0   0 / 0 3402 / 65536 |\n+---+\n"
)
A3 = (
    "| NPU   Name | Health | Power(W) |\n| Chip  Phy-ID | Bus-Id | HBM-Usage(MB) |\n+=+\n"
    + DIE.format(0)
    + DIE.format(1)
)


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    made = FakeHost(tmp_path / "host").devices(2)
    made.file("proc/sys/kernel/hostname", "n7\n")
    return made.file("etc/hccn.conf", "address_0=10.0.0.1\naddress_1=10.0.0.2\n")


def ask(host: FakeHost, **wish: object):
    return survey(HostAccess(host.root), Wish(**wish))  # type: ignore[arg-type]


def test_the_adapter_is_believed_before_the_file_and_the_user_before_both(host: FakeHost) -> None:
    assert ask(host).machine.addresses == {0: "10.0.0.1", 1: "10.0.0.2"}
    host.tool("hccn_tool", {"-i 0 -ip -g": "ipaddr:10.9.0.1\nnetmask:255.255.0.0\n"})
    assert ask(host).machine.addresses == {0: "10.9.0.1", 1: "10.0.0.2"}
    assert ask(host, addresses={0: "10.8.0.1"}).machine.addresses[0] == "10.8.0.1"


def test_a_file_that_the_user_names_is_believed_before_the_adapter(
    host: FakeHost, tmp_path: Path
) -> None:
    host.tool("hccn_tool", {"-i 0 -ip -g": "ipaddr:10.9.0.1\n"})
    conf = tmp_path / "other.conf"
    conf.write_text("address_0=10.7.0.1\naddress_1=10.7.0.2\n")
    found = ask(host, hccn_conf=conf, addresses={1: "10.6.0.2"})
    assert found.machine.addresses == {0: "10.7.0.1", 1: "10.6.0.2"}


def test_what_is_not_known_is_said(host: FakeHost) -> None:
    (host.root / "etc/hccn.conf").unlink()
    found = ask(host)
    assert (found.machine.server_id, found.machine.device_ids) == ("n7", (0, 1))
    assert found.notes == ("no address is known of device 0, 1",)


def test_every_die_must_tell_its_place_in_the_super_pod(host: FakeHost) -> None:
    place = "SDID : {}\nSuper Pod ID : 4\n"
    answers = {f"info -t spod-info -i 0 -c {n}": place.format(70 + n) for n in (0, 1)}
    host.tool("npu-smi", {"info": A3, **answers})
    found = ask(host)
    assert (found.product, found.machine.super_pod_id) == ("A3", "4")
    assert found.machine.super_device_ids == {0: 70, 1: 71}
    host.tool("npu-smi", {"info -t spod-info -i 0 -c 1": "SDID : -\nSuper Pod ID : 4\n"})
    silent = ask(host)
    assert (silent.machine.super_pod_id, silent.machine.super_device_ids) == ("", {})
    assert "the table is of version 1.0" in silent.notes[0]


def test_a_node_without_npus_needs_the_users_words(tmp_path: Path) -> None:
    host = FakeHost(tmp_path / "none").devices(0)
    with pytest.raises(UsageError, match="no NPU is visible on this node"):
        ask(host)
    assert ask(host, device_ids=(3,)).machine.device_ids == (3,)
