"""The launcher under a real pseudo-terminal, seen through a terminal emulator."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyte
import pytest
from conftest import WORKERS, is_alive, read_events, wait_for

from launcher.contract import Progress, RunPaths, read_record

LIMIT_S = 120.0
CTRL_S = b"\x13"
ROOT = Path(__file__).resolve().parents[2]


class Terminal:
    """A process on a pseudo-terminal of its own, which is its controlling one."""

    def __init__(self, command: list[str], *, columns: int, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self.slave = slave
        self.screen = pyte.Screen(columns, 24)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        self._set_size(columns)
        self.modes = termios.tcgetattr(slave)

        def own_the_terminal() -> None:
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            preexec_fn=own_the_terminal,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environment},
        )

    def _set_size(self, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def resize(self, columns: int) -> None:
        self._set_size(columns)
        self.screen.resize(columns=columns)

    def press(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def rows(self) -> list[str]:
        return [row.rstrip() for row in self.screen.display if row.strip()]

    def read_until(self, seen: Callable[[list[str]], bool], what: str) -> None:
        deadline_s = time.monotonic() + LIMIT_S
        while not seen(self.rows()):
            assert time.monotonic() < deadline_s, (what, self.rows())
            assert self._read(0.2) or self.process.poll() is None, (what, self.rows())

    def read_to_the_end(self) -> int:
        deadline_s = time.monotonic() + LIMIT_S
        while self.process.poll() is None:
            assert time.monotonic() < deadline_s, self.rows()
            self._read(0.1)
        while self._read(0.0):
            pass
        return self.process.returncode

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        data = os.read(self._master, 65536)
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(LIMIT_S)
        os.close(self._master)
        os.close(self.slave)


Opened = Callable[..., Terminal]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """Start a launcher on two ranks that write heartbeats and print a line now and then."""
    terminals: list[Terminal] = []

    def start(
        *options: str,
        columns: int = 80,
        steps: int = 100_000,
        worker: Path = WORKERS / "shows.py",
        into: str = "",
        environment: dict | None = None,
    ) -> Terminal:
        command = [sys.executable, "-m", "launcher", "--nproc", "2", "--device-target", "CPU"]
        command += ["--rendezvous", "none", "--run-dir", str(tmp_path / "run"), *options, "--"]
        command += [str(worker), str(steps)]
        if into:
            command = ["sh", "-c", f'"$@" {into}', "sh", *command]
        terminals.append(Terminal(command, columns=columns, environment=environment or {}))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()


def has_live_row(rows: list[str]) -> bool:
    return bool(rows) and "step" in rows[-1] and "left" in rows[-1]


@pytest.mark.parametrize("columns", [80, 200])
def test_the_last_row_is_live_and_the_lines_of_ranks_stay_above_it_whole(
    opened: Opened, columns: int
) -> None:
    terminal = opened(columns=columns)
    terminal.read_until(lambda rows: has_live_row(rows) and "[rank 0] line 2" in rows, "line 2")
    rows = terminal.rows()
    assert sum("images/s" in row for row in rows) == 1
    assert len(rows[-1]) < columns
    assert ("%" in rows[-1]) is (columns == 200)
    assert "line 0" in " ".join(rows)


def test_after_resizing_the_live_row_fits_and_the_old_one_is_gone(opened: Opened) -> None:
    terminal = opened(columns=200)
    terminal.read_until(has_live_row, "a live row")
    terminal.resize(60)
    terminal.read_until(lambda rows: has_live_row(rows) and "%" not in rows[-1], "narrow")
    assert len(terminal.rows()[-1]) < 60
    assert sum("left" in row for row in terminal.rows()) == 1
    terminal.resize(150)
    terminal.read_until(lambda rows: has_live_row(rows) and "%" in rows[-1], "wide again")
    assert sum("left" in row for row in terminal.rows()) == 1


def test_with_a_row_for_each_rank(opened: Opened) -> None:
    terminal = opened("--live", "ranks")
    terminal.read_until(
        lambda rows: len(rows) > 2 and rows[-2].startswith("rank 0") and "rank 1" in rows[-1],
        "a row for each rank",
    )
    assert "left" in terminal.rows()[-3]


def test_ctrl_c_leaves_the_terminal_as_it_was_and_no_process(
    opened: Opened, tmp_path: Path
) -> None:
    terminal = opened("--grace", "5")
    terminal.read_until(has_live_row, "a live row")
    terminal.press(b"\x03")
    assert terminal.read_to_the_end() == 130
    assert termios.tcgetattr(terminal.slave) == terminal.modes
    assert not terminal.screen.cursor.hidden
    assert b"\x1b[?" not in terminal.raw
    assert re.search(rb"\x1b\[[0-9;]*m", terminal.raw) is None
    assert "exit code: 130" in terminal.rows()[-1]
    assert not any("left" in row for row in terminal.rows())
    assert terminal.screen.cursor.x == 0
    spawned = [one for one in read_events(RunPaths(tmp_path / "run")) if one["event"] == "spawn"]
    assert len(spawned) == 2
    assert not any(is_alive(one["pid"]) for one in spawned)


def test_a_terminal_that_stands_still_holds_up_no_worker_and_no_end(
    opened: Opened, tmp_path: Path
) -> None:
    def step(rank: int) -> int:
        record = read_record(Progress, RunPaths(tmp_path / "run").progress(rank))
        return record.step if record else 0

    terminal = opened("--console", "all", "--grace", "5")
    terminal.read_until(has_live_row, "a live row")
    terminal.press(CTRL_S)
    before = step(0), step(1)
    wait_for(
        lambda: step(0) > before[0] + 30 and step(1) > before[1] + 30, "thirty steps more", LIMIT_S
    )
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(LIMIT_S) == 130


def test_ctrl_z_takes_the_live_row_away_and_fg_brings_it_back(opened: Opened) -> None:
    terminal = opened()
    terminal.read_until(has_live_row, "a live row")
    terminal.press(b"\x1a")
    os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED)
    terminal.read_until(lambda rows: not any("left" in row for row in rows), "no live row")
    os.kill(terminal.process.pid, signal.SIGCONT)
    terminal.read_until(has_live_row, "a live row again")


def test_a_launcher_that_is_stopped_and_continued_draws_again(opened: Opened) -> None:
    terminal = opened()
    terminal.read_until(has_live_row, "a live row")
    os.kill(terminal.process.pid, signal.SIGSTOP)
    os.waitid(os.P_PID, terminal.process.pid, os.WSTOPPED)
    terminal.screen.reset()
    os.kill(terminal.process.pid, signal.SIGCONT)
    terminal.read_until(has_live_row, "a live row again")


@pytest.mark.parametrize(
    ("options", "environment"),
    [(("--live", "none"), {}), ((), {"TERM": "dumb"}), ((), {"LAUNCHER_LIVE": "none"})],
)
def test_where_it_is_not_wanted_nothing_moves_the_cursor(
    opened: Opened, options: tuple[str, ...], environment: dict[str, str]
) -> None:
    terminal = opened(*options, steps=5, environment=environment)
    assert terminal.read_to_the_end() == 0
    assert b"\x1b" not in terminal.raw
    assert not any("left" in row for row in terminal.rows())


def test_nothing_moves_the_cursor_where_another_program_writes_to_the_same_terminal(
    opened: Opened, tmp_path: Path
) -> None:
    terminal = opened(steps=5, into=f"| tee {tmp_path / 'log.txt'}")
    assert terminal.read_to_the_end() == 0
    assert b"\x1b" not in terminal.raw
    assert "[rank 0] line 4" in terminal.rows()
    assert "line 4" in (tmp_path / "log.txt").read_text()


WRONG_NUMBERS = """
import json, os, sys, time
from pathlib import Path
rank = int(os.environ["RANK_ID"])
folder = Path(os.environ["LAUNCHER_WORKER_RUN_DIR"], "progress")
sign = {"rank": rank, "phase": "train", "step": 7, "total_steps": 9, "step_ms": float("nan"),
        "loss": "low", "images_per_s": float("inf"), "accuracy": [1]}
