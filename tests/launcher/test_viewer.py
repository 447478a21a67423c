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
from contextlib import closing
from pathlib import Path

import pytest
from conftest import WORKERS, is_alive

from launcher.errors import UsageError
from launcher.supervision.viewer import free_port

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
    first = free_port("127.0.0.1")
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", first))
        listener.listen()
        assert free_port("127.0.0.1") > first


def test_an_address_of_another_host_is_refused() -> None:
    with pytest.raises(UsageError, match="does not have that address"):
        free_port("192.0.2.1")
