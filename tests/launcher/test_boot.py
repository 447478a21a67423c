"""A script under the boot module sees what it would see under Python alone, and its end is
written down."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from conftest import BOOT, LONG_S

from launcher import contract
from launcher.contract import FailureRecord, Progress, RankEnv, RunPaths, read_record, write_record

SHOW = """
import json, sys
print(json.dumps({
    "name": __name__, "file": __file__, "argv": sys.argv, "path": sys.path[0],
    "spec": __spec__ and __spec__.name, "package": __package__, "doc": __doc__,
    "loader": type(__loader__).__name__, "is_main": sys.modules["__main__"].__dict__ is globals(),
    "extra": sorted(set(globals()) - {"__annotations__"}),
}))
"""


@dataclass(frozen=True)
class Worker:
    """Runs scripts of a test's own folder as rank 3 of 4 of a run."""

    folder: Path

    @property
    def paths(self) -> RunPaths:
        return RunPaths(self.folder / "run")

    @property
    def record(self) -> FailureRecord | None:
        return read_record(FailureRecord, self.paths.failure(1, 3))

    def __call__(self, *arguments: str, boot: bool = True, **environment: str) -> str:
        """Run a command; return what it printed. Its whole outcome is in ``done``."""
        return self.finish(*arguments, boot=boot, **environment).stdout

    def finish(
        self, *arguments: str, boot: bool = True, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        own = RankEnv(rank=3, world_size=4, attempt=1, device_id=6, run_dir=self.paths.root)
        return subprocess.run(
            [sys.executable, *([str(BOOT)] if boot else []), *arguments],
            cwd=self.folder,
            env={**os.environ, **own.to_environ(), **environment},
            capture_output=True,
            text=True,
            timeout=LONG_S,
        )


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "show.py").write_text(SHOW)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "show.py").write_text("'A text.'" + SHOW)
    (tmp_path / "link.py").symlink_to(tmp_path / "folder" / "show.py")
    return Worker(tmp_path)


def script(worker: Worker, text: str) -> str:
    (worker.folder / "script.py").write_text(text)
    return "script.py"


@pytest.mark.parametrize(
    "arguments",
    [
        ("folder/show.py", "-a", "b c"),
        ("link.py",),
        ("-m", "package.show", "-m", "x"),
    ],
    ids=["script", "link", "module"],
)
def test_a_script_sees_the_same_as_under_python_alone(
    worker: Worker, arguments: tuple[str, ...]
) -> None:
    alone, booted = worker(*arguments, boot=False), worker(*arguments)
    assert json.loads(booted) == json.loads(alone)
    assert worker.record is None


def test_a_safe_path_is_respected(worker: Worker) -> None:
    if sys.version_info < (3, 11):
        pytest.skip("PYTHONSAFEPATH came with Python 3.11")
    shown = script(worker, "import sys; print(sys.path[0])")
    assert worker(shown, PYTHONSAFEPATH="1") == worker(shown, boot=False, PYTHONSAFEPATH="1")


def test_pickle_and_spawned_processes_find_the_main_module(worker: Worker) -> None:
    text = """
import multiprocessing, pickle
class Thing:
    value = 7
def double(x):
    return 2 * x
if __name__ == "__main__":
    assert type(pickle.loads(pickle.dumps(Thing()))) is Thing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(double, [1, 2]))
"""
    assert worker(script(worker, text)) == "[2, 4]\n"
    assert worker.record is None


def test_an_exception_is_recorded_and_shown_without_our_frames(worker: Worker) -> None:
    shown = script(worker, "def f():\n    raise ValueError('bad \\u00e9')\nf()\n")
    alone, booted = worker.finish(shown, boot=False), worker.finish(shown)
    assert booted.stderr == alone.stderr
    assert booted.returncode == alone.returncode == 1
    record = worker.record
    assert record is not None
    assert (record.rank, record.type, record.message) == (3, "ValueError", "bad \u00e9")
    assert record.traceback == alone.stderr
    assert (record.device, record.phase, record.fatal) == ("6", "", True)
    assert record.pid > 0
    assert record.monotonic_ns > 0


def test_the_phase_is_that_of_the_last_heartbeat(worker: Worker) -> None:
    write_record(Progress(3, "compile"), worker.paths.progress(3))
    worker(script(worker, "1/0"))
    assert worker.record is not None
    assert worker.record.phase == "compile"


@pytest.mark.parametrize(
    ("exit_call", "code", "message"),
    [
        ("sys.exit(7)", 7, "exit code 7"),
        ("sys.exit('no data')", 1, "no data (exit code 1)"),
        ("raise SystemExit(75)", 75, "exit code 75"),
    ],
)
def test_an_exit_with_a_code_is_recorded(
    worker: Worker, exit_call: str, code: int, message: str
) -> None:
    done = worker.finish(script(worker, f"import sys\n{exit_call}\n"))
    assert done.returncode == code
    assert worker.record is not None
    assert (worker.record.type, worker.record.message) == ("SystemExit", message)


@pytest.mark.parametrize("exit_call", ["sys.exit()", "sys.exit(0)", "pass"])
def test_a_good_end_is_not_recorded(worker: Worker, exit_call: str) -> None:
    assert worker.finish(script(worker, f"import sys\n{exit_call}\n")).returncode == 0
    assert worker.record is None


