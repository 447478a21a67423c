"""Every option of the command line: one row each, and the value that they become."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from launcher.errors import UsageError
from launcher.ranges import parse_ranges

WHAT, WHERE, FAILURE, OUTPUT = (
    "what to run",
    "where to run it",
    "failure handling",
    "output",
)


class LaunchSpec(NamedTuple):
    """What was asked for, checked one by one but not yet against this host.

    ``command`` is what follows ``--``; ``recipe`` and ``overrides`` are the other form. None means
    that the launcher chooses. ``console`` holds the ranks to show, None for all.
    """

    command: tuple[str, ...] = ()
    recipe: str | None = None
    overrides: tuple[str, ...] = ()
    nproc: int | None = None
    devices: tuple[int, ...] | None = None
    device_target: str = "auto"
    cluster: str | None = None
    rank_table: Path | None = None
    rank_table_timeout_s: float = 300.0
    rendezvous: str = "auto"
    nnodes: int | None = None
    node_rank: int | None = None
    master_addr: str | None = None
    master_port: int | None = None
    join_timeout_s: float = 300.0
    bind: str = "cores"
    run_dir: Path | None = None
    resume: str = "none"
    max_restarts: int = 0
    grace_s: float = 20.0
    hang_timeout_s: float = 300.0
    first_step_timeout_s: float = 1800.0
    exit_skew_s: float = 300.0
    straggler_factor: float = 1.5
    straggler_time_s: float = 3.0
    console: frozenset[int] | None = frozenset({0})
    live: str = "line"
    profile: tuple[int, int] | None = None
    tensorboard: bool = False
    tensorboard_host: str = "127.0.0.1"
    dry_run: bool = False


class Option(NamedTuple):
    """One option: ``--name METAVAR``; without a metavar it is a switch.

    ``parse`` turns the text of a flag or of the environment into the value of ``field``; it raises
    ValueError that says what is allowed.
    """

    name: str
    field: str
    group: str
    metavar: str
    default: str
    parse: Callable[[str], Any]
    help: str
    aliases: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """The environment variable that gives this option a default."""
        return "LAUNCHER_" + self.name.upper().replace("-", "_")


def _whole(least: int, most: int | None = None) -> Callable[[str], int]:
    allowed = f"a whole number from {least}" + (f" to {most}" if most else " up")

    def parse(text: str) -> int:
        digits = text[1:] if text[:1] in "+-" else text
        if not (digits.isascii() and digits.isdecimal()) or int(text) < least:
            raise ValueError(f"must be {allowed}")
        if most is not None and int(text) > most:
            raise ValueError(f"must be {allowed}")
        return int(text)

    return parse


def _or_auto(parse_number: Callable[[str], int]) -> Callable[[str], int | None]:
    def parse(text: str) -> int | None:
        if text == "auto":
            return None
        try:
            return parse_number(text)
        except ValueError as error:
            raise ValueError(f"{error}, or 'auto'") from None

    return parse


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise ValueError("must be a number of seconds, 0 or more")
    return value


def _factor(text: str) -> float:
    try:
        value = _seconds(text)
    except ValueError:
        value = math.nan
    if value != 0 and not 1 < value <= 1000:
        raise ValueError("must be a number above 1, at most 1000; 0 = off")
    return value


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        match = {value.lower(): value for value in allowed}.get(text.lower())
        if match is None:
            raise ValueError("must be one of " + ", ".join(allowed))
        return match

    return parse


def _switch(text: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if text.lower() not in values:
        raise ValueError("must be 1 or 0")
    return values[text.lower()]


def _devices(text: str) -> tuple[int, ...]:
    numbers = parse_ranges(text)
    if any(after <= before for before, after in pairwise(numbers)):
        raise ValueError("device ids must go up, each once (CANN stops reading at the first other)")
    return numbers


def _console(text: str) -> frozenset[int] | None:
    named = {"rank0": frozenset({0}), "none": frozenset(), "all": None}
    if text in named:
        return named[text]
    try:
        return frozenset(parse_ranges(text))
    except ValueError:
        raise ValueError("must be rank0, all, none, or ranks such as 0-3,6") from None


def _text(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _path(text: str) -> Path:
    return Path(os.path.expanduser(_text(text)))


def _profile(text: str) -> tuple[int, int]:
    name, _, steps = text.partition("=")
    words = steps.split(":")
    if name == "steps" and len(words) == 2 and all(w.isascii() and w.isdecimal() for w in words):
        first, last = map(int, words)
        if 2 <= first <= last < first + 100:
            return first, last
    raise ValueError(
        "must be steps=FIRST:LAST, such as steps=10:15, with 2 <= FIRST <= LAST and at most 100 "
        "steps; both are included, and step 1 compiles"
    )


def _resume(text: str) -> str:
    known = text.lower() in ("none", "auto")
    return text.lower() if known else str(_path(text).absolute())


OPTIONS: tuple[Option, ...] = (
    Option("config", "recipe", WHAT, "RECIPE", "", _text,
           "train cifar_dist by this recipe: a path, or the name of one that ships"),
    Option("nproc", "nproc", WHERE, "N|auto", "auto", _or_auto(_whole(1)),
           "workers on this node; auto = visible NPUs, else 1",
           ("nproc-per-node", "local-worker-num")),
    Option("devices", "devices", WHERE, "LIST", "", _devices,
           "physical device ids of the NPUs to use, such as 0-3,6; default: the first nproc"),
    Option("device-target", "device_target", WHERE, "TARGET", "auto",
           _one_of("Ascend", "CPU", "auto"),
           "Ascend, CPU or auto; auto = Ascend where an NPU is visible, else CPU"),
    Option("cluster", "cluster", WHERE, "FILE", "", _text,
           "nodes, devices and addresses in a cluster file: a path, or the name of one that ships"),
    Option("rank-table", "rank_table", WHERE, "FILE", "", _path,
           "HCCL rank table: its servers and devices; one that is not completed is waited for"),
    Option("rank-table-timeout", "rank_table_timeout_s", WHERE, "S", "300", _seconds,
           "how long to wait for the rank table to be completed"),
    Option("nnodes", "nnodes", WHERE, "N", "", _whole(1, 100_000),
           "nodes of the job, a launcher on each; default: as Slurm, MindCluster or mpirun say"),
    Option("node-rank", "node_rank", WHERE, "R", "", _whole(0),
           "which of them this is, from 0; in a cluster file or rank table it is found by its "
           "addresses"),
    Option("master-addr", "master_addr", WHERE, "HOST", "", _text,
           "address or name of node 0, the same on all nodes"),
    Option("rendezvous", "rendezvous", WHERE, "HOW", "auto",
           _one_of("auto", "cluster", "rank-table", "none"),
           "how ranks find each other: cluster = MindSpore's dynamic cluster with its scheduler; "
           "rank-table = HCCL reads the table; none = not our business; auto = rank-table if a "
           "table is given, else cluster, and none for one worker"),
    Option("master-port", "master_port", WHERE, "PORT", "", _whole(1024, 65535),
           "port of the scheduler; default: a free one. With several nodes: where the launchers "
           "meet, the same on all nodes; default 8118, under Slurm one of 20000 to 31999 by the "
           "job's number, in MindCluster MS_SCHED_PORT"),
    Option("join-timeout", "join_timeout_s", WHERE, "S", "300", _seconds,
           "how long nodes wait for each other at the start"),
    Option("bind", "bind", WHERE, "HOW", "cores", _one_of("none", "cores", "numa"),
           "cores = an even share of the allowed cores for each worker, those near its NPU first, "
           "and as many threads; numa = only cores of one NUMA node, its NPU's where known; "
           "none = leave both alone"),
    Option("resume", "resume", FAILURE, "auto|PATH|none", "none", _resume,
           "go on from a checkpoint: auto = the newest whole one of --run-dir (without it, of this "
           "recipe's newest run directory that nobody runs in), anew where there is none; PATH = a "
           "checkpoint or a run directory. Workers are told in LAUNCHER_RESUME"),
    Option("max-restarts", "max_restarts", FAILURE, "K", "0", _whole(0),
           "restarts of the whole group after a failure that is worth one"),
    Option("grace", "grace_s", FAILURE, "S", "20", _seconds,
           "seconds between SIGTERM and SIGKILL"),
    Option("hang-timeout", "hang_timeout_s", FAILURE, "S", "300", _seconds,
           "no progress on some rank for so many seconds = hang; 0 = off"),
    Option("first-step-timeout", "first_step_timeout_s", FAILURE, "S", "1800", _seconds,
           "the same until a rank's first step (graph compilation); 0 = off"),
    Option("exit-skew", "exit_skew_s", FAILURE, "S", "300", _seconds,
           "some ranks ended well, others still run for so many seconds = hang; 0 = off"),
    Option("straggler-factor", "straggler_factor", FAILURE, "F", "1.5", _factor,
           "a rank that takes so many times as long for a step as the others of its node is named, "
           "with what its host is doing; 0 = off"),
    Option("straggler-time", "straggler_time_s", FAILURE, "S", "3", _seconds,
           "for how long, and for 5 steps at least, a rank must be that slow to be named: shorter "
           "than the time between two evaluations or checkpoints, at which counting begins anew"),
    Option("run-dir", "run_dir", OUTPUT, "DIR", "", _path,
           "folder for everything that this run writes; default: runs/<recipe or script>/<time>"),
    Option("console", "console", OUTPUT, "RANKS", "rank0", _console,
           "whose output reaches the terminal: rank0, all, none, or ranks such as 0-3,6"),
    Option("live", "live", OUTPUT, "WHAT", "line", _one_of("line", "ranks", "none"),
           "on a terminal: line = a last line that shows how far the run is; ranks = also a row "
           "for each rank of this node; none = neither"),
    Option("tensorboard", "tensorboard", OUTPUT, "", "0", _switch,
           "start TensorBoard on the run directory, and end it with the job"),
    Option("tensorboard-host", "tensorboard_host", OUTPUT, "HOST", "127.0.0.1", _text,
           "the address that it listens on; 0.0.0.0 = all: whoever reaches this host sees the run"),
    Option("profile", "profile", OUTPUT, "steps=A:B", "", _profile,
           "save MindSpore's profile of the steps A to B of a recipe on every rank; A from 2, for "
           "the first step compiles; at most 100 steps"),
    Option("dry-run", "dry_run", OUTPUT, "", "0", _switch,
           "print the plan as JSON and start nothing"),
)  # fmt: skip


_RIVALS = {
    "cluster": ("rank-table", "nproc", "devices", "nnodes", "master-addr"),
    "rank-table": ("cluster", "nproc", "devices", "nnodes", "master-addr"),
    "nnodes": ("cluster", "rank-table"),
    "nproc": ("cluster", "rank-table"),
    "devices": ("cluster", "rank-table"),
}
"""Options that say the same thing in other ways: a flag beats a variable for any of them."""


def resolve(flags: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a :class:`LaunchSpec` that a flag or the environment gives.

    Args:
        flags: option name -> text from the command line; these win.
        environ: the environment; ``LAUNCHER_<NAME>`` is each option's default, empty = not set.

    Raises:
        UsageError: a value is not allowed.
    """
    fields: dict[str, Any] = {}
    beaten = {rival for name in flags for rival in _RIVALS.get(name, ())}
    for option in OPTIONS:
        if option.name in flags:
            text, source = flags[option.name], f"--{option.name}"
        elif environ.get(option.variable) and option.name not in beaten:
            text, source = environ[option.variable], f"environment variable {option.variable}"
        else:
            continue
        try:
            fields[option.field] = option.parse(text)
        except ValueError as error:
            raise UsageError(f"{source}: {text!r} is not allowed: {error}") from None
    return fields


def canonical(argument: str) -> str:
    """Return ``--nproc_per_node=2`` as ``--nproc=2``: dashes for underscores, aliases resolved."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument[2:].partition("=")
    name = name.replace("_", "-")
    for option in OPTIONS:
        if name in option.aliases:
            name = option.name
    return f"--{name}{equals}{value}"
