"""The command line of the launcher: arguments to a :class:`LaunchSpec`, errors to exit codes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

from launcher.errors import LauncherError, UsageError
from launcher.options import OPTIONS, LaunchSpec, canonical, resolve
from launcher.terminal.console import open_standard_streams, write, write_error

_USAGE = """\
python -m launcher [options] --config RECIPE [key=value ...]
       python -m launcher [options] -- script.py [args ...]
       python -m launcher [options] -- -m package.module [args ...]
       python -m launcher doctor [--json]
       python -m launcher rank-table make|check|show|merge ...
       python -m launcher report RUN_DIR [RUN_DIR ...]
       python -m launcher status [RUN_DIR] [--json]"""

_ABOUT = "Start one worker per device, watch them, end them together, and say what went wrong."

_MORE = """\
examples:
  python -m launcher --nproc 2 --config quickstart.yaml
  python -m launcher --config resnet50.yaml train.epochs=10 data.dir=~/cifar-10-batches-bin
  python -m launcher --nproc 8 -- train.py --lr 0.1      any MindSpore script, as msrun would
  python -m launcher --devices 0-3 --dry-run -- train.py
  python -m launcher --cluster two_nodes_16p.yaml --node-rank 1 --dry-run -- train.py
  python -m launcher rank-table make -o table.json       of this node's NPUs
  python -m launcher doctor                              can a job run here?
  python -m launcher report runs/resnet50/20261124-053306
  python -m launcher status                              which jobs run, and how they stand

words:
  worker      one process that drives one device
  rank        index of a worker, 0 to world_size-1
  world_size  number of workers in the job;  nproc: on this node
  attempt     one start of the whole group
  root cause  the earliest failure that is not a consequence of another one

exit codes:
  0        every rank ended with 0
  1-119    the root cause's own exit code (its 2 and 75 become 1, and so do 120 and above)
  2        usage, recipe, cluster file or rank table is wrong; nothing was started
  75       port, device or table not ready; the same command may work later
  124      hang
  128+n    the root cause died by signal n
  129, 130, 143  the launcher was stopped by SIGHUP, SIGINT, SIGTERM

Dashes and underscores are equal. Precedence: option, environment variable, default.
"""


_COMMANDS = {
    "doctor": "launcher.doctor.cli",
    "rank-table": "launcher.rank_table.cli",
    "report": "launcher.report.cli",
    "status": "launcher.status.cli",
}


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)

    def _split_lines(self, text: str, width: int) -> list[str]:
        import textwrap

        return textwrap.wrap(text, width, break_on_hyphens=False)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message.replace("argument ", "", 1) + f"; see {self.prog} --help")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the launcher and return its exit code (DESIGN section 3)."""
    open_standard_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        if arguments and arguments[0] in _COMMANDS:
            return run_command(arguments)
        spec = parse(arguments, os.environ)
        if spec is None:
            write(1, help_text())
            return 0
        from launcher.launch import run

        return run(spec, argv=["python", "-m", "launcher", *arguments]).exit_code
    except LauncherError as error:
        if str(error):
            write_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        write_error("stopped by SIGINT; nothing was started")
        return 130
    except Exception:
        import traceback

        write_error(
            "this is a bug of the launcher; every process that it had started was ended\n"
            + traceback.format_exc()
        )
        return 1


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> LaunchSpec | None:
    """Return what is asked for; None where that is the help.

    Raises:
        UsageError: an argument is unknown, not allowed, or missing.
    """
    own, command = list(arguments), None
    if "--" in own:
        place = own.index("--")
        own, command = own[:place], tuple(own[place + 1 :])
    flags, extras = _parser().parse_known_args([canonical(one) for one in own])
    given = {name: text for name, text in vars(flags).items() if text is not None}
    if given.pop("help", False):
        return None
    overrides = _overrides(extras, command)
    fields = resolve(given, environ)
    if command is not None:
        if "config" in given:
            raise UsageError("--config RECIPE and -- are two ways to say what to run: give one")
        fields["recipe"] = None
    if overrides and fields.get("recipe") is None:
        raise UsageError(f"{overrides[0]}: key=value changes a recipe; name it with --config")
    if not command and fields.get("recipe") is None:
        raise UsageError(
            "nothing to run: give --config RECIPE, or -- script.py [args ...]; "
            "see python -m launcher --help"
        )
    return LaunchSpec(**fields, command=command or (), overrides=overrides)


def run_command(arguments: Sequence[str]) -> int:
    """Run one of the other commands, which are loaded only here; return the exit code.

    Raises:
        UsageError: an argument is not understood.
    """
    from importlib import import_module

    command = import_module(_COMMANDS[arguments[0]])
    parser = _Parser(prog="python -m launcher", formatter_class=_Formatter, allow_abbrev=False)
    command.add_parser(parser.add_subparsers())
    code: int = command.run(parser.parse_args(arguments))
    return code


def help_text() -> str:
    """Return the whole help."""
    return _parser().format_help()


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m launcher",
        usage=_USAGE,
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=_Formatter,
        allow_abbrev=False,
        add_help=False,
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in OPTIONS:
        group = groups.get(option.group) or parser.add_argument_group(option.group)
        groups[option.group] = group
        more = [f"default {option.default}"] if option.default and option.metavar else []
        also = ", ".join(f"--{alias}" for alias in option.aliases)
        more += [f"also {also}"] if also else []
        text = f"{option.help} [{'; '.join([*more, option.variable])}]"
        if option.metavar:
            group.add_argument(
                f"--{option.name}", dest=option.name, metavar=option.metavar, help=text
            )
        else:
            group.add_argument(
                f"--{option.name}", dest=option.name, action="store_const", const="1", help=text
            )
    parser.add_argument("-h", "--help", action="store_true", default=None, help="show this help")
    return parser


def _overrides(extras: Sequence[str], command: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the key=value arguments; anything else that is left over is an error."""
    for extra in extras:
        if extra.startswith("-"):
            raise UsageError(_unknown_option(extra.partition("=")[0]))
        if "=" not in extra:
            raise UsageError(
                f"{extra}: unexpected here; what to run comes after --, as in "
                f"python -m launcher -- {extra}"
                + ("" if command is not None else ", and a recipe after --config")
            )
    return tuple(extras)


def _unknown_option(name: str) -> str:
    from difflib import get_close_matches

    names = [f"--{option.name}" for option in OPTIONS]
    near = get_close_matches(name, names, n=1)
    guess = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown option {name}{guess}; see python -m launcher --help"
