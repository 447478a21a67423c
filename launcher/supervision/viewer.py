"""``--tensorboard``: the viewer of a run, beside the job and ended with it."""

from __future__ import annotations

import errno
import os
import re
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from types import TracebackType

from launcher.contract import RunPaths
from launcher.errors import NotReadyError, UsageError
from launcher.supervision.process import Child, spawn, tied_to

FIRST_PORT, LAST_PORT = 6006, 6105
"""Where a TensorBoard that is given no port looks for a free one."""
READY_S = 600.0
"""How long the viewer may take to listen; nothing waits for it."""
_SERVES = re.compile(rb"^TensorBoard .* at http://\S+:(\d+)/", re.MULTILINE)
_LOOK_S = 0.2
_END_S = 5.0
_ENDING_S = 1.0
"""How long after its end the job may begin to end, too: one signal may be for both."""


def check_viewer(host: str) -> None:
    """Look whether a TensorBoard can be started that listens on an address.

    Raises:
        UsageError: the package is missing, or the address is not one of this host.
        NotReadyError: no port is free.
    """
    from importlib.util import find_spec

    if find_spec("tensorboard") is None:
        raise UsageError(
            f"--tensorboard: the package tensorboard is not installed for {sys.executable}: "
            "pip install 'cifar-dist[viz]', or leave the option out and view the run elsewhere"
        )
    free_port(host)


class Viewer:
    """TensorBoard on the folder ``tb/`` of a run, while the block lasts; main thread only.

    It is no part of the job: it may fail, and it lives over all attempts. It dies with the launcher
    also where that is killed.

    Args:
        paths: of the run.
        host: the address to listen on.
        say: takes the messages: where it is, or that it has ended.
        is_ending: whether the job is about to end: nothing is said then.
    """

    def __init__(
        self,
        paths: RunPaths,
        host: str,
        say: Callable[[str], None],
        *,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        self._host = host
        self._say = say
        self._is_ending = is_ending
        self._log = paths.root / "logs" / "tensorboard.log"
        self._folder = paths.tensorboard
        self._ends = threading.Event()
        self._child: Child | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Viewer:
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(self._folder)]
        command += ["--host", self._host, "--load_fast", "false", "--reload_interval", "5"]
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                begin = os.fstat(output).st_size
                prepare = tied_to(os.getpid(), cpus=(), blocked=())
                self._child = spawn(command, environment=os.environ, output=output, prepare=prepare)
            finally:
                os.close(output)
        except OSError as error:
            self._say(f"TensorBoard could not be started: {error}; the run goes on without it")
            return self
        arguments = (self._child.pidfd, begin)
        self._thread = threading.Thread(target=self._watch, args=arguments, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ends.set()
        if self._child is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._child.pidfd, number)
            if has_ended(self._child.pidfd, _END_S):
                break
        if self._thread is not None:
            self._thread.join(_END_S)
        with suppress(ChildProcessError):  # it may have been reaped as an orphan
            self._child.reap()

    def _watch(self, pidfd: int, begin: int) -> None:
        """Say where the viewer is, and once where it ends or does not get ready.

        It looks for a free port itself and writes it to its log: whatever else may answer on a port
        is not ours.
        """
        deadline_s = time.monotonic() + READY_S
        while (port := self._port(begin)) is None and not has_ended(pidfd, _LOOK_S):
            if time.monotonic() >= deadline_s:
                self._regret(f"does not listen after {READY_S:g} s")
                return
        if port is not None and not self._ends.is_set():
            shown = socket.gethostname() if self._host in ("0.0.0.0", "::") else self._host
            shown = f"[{shown}]" if ":" in shown else shown
            self._say(f"TensorBoard: http://{shown}:{port}/ (until the job ends)")
            has_ended(pidfd, None)
        self._regret("has ended")

    def _port(self, begin: int) -> int | None:
        """Return the port that the log names from there on; None where it does not yet."""
        try:
            with self._log.open("rb") as file:
                file.seek(begin)
                found = _SERVES.search(file.read(1 << 20))
        except OSError:
            return None
        return None if found is None else int(found[1])

    def _regret(self, what: str) -> None:
        if self._ends.wait(_ENDING_S) or self._is_ending():
            return
        self._say(f"TensorBoard {what}, the run goes on without it; see {self._log}")


def free_port(host: str) -> int:
    """Return the first port from TensorBoard's own on that nobody listens on.

    Raises:
        UsageError: the address is not one of this host.
        NotReadyError: all are taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:  # of a name with an empty or too long part the second
        reason = getattr(error, "strerror", None) or "this is no name of a host"
        raise UsageError(f"--tensorboard-host {host}: {reason}") from None
    for port in range(FIRST_PORT, LAST_PORT + 1):
        with closing(socket.socket(family, socket.SOCK_STREAM)) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((address[0], port))
            except PermissionError:
                continue
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise UsageError(
                        f"--tensorboard-host {host}: this host does not have that address; "
                        "0.0.0.0 is all of its own"
                    ) from None
                continue
            return port
    raise NotReadyError(f"--tensorboard: ports {FIRST_PORT} to {LAST_PORT} are all taken")


def has_ended(pidfd: int, within_s: float | None) -> bool:
    """Return whether a process has ended, or does within some time (None: wait for its end)."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(None if within_s is None else within_s * 1000))