@pytest.mark.parametrize(
    ("arguments", "kind", "part"),
    [
        (("missing.py",), "FileNotFoundError", "missing.py"),
        (("-m", "package.missing"), "SystemExit", "No module named package.missing"),
        (("broken.py",), "SyntaxError", "broken.py"),
    ],
)
def test_a_script_that_cannot_even_begin_is_recorded(
    worker: Worker, arguments: tuple[str, ...], kind: str, part: str
) -> None:
    (worker.folder / "broken.py").write_text("x = = 1\n")
    done = worker.finish(*arguments)
    assert done.returncode == 1
    assert part in done.stderr
    assert "launcher/" not in done.stderr
    assert worker.record is not None
    assert worker.record.type == kind
    assert part in worker.record.message


def test_a_thread_that_fails_is_recorded_as_not_fatal(worker: Worker) -> None:
    text = "import threading\nt = threading.Thread(target=lambda: 1/0)\nt.start()\nt.join()\n"
    done = worker.finish(script(worker, text))
    assert done.returncode == 0
    assert "Exception in thread" in done.stderr
    assert worker.record is not None
    assert (worker.record.type, worker.record.fatal) == ("ZeroDivisionError", False)


def test_a_fatal_failure_replaces_that_of_a_thread(worker: Worker) -> None:
    text = (
        "import threading\nt = threading.Thread(target=lambda: 1/0)\nt.start()\nt.join()\n"
        "raise KeyError('fatal')\n"
    )
    worker(script(worker, text))
    assert worker.record is not None
    assert (worker.record.type, worker.record.fatal) == ("KeyError", True)


def test_a_hook_that_the_script_has_installed_is_called_and_loses_no_record(
    worker: Worker,
) -> None:
    text = (
        "import sys\nsys.excepthook = lambda kind, error, trace: print('mine', kind.__name__)\n"
        "raise ValueError('x')\n"
    )
    done = worker.finish(script(worker, text))
    assert (done.stdout, done.returncode) == ("mine ValueError\n", 1)
    assert worker.record is not None


def test_an_interrupt_is_recorded_and_ends_the_process_as_ever(worker: Worker) -> None:
    shown = script(worker, "import os, time\nos.kill(os.getpid(), 2)\ntime.sleep(60)\n")
    assert worker.finish(shown).returncode == worker.finish(shown, boot=False).returncode == -2
    assert worker.record is not None
    assert worker.record.type == "KeyboardInterrupt"


def test_a_sigterm_waits_until_the_failure_is_written_down(worker: Worker) -> None:
    text = (
        "import os, sys, time\n"
        "def hook(kind, error, trace):\n"
        "    os.kill(os.getpid(), 15)\n"
        "    print('shown', flush=True)\n"
        "class Slow(Exception):\n"
        "    def __str__(self):\n"
        "        os.kill(os.getpid(), 15)\n"
        "        return 'the cause'\n"
        "sys.excepthook = hook\n"
        "raise Slow\n"
    )
    done = worker.finish(script(worker, text))
    assert (done.stdout, done.returncode) == ("shown\n", -15)
    assert worker.record is not None
    assert worker.record.message == "the cause"


def test_a_forked_child_does_not_write_the_record_of_its_parent(worker: Worker) -> None:
    text = "import os\nif os.fork() == 0:\n    raise ValueError('child')\nos.wait()\n"
    assert worker.finish(script(worker, text)).returncode == 0
    assert worker.record is None


def test_a_record_that_cannot_be_written_hides_no_error(worker: Worker) -> None:
    (worker.folder / "run").write_text("in the way")
    done = worker.finish(script(worker, "raise ValueError('the cause')"))
    assert done.returncode == 1
    assert "ValueError: the cause" in done.stderr
    assert "no failure record" in done.stderr


def test_without_a_run_directory_a_script_fails_as_ever(worker: Worker) -> None:
    done = worker.finish(script(worker, "1/0"), LAUNCHER_WORKER_RUN_DIR="")
    assert done.returncode == 1
    assert "no failure record" not in done.stderr


def test_a_users_package_of_our_name_does_not_matter(worker: Worker) -> None:
    (worker.folder / "launcher.py").write_text("name = 'mine'\n")
    done = worker.finish(script(worker, "import launcher\nprint(launcher.name)\n1/0\n"))
    assert done.stdout == "mine\n"
    assert worker.record is not None


def test_a_crash_in_native_code_shows_its_stack(worker: Worker) -> None:
    done = worker.finish(script(worker, "import os\nos.kill(os.getpid(), 11)\n"))
    assert done.returncode == -11
    assert "Fatal Python error: Segmentation fault" in done.stderr
    assert "script.py" in done.stderr


def test_the_names_of_the_variables_are_those_of_the_contract() -> None:
    text = BOOT.with_name("worker.py").read_text(encoding="utf-8")
    for name in (contract.RUN_DIR, contract.ATTEMPT, "RANK_ID"):
        assert f'"{name}"' in text


def test_what_runs_before_the_script_is_compiled_only_once(worker: Worker, tmp_path: Path) -> None:
    shown = script(worker, "import sys\nprint(sys.flags.dont_write_bytecode)\n")
    cache = tmp_path / "cache"
    worker(shown, PYTHONPYCACHEPREFIX=str(cache), PYTHONDONTWRITEBYTECODE="")
    (compiled,) = cache.rglob("worker.*.pyc")
    before = compiled.stat().st_mtime_ns
    worker(shown, PYTHONPYCACHEPREFIX=str(cache), PYTHONDONTWRITEBYTECODE="")
    assert compiled.stat().st_mtime_ns == before
