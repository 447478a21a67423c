"""A launch from beginning to end."""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from launcher.attempts import run_attempts
from launcher.console import TerminalConsole, write
from launcher.contract import RunPaths
from launcher.diagnosis import Verdict, diagnose, worth_a_restart
from launcher.errors import UsageError
from launcher.events import EventLog
from launcher.manifest import Manifest, read_revision
from launcher.options import LaunchSpec
from launcher.outcome import AttemptOutcome
from launcher.plan import Plan, to_json
from launcher.planning import Host, Identity, default_run_dir, make_plan, policy
from launcher.ports import PortReservation
from launcher.ranges import format_ranges
from launcher.recipe import CheckedRecipe, check_recipe, find_recipe
from launcher.report import report, shown
from launcher.signals import Signals


@dataclass(frozen=True)
class LaunchResult:
    """How a launch ended; ``outcomes`` holds one value per attempt, none for a dry run."""

    exit_code: int
    run_dir: Path
    verdict: Verdict | None = None
    outcomes: Sequence[AttemptOutcome] = ()


def run(spec: LaunchSpec, *, argv: Sequence[str] = ()) -> LaunchResult:
    """Run a job to its end: start the workers, watch them, end them, say what happened.

    Call it from the main thread: it handles signals while it lasts.

    Args:
        spec: what to run and how.
        argv: the command line, for the manifest.

    Raises:
        LauncherError: the job cannot be run; nothing was started.
    """
    recipe = find_recipe(spec.recipe) if spec.recipe is not None else None
    ports = PortReservation(spec.master_port)
    try:
        wanted = spec.run_dir or default_run_dir(spec, time.localtime())
        identity = Identity(uuid.uuid4().hex, Path.cwd() / wanted)
        plan = make_plan(spec, Host.observe(), identity, choose_port=ports.choose)
        if spec.dry_run:
            write(1, json.dumps(to_json(plan), indent=2) + "\n")
            return LaunchResult(0, plan.run_dir)
        folder = make_run_dir(plan.run_dir, exact=spec.run_dir is not None)
        if folder != plan.run_dir:
            identity = replace(identity, run_dir=folder)
            plan = make_plan(spec, Host.observe(), identity, choose_port=ports.choose)
        with Signals() as signals:
            checked = _preflight(spec, recipe, plan, signals)
            return _run(spec, plan, ports, signals, _manifest(plan, argv, checked))
    finally:
        ports.close()


def _preflight(
    spec: LaunchSpec, recipe: Path | None, plan: Plan, signals: Signals
) -> CheckedRecipe | None:
    """Check the recipe, if there is one; a run directory without a run is taken away again."""
    if recipe is None:
        return None
    try:
        return check_recipe(
            recipe,
            spec.overrides,
            world_size=plan.world_size,
            output=RunPaths(plan.run_dir).config,
            signals=signals,
        )
    except BaseException:
        with suppress(OSError):
            plan.run_dir.rmdir()
        raise


def _manifest(plan: Plan, argv: Sequence[str], checked: CheckedRecipe | None) -> Manifest:
    paths = RunPaths(plan.run_dir)
    return Manifest(paths, plan, argv or sys.orig_argv, checked, revision=read_revision())


def _run(
    spec: LaunchSpec, plan: Plan, ports: PortReservation, signals: Signals, manifest: Manifest
) -> LaunchResult:
    paths = RunPaths(plan.run_dir)
    manifest.write_start()
    console = TerminalConsole(spec.console)
    events = EventLog(paths.events, console.say)
    last_words = ""
    try:
        console.say(_announcement(plan))
        for note in plan.notes:
            console.say(note)
        events.write("plan", attempt=0, plan=to_json(plan))

        def fresh_environment(attempt: int) -> Mapping[str, str]:
            if plan.scheduler is None:
                return {}
            port = ports.choose()
            ports.release()
            return {"MS_SCHED_PORT": str(port)}

        ports.release()
        outcomes = run_attempts(
            plan,
            policy(spec),
            paths=paths,
            events=events,
            console=console,
            signals=signals,
            worth_a_restart=worth_a_restart,
            fresh_environment=fresh_environment,
        )
        verdict = diagnose(outcomes[-1])
        text = report(plan, outcomes[-1], verdict, ended_s=time.time())
        last_words = f"launcher: {text}\n"
        _record(events, manifest, outcomes, verdict)
    finally:
        events.close()
        with suppress(KeyboardInterrupt):
            console.close(last_words)
    return LaunchResult(verdict.exit_code, plan.run_dir, verdict, outcomes)


def _record(
    events: EventLog, manifest: Manifest, outcomes: Sequence[AttemptOutcome], verdict: Verdict
) -> None:
    events.write(
        "verdict",
        attempt=outcomes[-1].attempt,
        exit_code=verdict.exit_code,
        root_cause_rank=verdict.root_cause_rank,
        reason=verdict.reason.name.lower(),
        explanation=verdict.explanation,
    )
    with suppress(OSError):
        manifest.write_end(outcomes, verdict)


def _announcement(plan: Plan) -> str:
    count = f"{plan.world_size} worker" + ("s" if plan.world_size > 1 else "")
    ids = [worker.device_id for worker in plan.workers if worker.device_id is not None]
    place = f"NPU {format_ranges(ids)}" if ids else plan.device_target
    return f"{count} on {place}; run directory {shown(plan.run_dir)}"


def make_run_dir(wanted: Path, *, exact: bool) -> Path:
    """Make the folder of a new run and return it.

    Args:
        wanted: its path; a suffix is added where that is taken.
        exact: take this path or none: it may exist, but hold no other run.

    Raises:
        UsageError: it holds another run, or cannot be written.
    """
    if exact and wanted.is_dir() and any(wanted.iterdir()):
        raise UsageError(
            f"--run-dir {shown(wanted)}: the folder is not empty, and what an earlier run left "
            "there is not overwritten; name a new folder, or remove it"
        )
    try:
        wanted.parent.mkdir(parents=True, exist_ok=True)
        for number in range(1000):
            folder = wanted if number == 0 else wanted.with_name(f"{wanted.name}-{number}")
            try:
                folder.mkdir()
                return _writable(folder)
            except FileExistsError:
                if exact and folder.is_dir():
                    return _writable(folder)
                if exact:
                    raise
    except OSError as error:
        raise UsageError(
            f"run directory {shown(wanted)} cannot be used: {error.strerror or error}; name "
            "another one with --run-dir"
        ) from error
    raise UsageError(f"{shown(wanted)} and 999 folders like it exist; name one with --run-dir")


def _writable(folder: Path) -> Path:
    probe = folder / ".probe"
    probe.touch()
    probe.unlink()
    return folder
