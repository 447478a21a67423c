"""The command line of a worker: what the user wants to run, under the launcher's boot module."""

from __future__ import annotations

import sys
from pathlib import Path

from launcher.contract import RunPaths
from launcher.errors import UsageError
from launcher.options import LaunchSpec

_BOOT = Path(__file__).resolve().parent.parent / "boot.py"


def worker_command(spec: LaunchSpec, run_dir: Path) -> tuple[tuple[str, ...], bool]:
    """Return the command of every worker, and whether it runs under boot (and so records failures).

    Raises:
        UsageError: there is nothing of that name to run.
    """
    boot = (sys.executable, "-u", str(_BOOT))
    if spec.recipe is not None:
        config = str(RunPaths(run_dir).config)
        return (*boot, "-m", "cifar_dist", "train", "--config", config), True
    first, *rest = spec.command
    if first == "-m":
        if not rest:
            raise UsageError("-m: the name of a module must follow, as in -- -m package.module")
        return (*boot, *spec.command), True
    if first.endswith(".py"):
        if not Path(first).is_file():
            raise UsageError(f"{first}: there is no such script (looked in {Path.cwd()})")
        return (*boot, *spec.command), True
    from shutil import which

    program = which(first)
    if program is None:
        raise UsageError(
            f"{first}: neither a Python script (they end in .py) nor a program on PATH; "
            "after -- comes script.py, -m package.module, or a program, then its arguments"
        )
    return (program, *rest), False
