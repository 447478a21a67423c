"""What a rank table says of this machine, as its device files, npu-smi and hccn_tool tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launcher.errors import UsageError
from launcher.host.access import HostAccess
from launcher.host.addresses import host_name
from launcher.host.npu_queries import parse_fields
from launcher.host.npus import Npus, look_at_npus
from launcher.rank_table.hccn import parse_hccn_conf, parse_ip_output
from launcher.rank_table.make import Machine

HCCN_CONF = "/etc/hccn.conf"


@dataclass(frozen=True)
class Wish:
    """What the user says; everything else is looked up.

    ``addresses`` win over ``hccn_conf``, which wins over the machine's own answers.
    """

    device_ids: tuple[int, ...] = ()
    server_id: str = ""
    addresses: Mapping[int, str] = field(default_factory=dict)
    hccn_conf: Path | None = None
    product: str | None = None


@dataclass(frozen=True)
class Survey:
    """This machine, the product whose rules hold, and what a user should know."""

    machine: Machine
    product: str | None
    notes: tuple[str, ...] = ()


def survey(access: HostAccess, wish: Wish) -> Survey:
    """Return this machine for a rank table.

    Raises:
        UsageError: no device is named, and none is here; or a file cannot be read.
    """
    npus = look_at_npus(access)
    device_ids = wish.device_ids or npus.present
    if not device_ids:
        raise UsageError(
            "no NPU is visible on this node (/dev/davinci*): run it where they are, or name them "
            "with --devices and --address"
        )
    found = _addresses(access, wish, device_ids)
    pod, sdids, notes = _super_pod(access, npus, device_ids)
    machine = Machine(
        wish.server_id or host_name(access),
        device_ids,
        {number: found[number] for number in device_ids if number in found},
        sdids,
        pod,
    )
    missing = [str(number) for number in device_ids if number not in found]
    if missing:
        notes = (*notes, f"no address is known of device {', '.join(missing)}")
    return Survey(machine, wish.product or npus.product, notes)


def _addresses(access: HostAccess, wish: Wish, device_ids: Sequence[int]) -> dict[int, str]:
    if wish.hccn_conf is not None:
        try:
            text = wish.hccn_conf.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            where = f"--hccn-conf {wish.hccn_conf}"
            raise UsageError(f"{where} cannot be read: {error.strerror}") from None
        return parse_hccn_conf(text).addresses | dict(wish.addresses)
    asked = [number for number in device_ids if number not in wish.addresses]
    found = parse_hccn_conf(access.read(HCCN_CONF) or "").addresses
    if access.find("hccn_tool") is not None:
        answers = access.ask_all("hccn_tool", [("-i", str(n), "-ip", "-g") for n in asked])
        for number, answer in zip(asked, answers, strict=True):
            # The adapter's own address is what HCCL compares a table with (EI0014).
            if address := parse_ip_output(answer.text):
                found[number] = address
    return found | dict(wish.addresses)


def _super_pod(
    access: HostAccess, npus: Npus, device_ids: Sequence[int]
) -> tuple[str, dict[int, int], tuple[str, ...]]:
    """Return super pod, SDIDs and notes; nothing where not every die of an A3 tells its own."""
    dies = [npu for npu in npus.info.npus if npu.device_id in set(device_ids)]
    if npus.product != "A3" or len(dies) != len(device_ids):
        return "", {}, ()
    calls = [
        ("info", "-t", "spod-info", "-i", str(die.npu_id), "-c", str(die.chip_id)) for die in dies
    ]
    pods, sdids = set(), {}
    for die, answer in zip(dies, access.ask_all("npu-smi", calls), strict=True):
        fields = parse_fields(answer.text)
        pods.add(fields.get("Super Pod ID", ""))
        if fields.get("SDID", "").isdecimal():
            sdids[die.device_id] = int(fields["SDID"])
    if len(pods) == 1 and "" not in pods and len(sdids) == len(dies):
        return pods.pop(), sdids, ()
    note = "npu-smi does not tell every die's place in a super pod: the table is of version 1.0"
    return "", {}, (note,)
