"""One child process: started so that it cannot outlive the launcher, signalled, reaped."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from launcher.contract import JOB_TAG
from launcher.plan import ProcessPlan
from launcher.supervision.signals import HANDLED, PASSED_ON, STOPPING

_PR_SET_PDEATHSIG = 1
_FILES_PER_CHILD = 4
_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    """A process that we started and have not forgotten; reaped by :meth:`reap` only.

    ``pidfd`` is readable once the process has ended. ``returncode`` is Popen's; times are
    CLOCK_MONOTONIC nanoseconds.
    """

    def __init__(
        self,
        pid: int,
        pidfd: int,
        started_ns: int,
        *,
        rank: int | None = None,
        returncode: int | None = None,
        ended_ns: int = 0,
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.started_ns = started_ns
        self.rank = rank
        self.returncode = returncode
        self.ended_ns = ended_ns
        self.signalled_ns: int | None = None

    def fileno(self) -> int:
        return self.pidfd

    @property
    def runs(self) -> bool:
        return self.returncode is None

    def signal(self, number: int, *, ends: bool = True) -> None:
        """Signal the whole process group; ``ends`` says that this is meant to end it.

        The leader's pid cannot be reused before :meth:`reap`, and neither can the group's number.
        """
        if not self.runs or self._has_ended():
            return
        if ends and self.signalled_ns is None:
            self.signalled_ns = time.monotonic_ns()
        with suppress(ProcessLookupError, PermissionError):
            if os.getpgid(self.pid) != self.pid:
                os.kill(self.pid, number)
            os.killpg(self.pid, number)

    def reap(self) -> bool:
        """Take the exit status if the process has ended; True if it has."""
        if not self.runs:
            return True
        ended = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)
        if ended is None:
            return False
        self.ended_ns = time.monotonic_ns()
        killed = ended.si_code != os.CLD_EXITED
        self.returncode = -ended.si_status if killed else ended.si_status
        os.close(self.pidfd)
        return True

    def _has_ended(self) -> bool:
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PIDFD, self.pidfd, flags) is not None


def start(plan: ProcessPlan, *, job_id: str, log: Path) -> Child:
    """Start a worker or the scheduler; call from the main thread only.

    It gets its own session, dies with the launcher's main thread, writes to ``log`` (appended, both
    streams, no pipe between) and reads from /dev/null. The scheduler is deaf to polite signals:
    Slurm sends them to every process of a step, and ranks that save need it to the end.

    Raises:
        OSError: it could not be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        child = spawn(
            plan.command,
            environment=child_environment(os.environ, plan.environment, job_id),
            output=output,
            prepare=tied_to(
                os.getpid(),
                cpus=() if plan.binds_late else plan.cpus,
                blocked=(*STOPPING, *PASSED_ON) if plan.is_scheduler else (),
            ),
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"its CPU affinity {list(plan.cpus)} was refused") from error
    finally:
        os.close(output)
    child.rank = plan.rank
    return child


def child_environment(
    inherited: Mapping[str, str], overlay: Mapping[str, str | None], job_id: str
) -> dict[str, str]:
    """Return a child's variables; the tag of a job that this one runs inside of stays in front."""
    merged = {**inherited, **overlay}
    outer = inherited.get(JOB_TAG)
    merged[JOB_TAG] = f"{outer}:{job_id}" if outer else job_id
    return {name: value for name, value in merged.items() if value is not None}


def allow_files_for(children: int) -> None:
    """Raise the soft limit of open files where so many children need more."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = children * _FILES_PER_CHILD + 64
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    output: int = subprocess.DEVNULL,
    prepare: Callable[[], None] | None = None,
) -> Child:
    """Start a process in its own session; ``prepare`` runs in it before its own program.

    The signals that we handle are blocked until ``prepare`` has given them their own dispositions:
    one that reached the child before its exec would run our handler there and write to our wake-up
    pipe. Without ``prepare`` they stay blocked, and the start is a good deal quicker (vfork).
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
    try:
        popen = subprocess.Popen(
            command,
            env=environment,
            stdin=stdin,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=prepare,
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    popen.returncode = 0  # we reap it, Popen must not
    try:
        pidfd = os.pidfd_open(popen.pid)
    except OSError:
        os.killpg(popen.pid, signal.SIGKILL)
        os.waitpid(popen.pid, 0)
        raise
    return Child(popen.pid, pidfd, time.monotonic_ns())


def tied_to(parent: int, *, cpus: tuple[int, ...], blocked: Sequence[int]) -> Callable[[], None]:
    """Return what a child runs between fork and exec, so that it dies with our main thread."""

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        if cpus:
            os.sched_setaffinity(0, cpus)
        for number in HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    return prepare
