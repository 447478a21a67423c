"""A launch from beginning to end."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from launcher.contract import RunPaths, default_run_dir
from launcher.errors import UsageError
from launcher.host.access import HostAccess
from launcher.host.node import Host
from launcher.job import Job, LaunchResult
from launcher.manifest import Manifest, read_manifest
from launcher.options import LaunchSpec
from launcher.plan import Identity, Plan, to_json
from launcher.planning.devices import CPU
from launcher.planning.layout import Layout
from launcher.planning.planner import make_plan
from launcher.planning.ports import PortReservation
from launcher.planning.rendezvous import RANK_TABLE, master_port
from launcher.planning.sources import check_product, read_layout
from launcher.resume import AUTO, NONE, goes_on, newest_run
from launcher.revision import Revision
from launcher.run_directory import RunDirectory, keeping, make_run_dir, run_name
from launcher.run_lock import RunLock
from launcher.supervision.attempts import next_attempt
from launcher.supervision.signals import Signals
from launcher.terminal.console import write

if TYPE_CHECKING:
    from launcher.planning.rendezvous import Meeting
    from launcher.recipe import CheckedRecipe
    from launcher.team import Team

_OF_OTHER_NODES = ("SLURM_JOB_ID", "OMPI_COMM_WORLD_SIZE", "MS_LOCAL_WORKER")


def run(spec: LaunchSpec, *, argv: Sequence[str] = ()) -> LaunchResult:
    """Run a job to its end: start the workers, watch them, end them, say what happened.

    Call it from the main thread: it handles signals while it lasts.

    Args:
        spec: what to run and how.
        argv: the command line, for the manifest.

    Raises:
        LauncherError: the job cannot be run; nothing was started.
    """
    spec = _with_profile(spec)
    recipe = _recipe(spec.recipe) if spec.recipe is not None else None
    layout = read_layout(spec)
    host = _observe(spec, layout)
    if layout.nnodes > 1 if layout is not None else _may_be_one_of_many(spec):
        from launcher.several import run_with_others

        return run_with_others(Launch(spec, host, recipe, argv), layout)
    with closing(PortReservation(master_port(spec, layout))) as ports:
        return Launch(spec, host, recipe, argv).run(ports, layout)


def _with_profile(spec: LaunchSpec) -> LaunchSpec:
    """Return a request whose recipe says which steps are profiled."""
    if spec.profile is None:
        return spec
    if spec.recipe is None:
        raise UsageError(
            "--profile is for recipes (--config RECIPE); a script of its own calls "
            "mindspore.profiler.profile itself"
        )
    first, last = spec.profile
    key = f"monitor.profile_steps={first}:{last}"
    return spec._replace(overrides=(*spec.overrides, key))


def _recipe(name: str) -> Path:
    from launcher.recipe import find_recipe

    return find_recipe(name)


def _may_be_one_of_many(spec: LaunchSpec) -> bool:
    """Return whether anything speaks of other nodes: only then it is looked at."""
    told = spec.nnodes is not None or spec.master_addr is not None
    return told or any(os.environ.get(name) for name in _OF_OTHER_NODES)


class Launch(NamedTuple):
    """What is started here; ``argv`` is the command line, for the manifest."""

    spec: LaunchSpec
    host: Host
    recipe: Path | None
    argv: Sequence[str]

    def run(
        self,
        ports: PortReservation,
        layout: Layout | None,
        *,
        team: Team | None = None,
        meeting: Meeting | None = None,
    ) -> LaunchResult:
        """Plan, prepare and run the part of this node.

        Args:
            layout: which node runs what; None = this node alone, by the options.
            team: the other nodes, which have met; None = this node is alone.
            meeting: what was found out of the other nodes.
        """
        spec = self.spec
        job_id = team.job_id if team else os.urandom(16).hex()

        def plan_in(folder: Path) -> Plan:
            identity = Identity(job_id, folder)
            return make_plan(spec, self.host, identity, ports=ports, layout=layout, meeting=meeting)

        folder = Path.cwd() / (spec.run_dir or _own_folder(spec))
        plan = plan_in(team.folder(folder) if team else folder)
        if spec.tensorboard and plan.node_rank == 0:
            from launcher.supervision.viewer import check_viewer

            check_viewer(spec.tensorboard_host)
        if spec.dry_run:
            shown = {**to_json(plan), **self._resolved(plan.world_size)}
            write(1, json.dumps(shown, indent=2) + "\n")
            return LaunchResult(0, plan.run_dir)
        directory = self._make_directory(plan, team)
        if directory.path != plan.run_dir:
            plan = plan_in(directory.path)
        if team is not None and meeting is not None:
            team.announce(plan, meeting)
        paths = RunPaths(plan.run_dir, plan.node_rank)
        with (
            closing(RunLock(paths)),
            Signals() as signals,
            closing(Revision()) as revision,
        ):
            first = team.first_attempt if team else next_attempt(paths)
            if team is not None and team.is_guest:
                checked = self._preflight_beside(plan, signals)
            else:
                checked = self._preflight(plan, directory, first, signals)
            manifest = Manifest(
                plan,
                self.argv or sys.orig_argv,
                time.time(),
                checked,
                revision,
                earlier=read_manifest(paths.manifest) if first else {},
            )
            manifest.write_start()
            is_writer = team is None or not team.is_guest
            if plan.rendezvous == RANK_TABLE and layout and layout.rank_table and is_writer:
                from launcher.rank_table.write import write_text

                write_text(layout.rank_table, manifest.paths.rank_table)
            return Job(spec, plan, manifest, signals, first, team).run(ports)

    def _resolved(self, world_size: int) -> dict[str, object]:
        """Return the recipe as it would be run, for a dry run; nothing is written or fetched."""
        if self.recipe is None:
            return {}
        from launcher.recipe import check_recipe

        with Signals() as signals:
            found = check_recipe(
                self.recipe,
                self.spec.overrides,
                world_size=world_size,
                output=None,
                signals=signals,
            )
        return {"recipe": found.recipe, "batch_size_per_rank": found.batch_size_per_rank}

    def _make_directory(self, plan: Plan, team: Team | None) -> RunDirectory:
        if team is not None and team.shares(plan.run_dir):
            return RunDirectory(plan.run_dir, ())
        resume = self.spec.resume
        is_exact = self.spec.run_dir is not None or (team is not None and not team.is_head)
        is_exact = is_exact or (resume == AUTO and plan.run_dir.is_dir())
        return make_run_dir(plan.run_dir, exact=is_exact, goes_on=goes_on(resume, plan.run_dir))

    def _preflight(
        self, plan: Plan, directory: RunDirectory, first_attempt: int, signals: Signals
    ) -> CheckedRecipe | None:
        """Check the recipe, if there is one; a run directory without a run is taken away again."""
        config = RunPaths(directory.path).config
        try:
            with keeping(config, f"config_before_attempt_{first_attempt}.yaml"):
                return self._check(plan, config, signals)
        except BaseException:
            directory.remove_unused()
            raise

    def _preflight_beside(self, plan: Plan, signals: Signals) -> CheckedRecipe | None:
        """Check the recipe on this node, where node 0 writes the run directory that both have."""
        own = RunPaths(plan.run_dir).config.with_name(f"config_node_{plan.node_rank}.yaml")
        try:
            return self._check(plan, own, signals)
        finally:
            own.unlink(missing_ok=True)

    def _check(self, plan: Plan, output: Path, signals: Signals) -> CheckedRecipe | None:
        if self.recipe is None:
            return None
        from launcher.recipe import check_recipe

        return check_recipe(
            self.recipe,
            self.spec.overrides,
            world_size=plan.world_size,
            output=output,
            signals=signals,
            resume=NONE if plan.node_rank else self.spec.resume,
        )


def _own_folder(spec: LaunchSpec) -> Path:
    """Return the folder of a run that was given none: with --resume auto an earlier run's."""
    folder = default_run_dir(run_name(spec), time.localtime())
    job = os.environ.get("SLURM_JOB_ID")
    if job:
        folder = folder.with_name(f"slurm-{job}")
    if spec.resume == AUTO and not folder.is_dir():
        return newest_run(folder.parent) or folder
    return folder


def _observe(spec: LaunchSpec, layout: Layout | None) -> Host:
    """Return what this node has, and check a rank table by the rules of its NPUs."""
    target = layout.target if layout is not None else spec.device_target
    host = Host.observe(
        HostAccess.of(os.environ),
        with_npus=target != CPU,
        with_addresses=layout is not None and spec.node_rank is None,
    )
    if layout is not None:
        check_product(layout, host.npus.product)
    return host
