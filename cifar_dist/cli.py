"""``python -m cifar_dist``: subcommands in, exit codes out."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module

from cifar_dist.errors import CifarDistError, StoppedError
from cifar_dist.observe.console import say
from launcher.contract import (
    EXIT_USAGE,
    ContractError,
    FailureRecord,
    RankEnv,
    RunPaths,
    write_record,
)

DESCRIPTION = (
    "Train and evaluate image classifiers on CIFAR-10, on one device or as one rank of many."
)
_GLOG_ERROR = "3"
_COMMANDS = ("train", "evaluate", "predict", "export", "models", "config", "schedule", "bench")
_ALONE = ("config", "schedule", "models", "export")
"""Subcommands that join no group, whatever the environment says of one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; user errors become one message and the exit code of their kind."""
    os.environ.setdefault("GLOG_v", _GLOG_ERROR)  # MindSpore reads it when it is imported
    os.environ["MS_COMPILER_CACHE_ENABLE"] = "0"  # it may train with the graph of another recipe
    args = _parse(argv)
    if os.environ.get("MS_ROLE") == "MS_SCHED" and args.command not in _ALONE:
        from cifar_dist.runtime.context import run_scheduler

        run_scheduler()
        return 0
    try:
        if "OMPI_COMM_WORLD_RANK" in os.environ:
            _become_rank_of_mpirun()
        code: int = args.run(args)
        return code
    except StoppedError as stop:
        say(str(stop), stream=sys.stderr)
        sys.stdout.flush()
        signal.signal(stop.number, signal.SIG_DFL)
        os.kill(os.getpid(), stop.number)
        return stop.exit_code
    except CifarDistError as error:
        _tell(error)
        return error.exit_code
    except ContractError as error:
        _tell(error)
        return EXIT_USAGE


def _become_rank_of_mpirun() -> None:
    from cifar_dist.runtime.open_mpi import become_rank, is_rank

    if is_rank(os.environ):
        become_rank(os.environ)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse a command line; overrides may stand before, between and after options.

    argparse gives the first words to a command's positional arguments, and before Python 3.12 takes
    those behind a later option for unknown.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    parser = _parser(words[:1])
    args, later = parser.parse_known_args(words)
    if not hasattr(args, "overrides") or any(word.startswith("-") for word in later):
        if later:
            parser.error(f"unrecognized arguments: {' '.join(later)}")
    else:
        args.overrides = [*args.overrides, *later]
    return args


def _parser(first: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the subcommand that the first word names, or of all.

    The modules of the others are not imported then: that is a tenth of a second of each start.
    """
    parser = argparse.ArgumentParser(
        prog="python -m cifar_dist", description=DESCRIPTION, allow_abbrev=False
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in [name for name in _COMMANDS if name in first] or _COMMANDS:
        import_module(f"cifar_dist.commands.{name}").add_parser(subparsers)
    return parser


def _tell(error: Exception) -> None:
    """Show an error once, and leave a record for the launcher, which shows it for all ranks."""
    kind = type(error).__name__
    say(f"{kind}: {error}", stream=sys.stderr)
    try:
        env = RankEnv.from_environ(os.environ)
    except ContractError:
        return
    if env.run_dir is not None and env.rank is not None:
        record = FailureRecord.now(env.rank, kind, str(error))
        with contextlib.suppress(OSError):  # on a full disk the launcher has the log to go by
            write_record(record, RunPaths(env.run_dir).failure(env.attempt, env.rank), sync=True)
