"""``--tensorboard`` with the real package, beside a job without a framework."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest
from conftest import WORKERS, Messages, is_alive, wait_for

from launcher.contract import RunPaths
from launcher.errors import UsageError
from launcher.supervision import viewer
from launcher.supervision.viewer import Viewer, free_port

LIMIT_S = 240.0
ROOT = Path(__file__).resolve().parents[2]


def command(run_dir: Path, *options: str, worker: str = "sleeps.py") -> list[str]:
    words = ("-m", "launcher", "--nproc", "1", "--device-target", "CPU", "--grace", "5")
    return [
        sys.executable,
        *words,
        "--run-dir",
        str(run_dir),
        *options,
        "--",
        str(WORKERS / worker),
    ]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


@pytest.fixture
def viewed(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A job that sleeps, and the address of its viewer."""
    pytest.importorskip("tensorboard")
    with subprocess.Popen(
        command(tmp_path / "run", "--tensorboard"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if found := re.search(r"TensorBoard: (http://127\.0\.0\.1:\d+/)", line):
                    yield process, found.group(1)
                    break
            else:
                pytest.fail("no address was printed")
        finally:
            process.kill()


def viewers(run_dir: Path) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"tensorboard.main" in words and os.fsencode(run_dir / "tb") in words:
            found.append(int(folder.name))
    return found


def wait_until_gone(pids: list[int]) -> None:
    deadline_s = time.monotonic() + LIMIT_S
    while any(is_alive(pid) for pid in pids):
        assert time.monotonic() < deadline_s
        time.sleep(0.05)


@pytest.mark.timeout(600)
def test_the_viewer_answers_and_ends_with_the_job(
    viewed: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, address = viewed
    with urllib.request.urlopen(address + "data/environment", timeout=LIMIT_S) as answer:
        assert str(tmp_path / "run" / "tb").encode() in answer.read()
    (viewer,) = viewers(tmp_path / "run")
    process.send_signal(signal.SIGINT)
    assert process.wait(LIMIT_S) == 130
    assert not is_alive(viewer)


@pytest.mark.timeout(600)
def test_the_viewer_dies_with_a_launcher_that_is_killed(
    viewed: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    process, _ = viewed
    pids = viewers(tmp_path / "run")
    assert len(pids) == 1
    process.kill()
    process.wait(LIMIT_S)
    wait_until_gone(pids)


def test_a_missing_package_is_one_message_and_nothing_is_started(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(
        "import importlib.util as u\nreal = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'tensorboard' else real(name, *more)\n"
    )
    done = subprocess.run(
        command(tmp_path / "run", "--tensorboard"),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=environment(PYTHONPATH=f"{hidden}:{ROOT}"),
    )
    assert done.returncode == 2
    assert "the package tensorboard is not installed" in done.stderr
    assert "pip install 'cifar-dist[viz]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_port_that_is_taken_is_passed_over() -> None:
    with closing(socket.socket()) as listener:
        first = wait_for(lambda: listens_on_a_free_port(listener), "a port that stays free")
        assert free_port("127.0.0.1") > first


def listens_on_a_free_port(listener: socket.socket) -> int | None:
    """Listen on the first free port; None where another process was faster."""
    first = free_port("127.0.0.1")
    with suppress(OSError):
        listener.bind(("127.0.0.1", first))
        listener.listen()
        return first
    return None


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(UsageError, match="does not have that address"):
        free_port("192.0.2.1")


@pytest.mark.parametrize("host", ["x..y", "a" * 64, "no-such-host.invalid"])
def test_what_is_no_name_of_a_host_is_refused(host: str) -> None:
    with pytest.raises(UsageError, match=re.escape(f"--tensorboard-host {host}: ")):
        free_port(host)


@pytest.mark.parametrize(("node_rank", "code"), [(0, 2), (1, 0)])
def test_only_node_0_needs_what_the_viewer_needs(tmp_path: Path, node_rank: int, code: int) -> None:
    pytest.importorskip("tensorboard")
    options = ("--tensorboard", "--tensorboard-host", "192.0.2.1", "--dry-run", "--nnodes", "2")
    options += ("--node-rank", str(node_rank), "--master-addr", "127.0.0.1")
    done = subprocess.run(
        command(tmp_path / "run", *options),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env=environment(),
    )
    assert done.returncode == code, done.stderr
    assert ("does not have that address" in done.stderr) is (code == 2)


SERVES = "print('TensorBoard 0 at http://127.0.0.1:1/ (Press CTRL+C to quit)', flush=True)\n"
SLEEPS = "import time\ntime.sleep(600)\n"
GONE = "TensorBoard has ended, the run goes on without it; see "


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a program in the place of TensorBoard."""

    def put(program: str) -> RunPaths:
        package = tmp_path / "stand_in" / "tensorboard"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "main.py").write_text(program)
        monkeypatch.setenv("PYTHONPATH", str(package.parent))
        return RunPaths(tmp_path / "run")

    return put


def test_a_viewer_that_ends_is_mentioned_once_also_after_it_was_announced(
    stand_in, messages: Messages
) -> None:
    paths = stand_in(SERVES + SLEEPS)
    log = paths.root / "logs" / "tensorboard.log"
    log.parent.mkdir(parents=True)
    log.write_text("TensorBoard 0 at http://127.0.0.1:9/ (of an earlier launch)\n")
    with Viewer(paths, "127.0.0.1", messages.say) as shown:
        wait_for(lambda: messages.said, "the address")
        assert shown._child is not None
        os.kill(shown._child.pid, signal.SIGKILL)
        wait_for(lambda: len(messages.said) == 2, "its end")
    assert messages.said == [
        "TensorBoard: http://127.0.0.1:1/ (until the job ends)",
        GONE + str(log),
    ]


def test_what_another_process_serves_is_not_announced(stand_in, messages: Messages) -> None:
    paths = stand_in("raise SystemExit('the port is taken')\n")
    with Viewer(paths, "127.0.0.1", messages.say):
        wait_for(lambda: messages.said, "a message")
    assert [said.startswith(GONE) for said in messages.said] == [True]


def test_a_viewer_that_never_gets_ready_is_mentioned_once(
    stand_in, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(viewer, "READY_S", 0.5)
    with Viewer(stand_in(SLEEPS), "127.0.0.1", messages.say):
        wait_for(lambda: messages.said, "a message")
    assert ["does not listen after 0.5 s" in said for said in messages.said] == [True]


@pytest.mark.parametrize("is_ending", [True, False])
def test_nothing_is_said_of_the_viewers_end_when_the_job_is_ending(
    stand_in, messages: Messages, is_ending: bool
) -> None:
    with Viewer(
        stand_in(SERVES + SLEEPS), "127.0.0.1", messages.say, is_ending=lambda: is_ending
    ) as shown:
        wait_for(lambda: messages.said, "the address")
        if is_ending:
            assert shown._child is not None
            os.kill(shown._child.pid, signal.SIGTERM)
            wait_for(lambda: not shown._thread.is_alive(), "its end is seen")
    assert len(messages.said) == 1
