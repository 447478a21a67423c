"""``--tensorboard``: the viewer of a run, beside the job and ended with it."""

from __future__ import annotations

import errno
import os
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

FIRST_PORT, LAST_PORT = 6006, 6205
READY_S = 600.0
"""How long the viewer may take to answer; nothing waits for it."""
_LOOK_S = 0.2
_END_S = 5.0


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
    """

    def __init__(self, paths: RunPaths, host: str, say: Callable[[str], None]) -> None:
        self._host = host
        self._say = say
        self._log = paths.root / "logs" / "tensorboard.log"
        self._folder = paths.tensorboard
        self._ends = threading.Event()
        self._child: Child | None = None

    def __enter__(self) -> Viewer:
        port = free_port(self._host)
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(self._folder)]
        command += ["--host", self._host, "--port", str(port)]
        command += ["--load_fast", "false", "--reload_interval", "5"]
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            output = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                prepare = tied_to(os.getpid(), cpus=(), blocked=())
                self._child = spawn(command, environment=os.environ, output=output, prepare=prepare)
            finally:
                os.close(output)
        except OSError as error:
            self._say(f"TensorBoard could not be started: {error}; the run goes on without it")
            return self
        arguments = (self._child.pidfd, port)
        threading.Thread(target=self._announce, args=arguments, daemon=True).start()
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
        with suppress(ChildProcessError):  # it may have been reaped as an orphan
            self._child.reap()

    def _announce(self, pidfd: int, port: int) -> None:
        """Say where the viewer is, once it answers."""
        shown = socket.gethostname() if self._host in ("0.0.0.0", "::") else self._host
        shown = f"[{shown}]" if ":" in shown else shown
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s and not self._ends.wait(_LOOK_S):
            if answers(self._host, port):
                self._say(f"TensorBoard: http://{shown}:{port}/ (until the job ends)")
                return
            if has_ended(pidfd, 0):
                self._say(f"TensorBoard has ended, the run goes on without it; see {self._log}")
                return


def free_port(host: str) -> int:
    """Return the first port from TensorBoard's own on that nobody listens on.

    Raises:
        UsageError: the address is not one of this host.
        NotReadyError: all are taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise UsageError(f"--tensorboard-host {host}: {error.strerror or error}") from None
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


def answers(host: str, port: int) -> bool:
    """Return whether something accepts connections there."""
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        socket.create_connection((target, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def has_ended(pidfd: int, within_s: float) -> bool:
    """Return whether a process has ended, or does within some time."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(within_s * 1000))
