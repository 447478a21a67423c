"""Finds out whether this launch is one of several, and runs it with the others."""

from __future__ import annotations

from contextlib import closing

from launcher.job import LaunchResult
from launcher.launch import Launch
from launcher.places import layout_for_show, place_of
from launcher.planning.layout import Layout
from launcher.planning.ports import PortReservation
from launcher.planning.rendezvous import CLUSTER, Meeting, choose_rendezvous, master_port
from launcher.team import meet


def run_with_others(launch: Launch, layout: Layout | None) -> LaunchResult:
    """Run a launch that a file, options or the environment may make one of several.

    Raises:
        LauncherError: the job cannot be run, or the others are not there; nothing was started.
    """
    spec, host = launch.spec, launch.host
    place = place_of(spec, layout, host)
    shown = Meeting(sources=place.sources)
    if place.nnodes == 1:
        with closing(PortReservation(master_port(spec, layout))) as ports:
            return launch.run(ports, layout, meeting=shown)
    launch = launch._replace(spec=spec._replace(node_rank=place.node_rank))
    with closing(PortReservation()) as ports:
        if spec.dry_run:
            counted = layout or layout_for_show(spec, place, host)
            master = f"master: {place.master_addr}:{place.master_port}, where the launchers meet"
            shown = shown._replace(sources=(*place.sources, master))
            if layout is None:
                shown = shown._replace(
                    scheduler_host=place.master_addr, scheduler_port=place.master_port
                )
            return launch.run(ports, counted, meeting=shown)
        with meet(launch.spec, place, host, layout) as team:
            wants_port = choose_rendezvous(spec, team.layout) == CLUSTER
            meeting = team.meeting(ports.choose if wants_port else lambda: 0)
            return launch.run(ports, team.layout, team=team, meeting=meeting)
