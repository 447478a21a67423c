"""This launcher's place among those of its job, and the layout that follows from it."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.environments.choose import choose_place
from launcher.environments.place import MEETING_PORT, Place
from launcher.errors import UsageError
from launcher.host.node import Host
from launcher.options import LaunchSpec
from launcher.planning.devices import Devices, choose_devices
from launcher.planning.layout import Layout, over_nodes


def place_of(spec: LaunchSpec, layout: Layout | None, host: Host) -> Place:
    """Return this launcher's place: by a file where there is one, else by options or environment.

    Raises:
        UsageError: they contradict each other, or something is missing.
    """
    if layout is None:
        place = choose_place(spec, host.environ)
        return place._replace(master_addr=_reachable(place, host)) if place.nnodes > 1 else place
    for name, value in (("--nnodes", spec.nnodes), ("--master-addr", spec.master_addr)):
        if value is not None:
            raise UsageError(f"{name} and {layout.source} both say which nodes there are: give one")
    node_rank = layout.node_rank(spec.node_rank, host.addresses)
    return Place(
        nnodes=layout.nnodes,
        node_rank=node_rank,
        master_addr=layout.nodes[0].address,
        master_port=spec.master_port or layout.master_port or MEETING_PORT,
        name=layout.nodes[node_rank].name,
        names=tuple(node.name for node in layout.nodes),
        workers=tuple(len(node.ranks) for node in layout.nodes),
        sources=(f"nodes: node {node_rank} of {layout.nnodes} ({layout.source})",),
    )


def _reachable(place: Place, host: Host) -> str:
    if not place.job.startswith("slurm-"):
        return place.master_addr
    from launcher.environments.slurm_address import address_of
    from launcher.host.access import HostAccess

    return address_of(place.master_addr, HostAccess.of(host.environ))


def layout_for_show(spec: LaunchSpec, place: Place, host: Host) -> Layout:
    """Return a layout without having met anybody: every node is taken to be like this one."""
    devices = devices_of(spec, place, host)
    counts = place.workers or (devices.nproc,) * place.nnodes
    return layout_of(place, devices, counts)


def devices_of(spec: LaunchSpec, place: Place, host: Host) -> Devices:
    """Return what this node uses; where the environment says how many workers, those."""
    if place.workers and spec.nproc is None and spec.devices is None:
        spec = spec._replace(nproc=place.workers[place.node_rank])
    return choose_devices(spec, npus=host.npus, environ=host.environ)


def layout_of(place: Place, devices: Devices, counts: Sequence[int]) -> Layout:
    """Return which node runs what.

    Args:
        devices: of this node.
        counts: workers of each node.
    """
    source = place.sources[0].removeprefix("nodes: ")
    return over_nodes(devices, counts, node_rank=place.node_rank, names=place.names, source=source)
