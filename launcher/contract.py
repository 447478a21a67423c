"""What the launcher and a worker share: environment, paths and records.

This is the only module of ``launcher`` that ``cifar_dist`` may import. It uses the standard library
only and starts nothing. The launcher writes the environment and reads the records; a worker reads
the environment and writes the records. Both name files through :class:`RunPaths`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

JOB_TAG = "LAUNCHER_JOB_ID"
"""Environment variable that every process of a job carries; nested jobs are joined with ':'."""

_PREFIX = "LAUNCHER_WORKER_"
RUN_DIR = _PREFIX + "RUN_DIR"
ATTEMPT = _PREFIX + "ATTEMPT"
LOCAL_RANK = _PREFIX + "LOCAL_RANK"
NODE_RANK = _PREFIX + "NODE_RANK"
DEVICE_TARGET = _PREFIX + "DEVICE_TARGET"
CPUS = _PREFIX + "CPUS"
RESUME = "LAUNCHER_RESUME"
"""What ``--resume`` asks of a worker: none, auto, or the path of a checkpoint."""

EXIT_USAGE = 2
EXIT_TEMPORARY = 75
EXIT_HANG = 124


class ContractError(ValueError):
    """The environment of this process describes no valid rank."""


class RankEnv(NamedTuple):
    """Who this worker is, as its environment says.

    ``rank`` is None where another launcher leaves the numbering to MindSpore's scheduler (msrun
    without ``--node_rank``); it is known only after ``init()``. ``cpus`` is this worker's share of
    the cores, to which it binds itself where the launcher could not do it beforehand. ``resume`` is
    ``none``, ``auto`` (from the run directory's newest whole checkpoint) or a checkpoint's path.
    """

    rank: int | None = 0
    world_size: int = 1
    local_rank: int = 0
    node_rank: int = 0
    device_id: int | None = None
    device_target: str | None = None
    cpus: tuple[int, ...] = ()
    attempt: int = 0
    run_dir: Path | None = None
    job_id: str | None = None
    resume: str = "none"

    def to_environ(self) -> dict[str, str]:
        """Return the variables that :meth:`from_environ` reads back to an equal value."""
        values: dict[str, Any] = {
            "RANK_ID": self.rank,
            "RANK_SIZE": self.world_size,
            "DEVICE_ID": self.device_id,
            LOCAL_RANK: self.local_rank,
            NODE_RANK: self.node_rank,
            DEVICE_TARGET: self.device_target,
            CPUS: ",".join(map(str, self.cpus)) or None,
            ATTEMPT: self.attempt,
            RUN_DIR: self.run_dir,
            JOB_TAG: self.job_id,
            RESUME: self.resume,
        }
        return {name: str(value) for name, value in values.items() if value is not None}

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> RankEnv:
        """Read who we are from our launcher's, msrun's or a rank table's variables.

        Raises:
            ContractError: a variable is no whole number, or the rank is not below the world size.
        """
        dynamic = environ.get("MS_ROLE") == "MS_WORKER"
        world_size = _number(environ, "RANK_SIZE")
        if world_size is None:
            world_size = _number(environ, "MS_WORKER_NUM") if dynamic else None
        world_size = 1 if world_size is None else world_size
        rank = _number(environ, "RANK_ID")
        if rank is None and dynamic:
            node_id = environ.get("MS_NODE_ID", "")
            rank = int(node_id) if node_id.isdecimal() else None
        elif rank is None:
            rank = 0
        device_id = _number(environ, "DEVICE_ID")
        local_rank = _number(environ, LOCAL_RANK)
        if local_rank is None:
            local_rank = device_id if dynamic and device_id is not None else (rank or 0)
        if world_size < 1 or (rank is not None and not 0 <= rank < world_size):
            raise ContractError(
                f"RANK_ID={rank} does not fit RANK_SIZE={world_size}: "
                "ranks go from 0 to RANK_SIZE-1; unset both for a single process"
            )
        run_dir = environ.get(RUN_DIR)
        return cls(
            rank=rank,
            world_size=world_size,
            local_rank=local_rank,
            node_rank=_number(environ, NODE_RANK) or 0,
            device_id=device_id,
            device_target=environ.get(DEVICE_TARGET),
            cpus=tuple(int(cpu) for cpu in environ.get(CPUS, "").split(",") if cpu.isdecimal()),
            attempt=_number(environ, ATTEMPT) or 0,
            run_dir=Path(run_dir) if run_dir else None,
            job_id=environ.get(JOB_TAG),
            resume=environ.get(RESUME) or "none",
        )


def _number(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name)
    if text is None or text == "":
        return None
    if not text.isdecimal():
        raise ContractError(f"environment variable {name}={text!r} is no whole number")
    return int(text)


class RunPaths(NamedTuple):
    """Every path of a run directory (DESIGN section 4).

    On a disk that several nodes share, each writes a manifest and events of its own; all other
    names hold a rank, which is one of the whole job.
    """

    root: Path
    node_rank: int = 0

    @property
    def manifest(self) -> Path:
        return self.root / f"manifest{self._of_node}.json"

    @property
    def _of_node(self) -> str:
        return f"_node_{self.node_rank}" if self.node_rank else ""

    @property
    def config(self) -> Path:
        return self.root / "config.yaml"

    @property
    def rank_table(self) -> Path:
        return self.root / "rank_table.json"

    @property
    def events(self) -> Path:
        return self.root / f"events{self._of_node}.jsonl"

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.root / "ckpt"

    @property
    def tensorboard(self) -> Path:
        return self.root / "tb"

    @property
    def profile(self) -> Path:
        return self.root / "profile"

    @property
    def report(self) -> Path:
        return self.root / "report"

    def log(self, attempt: int, rank: int) -> Path:
        return self.root / "logs" / f"attempt_{attempt}" / f"rank_{rank}.log"

    def scheduler_log(self, attempt: int) -> Path:
        return self.root / "logs" / f"attempt_{attempt}" / "scheduler.log"

    def failure(self, attempt: int, rank: int) -> Path:
        return self.root / "failures" / f"attempt_{attempt}" / f"rank_{rank}.json"

    def stacks(self, attempt: int, rank: int) -> Path:
        return self.root / "stacks" / f"attempt_{attempt}" / f"rank_{rank}.txt"

    def progress(self, rank: int) -> Path:
        return self.root / "progress" / f"rank_{rank}.json"


def default_run_dir(name: str, started: time.struct_time) -> Path:
    """Return where a run goes that was given no place: runs/<recipe or script>/<time>."""
    return Path("runs") / name / time.strftime("%Y%m%d-%H%M%S", started)


class FailureRecord(NamedTuple):
    """Why one rank ended, written by the rank itself.

    ``monotonic_ns`` is CLOCK_MONOTONIC: comparable between all processes of one host, and with the
    launcher's own exit times. ``fatal`` is False for an exception that ended only a thread.
    """

    rank: int
    type: str
    message: str
    traceback: str = ""
    time_ns: int = 0
    monotonic_ns: int = 0
    host: str = ""
    pid: int = 0
    device: str = ""
    phase: str = ""
    fatal: bool = True

    @classmethod
    def now(cls, rank: int, type: str, message: str, **more: Any) -> FailureRecord:
        """Return a record stamped with this moment, host and process."""
        return cls(
            rank=rank,
            type=type,
            message=message,
            time_ns=time.time_ns(),
            monotonic_ns=time.monotonic_ns(),
            host=os.uname().nodename,
            pid=os.getpid(),
            **more,
        )


class Progress(NamedTuple):
    """A rank's last sign of life. ``step`` counts finished optimizer steps of the whole run.

    What else a worker may tell, None where it does not: how many epochs and steps the run has; the
    newest loss and accuracy over all ranks; this rank's milliseconds per step and images per
    second; and the seconds since its start that it waited for its data, and that it stood still
    (was stopped, or got no core) though it had work. By these the launcher tells which of several
    ranks holds up the others.
    """

    rank: int
    phase: str
    epoch: int = 0
    step: int = 0
    time: float = 0.0
    epochs: int | None = None
    total_steps: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    step_ms: float | None = None
    images_per_s: float | None = None
    data_wait_s: float | None = None
    stalled_s: float | None = None


def read_record(kind: type[Any], path: Path) -> Any | None:
    """Read a record that :func:`write_record` wrote; None where there is none or it is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return kind(**{key: value for key, value in values.items() if key in kind._fields})
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return None


def write_record(record: Any, path: Path, *, sync: bool = False) -> None:
    """Write a record as JSON, whole or not at all."""
    write_atomic(path, json.dumps(record._asdict()) + "\n", sync=sync)


def write_atomic(path: Path, content: str | bytes, *, mode: int = 0o644, sync: bool = True) -> None:
    """Write a file beside its place and rename it, so that a reader sees the old or the new whole.

    Args:
        path: the file; its folder is made where it is missing.
        content: text (written as UTF-8) or bytes.
        mode: permissions of the new file, less the umask.
        sync: reach the disk before the rename; False for signs of life that may be lost in a crash.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
