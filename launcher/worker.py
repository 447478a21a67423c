"""Runs the user's script in a worker, and writes down why it failed.

Loaded by ``boot.py``, with the environment of :mod:`launcher.contract`. The script sees what it
would see without us: ``__main__``, ``sys.argv``, ``sys.path``, exit code and traceback. This file
needs nothing but the standard library, and at the start as little of it as possible.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import time

TYPE_CHECKING = False  # as typing's, without the cost of importing it
if TYPE_CHECKING:
    from types import CodeType, TracebackType
    from typing import Any

STACK_SIGNAL = 39
"""SIGRTMIN + 5 (importing ``signal`` would double our start): writes the stacks of all threads to
the rank's stacks file, even while native code holds the interpreter lock."""

_BOOT = __file__.removesuffix("worker.py") + "boot.py"
_OWN_FILES = (__file__, _BOOT, "<frozen runpy>", "<frozen importlib._bootstrap>")


def main(arguments: list[str]) -> None:
    """Prepare this process, run the script and record what ends it."""
    recorder = Recorder(os.getpid())
    if sys.stderr is not None:
        faulthandler.enable(sys.stderr)
        _answer_stack_signal()
    recorder.watch_threads()
    try:
        _run(arguments)
    except SystemExit as error:
        recorder.stamp()
        with SigtermHeldBack():
            recorder.write_exit(error)
        raise
    except KeyboardInterrupt as error:
        recorder.stamp()
        with SigtermHeldBack():
            recorder.write(error)
        raise
    except BaseException as error:
        recorder.stamp()
        with SigtermHeldBack():
            recorder.write(error)
            _show(error)
        sys.exit(1)


class Recorder:
    """Writes this rank's failure record; the first fatal one wins."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._has_any = self._has_fatal = False
        self.stamp()

    def stamp(self) -> None:
        """Take the moment of a failure: writing it down takes longer than its victims need."""
        self._moment = {"time_ns": time.time_ns(), "monotonic_ns": time.monotonic_ns()}

    def watch_threads(self) -> None:
        """Record an exception that ends a thread only, before it is shown as ever."""
        show = threading.excepthook

        def hook(args: threading.ExceptHookArgs) -> None:
            error = args.exc_value
            if error is not None and not isinstance(error, SystemExit) and not self._has_any:
                self.stamp()
                self.write(error, fatal=False)
            show(args)

        threading.excepthook = hook

    def write_exit(self, error: SystemExit) -> None:
        """Record an exit with another code than 0; a text as code means 1.

        A script that has written down itself why it ends has said it better.
        """
        if error.code in (None, 0) or _has_own_record():
            return
        is_number = isinstance(error.code, int)
        message = f"exit code {error.code}" if is_number else f"{error.code} (exit code 1)"
        self.write(error, message=message)

    def write(
        self, error: BaseException, *, message: str | None = None, fatal: bool = True
    ) -> None:
        """Record an exception; a record that cannot be written must not hide the error."""
        if self._has_fatal or os.getpid() != self._pid:
            return
        self._has_any, self._has_fatal = True, fatal
        try:
            said = str(error) if message is None else message
            _write_record(error, said, self._moment, fatal)
        except Exception as problem:
            print(f"launcher: no failure record: {problem!r}", file=sys.stderr)  # noqa: T201


class SigtermHeldBack:
    """Keeps SIGTERM off while a failure is written down, then lets it act.

    The victims of a failure may end before the culprit has said what happened; the launcher then
    ends all with SIGTERM. A handler in native code is left alone.
    """

    def __enter__(self) -> None:
        import signal

        self._came = False
        self._before = signal.getsignal(signal.SIGTERM)
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._note)

    def _note(self, number: int, frame: object) -> None:
        self._came = True

    def __exit__(self, *error: object) -> None:
        import signal

        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)
        if self._came:
            os.kill(os.getpid(), signal.SIGTERM)


def _has_own_record() -> bool:
    contract = _contract()
    own = contract.RankEnv.from_environ(os.environ)
    if own.run_dir is None or own.rank is None:
        return False
    path = contract.RunPaths(own.run_dir).failure(own.attempt, own.rank)
    record = contract.read_record(contract.FailureRecord, path)
    return record is not None and record.pid == os.getpid()


def _write_record(error: BaseException, message: str, moment: dict[str, int], fatal: bool) -> None:
    import socket
    import traceback

    contract = _contract()
    own = contract.RankEnv.from_environ(os.environ)
    if own.run_dir is None or own.rank is None:
        return
    paths = contract.RunPaths(own.run_dir)
    progress = contract.read_record(contract.Progress, paths.progress(own.rank))
    kind = type(error)
    named = kind.__qualname__
    record = contract.FailureRecord(
        rank=own.rank,
        type=named if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{named}",
        message=message,
        traceback="".join(traceback.format_exception(kind, error, _without_own_frames(error))),
        host=socket.gethostname(),
        pid=os.getpid(),
        device="" if own.device_id is None else str(own.device_id),
        phase=str(progress.phase) if progress else "",
        fatal=fatal,
        **moment,
    )
    contract.write_record(record, paths.failure(own.attempt, own.rank))


def _contract() -> Any:
    """Return launcher.contract under a name of its own: the user may have a package 'launcher'."""
    import importlib.util

    name = "_launcher_contract"
    if name not in sys.modules:
        file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "contract.py")
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


def _answer_stack_signal() -> None:
    """Let the stack signal write to this rank's stacks file, or into its log without a run."""
    folder = os.environ.get("LAUNCHER_WORKER_RUN_DIR", "")
    attempt = os.environ.get("LAUNCHER_WORKER_ATTEMPT", "0")
    rank = os.environ.get("RANK_ID", "0")
    path = f"{folder}/stacks/attempt_{attempt}/rank_{rank}.txt"
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    except OSError:
        file = sys.stderr.fileno()
    faulthandler.register(STACK_SIGNAL, file=file, all_threads=True)


def _run(arguments: list[str]) -> None:
    """Run a script or module as ``python`` itself would."""
    main_module = type(sys)("__main__")
    sys.modules["__main__"] = main_module
    if arguments[0] == "-m":
        import runpy

        sys.argv[:] = ["-m", *arguments[2:]]
        _replace_first_path(os.getcwd())
        runpy._run_module_as_main(arguments[1])  # type: ignore[attr-defined]
    else:
        sys.argv[:] = arguments
        _replace_first_path(os.path.dirname(os.path.realpath(arguments[0])))
        _run_script(arguments[0], main_module)


def _run_script(script: str, main_module: Any) -> None:
    path = os.path.abspath(script)
    code = _compiled(script, path)
    main_module.__dict__.update(
        __file__=path,
        __cached__=None,
        __loader__=type(__loader__)("__main__", path),  # type: ignore[name-defined]
        __builtins__=__builtins__,
    )
    exec(code, main_module.__dict__)


def _compiled(script: str, path: str) -> CodeType:
    with open(path, "rb") as file:
        source = file.read()
    return compile(source, path, "exec", dont_inherit=True)


def _replace_first_path(folder: str) -> None:
    """Put the script's folder where Python has put ours, if it was told to put any."""
    if getattr(sys.flags, "safe_path", False) or sys.flags.isolated:
        return
    sys.path[0] = folder


def _without_own_frames(error: BaseException) -> TracebackType | None:
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename in _OWN_FILES:
        trace = trace.tb_next
    return trace


def _show(error: BaseException) -> None:
    """Show an exception as the interpreter does: through the hook that is in place now."""
    trace = _without_own_frames(error)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, trace
    error.__traceback__ = trace
    sys.excepthook(type(error), error, trace)
