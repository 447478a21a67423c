"""The processes of all jobs of this host, known by the tag in their environment."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from launcher.contract import JOB_TAG, RUN_DIR

_GUARDIAN = "guardian.py"


@dataclass(frozen=True)
class Processes:
    """What runs: pids per job, and the run directory of each job that names one."""

    pids: Mapping[str, Sequence[int]] = field(default_factory=dict)
    run_dirs: Mapping[str, Path] = field(default_factory=dict)

    @classmethod
    def observe(cls, proc: Path = Path("/proc")) -> Processes:
        """Look at every process that may be read: those of this user, or of all for root.

        Between two attempts only the guardian of a job is there; it has the tag as an argument.
        """
        pids: dict[str, list[int]] = {}
        run_dirs: dict[str, Path] = {}
        for pid, variables, arguments in _readable(proc):
            tags = variables.get(JOB_TAG, "").split(":")
            if len(arguments) > 5 and arguments[-4].endswith(_GUARDIAN):
                tags = [arguments[-2].split(":")[-1]]
                run_dirs.setdefault(tags[0], Path(arguments[-1]).parent)
            for tag in filter(None, tags):
                pids.setdefault(tag, []).append(pid)
            if tags[-1] and RUN_DIR in variables:
                run_dirs.setdefault(tags[-1], Path(variables[RUN_DIR]))
        return cls(pids, run_dirs)

    def is_alive(self, job_id: str) -> bool:
        """Whether any process of a job runs here."""
        return job_id in self.pids


def _readable(proc: Path) -> Iterator[tuple[int, dict[str, str], list[str]]]:
    """Yield pid, the job's variables and the arguments of every process that we may look into."""
    wanted = (JOB_TAG, RUN_DIR)
    own = os.getpid()
    for folder in proc.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == own:
            continue
        with suppress(OSError):
            environ = (folder / "environ").read_bytes()
            arguments = (folder / "cmdline").read_bytes()
            if not arguments or (JOB_TAG.encode() not in environ and b"guardian" not in arguments):
                continue
            variables = {}
            for pair in environ.decode("utf-8", "surrogateescape").split("\0"):
                name, _, value = pair.partition("=")
                if name in wanted:
                    variables[name] = value
            decoded = arguments.decode("utf-8", "surrogateescape")
            yield int(folder.name), variables, decoded.rstrip("\0").split("\0")
