"""Our options on a command line: taken apart, and put together again for a run that goes on.

Without argparse, which would take a tenth of the time until the first worker starts.
"""

from __future__ import annotations

from collections.abc import Sequence

from launcher.errors import UsageError
from launcher.options import OPTIONS, canonical

HELP = "help"
SEE_HELP = "see python -m launcher --help"
_LAUNCHER = ("-m", "launcher")
_OF_ONE_START = ("config", "run-dir", "resume", "profile", "dry-run")
"""What another start of the same job says anew, or not at all."""


def read_flags(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Return {option name: text} of our options, and the arguments that are none of them.

    Args:
        arguments: as they were typed, up to ``--``.

    Raises:
        UsageError: a value is missing, or one too many.
    """
    known = {f"--{option.name}": option for option in OPTIONS}
    given: dict[str, str] = {}
    extras: list[str] = []
    rest = iter(map(canonical, arguments))
    for argument in rest:
        flag, equals, text = argument.partition("=")
        if argument in ("-h", "--help"):
            given[HELP] = ""
        elif flag not in known:
            extras.append(argument)
        elif not known[flag].metavar:
            if equals:
                raise UsageError(f"{flag}: takes no value, given {text!r}; {SEE_HELP}")
            given[flag[2:]] = "1"
        else:
            value = text if equals else next(rest, None)
            if value is None or (not equals and value.startswith("--")):
                raise UsageError(f"{flag}: expected one argument; {SEE_HELP}")
            given[flag[2:]] = value
    return given, extras


def lasting_flags(argv: Sequence[str]) -> list[str]:
    """Return the options of a command line that a start which goes on with its run needs, too.

    Args:
        argv: ``python -m launcher`` and what follows; of another command there are none.
    """
    if tuple(argv[1:3]) != _LAUNCHER:
        return []
    own = list(argv[3:])
    given, _ = read_flags(own[: own.index("--")] if "--" in own else own)
    switches = {option.name for option in OPTIONS if not option.metavar}
    words: list[str] = []
    for name, text in given.items():
        if name not in _OF_ONE_START:
            words += [f"--{name}"] if name in switches else [f"--{name}", text]
    return words
