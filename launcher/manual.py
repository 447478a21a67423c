"""The help of the command line, and the parser of the other commands: all that needs argparse."""

from __future__ import annotations

import argparse
import textwrap
from typing import NoReturn

from launcher.errors import UsageError
from launcher.options import OPTIONS

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


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26, width=100)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(text, width, break_on_hyphens=False)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message.replace("argument ", "", 1) + f"; see {self.prog} --help")


def command_parser() -> argparse.ArgumentParser:
    """Return the parser to which a command such as doctor adds its own.

    It raises UsageError instead of ending the process.
    """
    return _Parser(prog="python -m launcher", formatter_class=_Formatter, allow_abbrev=False)


def help_text() -> str:
    """Return the whole help of ``python -m launcher``."""
    parser = argparse.ArgumentParser(
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
    parser.add_argument("-h", "--help", action="store_true", help="show this help")
    return parser.format_help()
