"""The command line of the launcher: arguments to a :class:`LaunchSpec`, errors to exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from launcher.errors import LauncherError, UsageError
from launcher.flags import HELP, read_flags
from launcher.options import OPTIONS, LaunchSpec, resolve
from launcher.supervision.signals import TerminatedError, ended_by_sigterm
from launcher.terminal.console import open_standard_streams, write, write_error

_FOR_RECIPES = ("LAUNCHER_CONFIG", "LAUNCHER_PROFILE")
"""Defaults that say nothing to a script, which beats the first one."""
_COMMANDS = {
    "doctor": "launcher.doctor.cli",
    "rank-table": "launcher.rank_table.cli",
    "report": "launcher.report.cli",
    "status": "launcher.status.cli",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the launcher and return its exit code (DESIGN section 3)."""
    open_standard_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with ended_by_sigterm():
            return _run(arguments)
    except LauncherError as error:
        if str(error):
            write_error(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        write_error("stopped by SIGINT; nothing was started")
        return 130
    except TerminatedError:
        write_error("stopped by SIGTERM; nothing was started")
        return 143
    except Exception:
        import traceback

        write_error(
            "this is a bug of the launcher; every process that it had started was ended\n"
            + traceback.format_exc()
        )
        return 1


def _run(arguments: Sequence[str]) -> int:
    if arguments and arguments[0] in _COMMANDS:
        return run_command(arguments)
    spec = parse(arguments, os.environ)
    if spec is None:
        from launcher.manual import help_text

        write(1, help_text())
        return 0
    from launcher.launch import run

    return run(spec, argv=["python", "-m", "launcher", *arguments]).exit_code


def parse(arguments: Sequence[str], environ: Mapping[str, str]) -> LaunchSpec | None:
    """Return what is asked for; None where that is the help.

    Raises:
        UsageError: an argument is unknown, not allowed, or missing.
    """
    own, command = list(arguments), None
    if "--" in own:
        place = own.index("--")
        own, command = own[:place], tuple(own[place + 1 :])
    given, extras = read_flags(own)
    if HELP in given:
        return None
    overrides = _overrides(extras, command)
    if command is not None:
        if "config" in given:
            raise UsageError("--config RECIPE and -- are two ways to say what to run: give one")
        environ = {name: text for name, text in environ.items() if name not in _FOR_RECIPES}
    fields = resolve(given, environ)
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

    from launcher.manual import command_parser

    command = import_module(_COMMANDS[arguments[0]])
    parser = command_parser()
    command.add_parser(parser.add_subparsers())
    code: int = command.run(parser.parse_args(arguments))
    return code


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