while True:
    text = json.dumps({**sign, "time": time.time()})
    (folder / f".{rank}").write_text(text)
    os.replace(folder / f".{rank}", folder / f"rank_{rank}.json")
    time.sleep(0.1)
"""


def test_numbers_that_are_none_are_left_out_of_the_live_row(opened: Opened, tmp_path: Path) -> None:
    worker = tmp_path / "wrong.py"
    worker.write_text(WRONG_NUMBERS)
    terminal = opened("--grace", "5", "--live", "ranks", worker=worker)
    terminal.read_until(
        lambda rows: "step 7/9" in "".join(rows) and rows[-1].startswith("rank 1"), "live rows"
    )
    terminal.press(b"\x03")
    assert terminal.read_to_the_end() == 130
    assert b"Traceback" not in terminal.raw


@pytest.mark.parametrize(("no_color", "has_colours"), [("", True), ("1", False)])
def test_no_color_takes_the_colours_out_of_what_ranks_print(
    opened: Opened, tmp_path: Path, no_color: str, has_colours: bool
) -> None:
    worker = tmp_path / "red.py"
    worker.write_text("print('\\x1b[31mred\\x1b[0m wine')")
    terminal = opened("--live", "none", worker=worker, environment={"NO_COLOR": no_color})
    assert terminal.read_to_the_end() == 0
    assert "[rank 0] red wine" in terminal.rows()
    assert (b"\x1b[31mred" in terminal.raw) is has_colours
    assert (b"\x1b" in terminal.raw) is has_colours


def test_into_a_file_nothing_but_lines_is_written(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    command = [sys.executable, "-m", "launcher", "--nproc", "2", "--device-target", "CPU"]
    command += ["--rendezvous", "none", "--live", "ranks", "--run-dir", str(tmp_path / "run")]
    command += ["--", str(WORKERS / "shows.py"), "5"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    with log.open("wb") as file:
        subprocess.run(
            command, stdout=file, stderr=file, env=environment, timeout=LIMIT_S, check=True
        )
    said = log.read_bytes()
    assert [byte for byte in said if byte < 32 and byte != ord("\n")] == []
    assert b"[rank 0] line 4" in said
