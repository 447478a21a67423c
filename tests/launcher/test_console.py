from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.terminal.console import TerminalConsole, write
from launcher.terminal.inotify import Growth


@contextmanager
def shown(*ranks: int) -> Iterator[tuple[TerminalConsole, Reader, Reader]]:
    """A console whose two streams are read to their ends."""
    out, err = Reader(), Reader()
    yield TerminalConsole(frozenset(ranks or {0}), out=out.writer, err=err.writer), out, err
    out.close()
    err.close()


class Reader:
    """Reads a pipe in a thread, like a terminal that keeps up."""

    def __init__(self) -> None:
        self._reader, self.writer = os.pipe()
        self._data = b""
        self._grown = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while data := os.read(self._reader, 65536):
            with self._grown:
                self._data += data
                self._grown.notify_all()

    def wait_for(self, text: str) -> None:
        with self._grown:
            assert self._grown.wait_for(lambda: text.encode() in self._data, 30), self._data

    def close(self) -> None:
        if self.writer >= 0:
            os.close(self.writer)
            self._thread.join(30)
            self.writer = -1

    def text(self) -> str:
        self.close()
        return self._data.decode()


def read_until(terminal: int, text: str) -> str:
    """Return what comes out of a pseudo-terminal, up to some text."""
    said = b""
    while text.encode() not in said:
        assert select.select([terminal], [], [], 60)[0], said
        said += os.read(terminal, 65536)
    return said.decode()


def append(path: Path, text: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def test_lines_are_shown_as_they_are_written_and_messages_go_elsewhere(tmp_path: Path) -> None:
    log = tmp_path / "rank_0.log"
    with shown() as (console, out, err):
        console.follow(0, log)
        console.say("begin")
        err.wait_for("launcher: begin\n")
        append(log, "one\n")
        out.wait_for("[rank 0] one\n")
        append(log, "two\nthr")
        append(log, "ee\n")
        out.wait_for("[rank 0] three\n")
        console.close("launcher: end\n")
    assert out.text() == "[rank 0] one\n[rank 0] two\n[rank 0] three\n"
    assert err.text() == "launcher: begin\nlauncher: end\n"


def test_only_chosen_ranks_are_shown(tmp_path: Path) -> None:
    with shown(1) as (console, out, _):
        for rank in range(3):
            log = tmp_path / f"{rank}.log"
            append(log, f"of {rank}\n")
            console.follow(rank, log)
        console.close()
    assert out.text() == "[rank 1] of 1\n"


def test_a_log_that_does_not_exist_yet_is_found(tmp_path: Path) -> None:
    log = tmp_path / "later.log"
    with shown() as (console, out, _):
        console.follow(0, log)
        append(log, "here\n")
        out.wait_for("here")
        console.close()


def test_without_the_kernels_notice_logs_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Growth, "fileno", lambda self: None)
    monkeypatch.setattr(Growth, "watch", lambda self, path: False)
    log = tmp_path / "rank_0.log"
    append(log, "")
    with shown() as (console, out, _):
        console.follow(0, log)
        for word in ("first", "second"):
            append(log, f"{word}\n")
            out.wait_for(word)
        console.close()


def test_equal_lines_of_all_ranks_are_folded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("launcher.terminal.logs.FOLD_WINDOW_S", 600.0)
    logs = [tmp_path / f"{rank}.log" for rank in range(3)]
    for rank, log in enumerate(logs):
        append(log, f"same\nof {rank}\n")
    with shown(0, 1, 2) as (console, out, _):
        for rank, log in enumerate(logs):
            console.follow(rank, log)
        console.close()
    lines = out.text().splitlines()
    assert "[0-2] same" in lines
    assert sorted(lines[1:]) == ["[rank 0] of 0", "[rank 1] of 1", "[rank 2] of 2"]


def test_a_new_attempt_is_followed_after_the_end_of_the_old_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    append(old, "old\nunfinished")
    append(new, "new\n")
    with shown() as (console, out, _):
        console.follow(0, old)
        console.follow(0, new)
        console.close()
    assert out.text().splitlines() == ["[rank 0] old", "[rank 0] unfinished", "[rank 0] new"]


def test_no_line_of_a_flood_is_lost_or_torn(tmp_path: Path) -> None:
    count, ranks = 30_000, 3
    logs = [tmp_path / f"{rank}.log" for rank in range(ranks)]
    with shown(*range(ranks)) as (console, out, _):
        for rank, log in enumerate(logs):
            console.follow(rank, log)
            with log.open("w") as file:
                file.writelines(f"line {number} of {rank} \u20ac\n" for number in range(count))
        console.close()
    lines = out.text().splitlines()
    for rank in range(ranks):
        mine = [line for line in lines if line.startswith(f"[rank {rank}] ")]
        assert mine == [f"[rank {rank}] line {n} of {rank} \u20ac" for n in range(count)]
    assert len(lines) == count * ranks


def test_a_terminal_that_is_gone_stops_the_output_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "rank_0.log"
    append(log, "x\n" * 100_000)
    reader, writer = os.pipe()
    os.close(reader)
    err = Reader()
    console = TerminalConsole(frozenset({0}), out=writer, err=err.writer)
    console.follow(0, log)
    console.say("still here")
    err.wait_for("still here")
    console.close("launcher: end\n")
    os.close(writer)
    assert err.text().endswith("launcher: end\n")


def test_a_stopped_terminal_blocks_nobody_and_the_rest_is_named(tmp_path: Path) -> None:
    log = tmp_path / "rank_0.log"
    append(log, "x" * 60 + "\n")
    reader, writer = os.pipe()
    err = Reader()
    console = TerminalConsole(frozenset({0}), out=writer, err=err.writer)
    console.follow(0, log)
    assert os.read(reader, 9) == b"[rank 0] "
    append(log, ("y" * 60 + "\n") * 100_000)
    console.close("launcher: end\n")
    os.close(reader)
    os.close(writer)
    text = err.text()
    assert "launcher: end\n" in text
    assert re.search(r"did not keep up; the rest of the output is in\n  .*rank_0\.log\n", text)


def test_a_bug_in_the_live_rows_is_shown_once_and_ends_nothing_but_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    log = tmp_path / "rank_0.log"
    terminal, end = pty.openpty()
    console = TerminalConsole(frozenset({0}), out=end, err=end, live=lambda *size: [1 // 0 * ""])
    said = read_until(terminal, "ZeroDivisionError")
    console.follow(0, log)
    for number in range(3):
        append(log, f"line {number}\n")
        said += read_until(terminal, f"line {number}")
    console.close("launcher: end\n")
    said += read_until(terminal, "launcher: end")
    os.close(end)
    os.close(terminal)
    assert "this is a bug of the launcher: the live rows end here" in said
    assert said.count("Traceback") == 1


def test_closed_streams_do_not_receive_what_is_opened_later() -> None:
    script = (
        "import os\n"
        "from launcher.cli import main\n"
        "main(['--help'])\n"
        "fd = os.open('/dev/null', os.O_RDONLY)\n"
        "os._exit(0 if fd > 2 else 1)\n"
    )
    command = f"exec '{sys.executable}' -c \"$0\" <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command, script], timeout=60).returncode == 0


def test_writing_where_nobody_reads_is_said_and_not_raised() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert write(writer, "x") is False
    os.close(writer)


def test_an_impatient_user_does_not_wait_for_a_slow_terminal(tmp_path: Path) -> None:
    log = tmp_path / "rank_0.log"
    reader, writer = os.pipe()
    append(log, ("y" * 60 + "\n") * 100_000)
    console = TerminalConsole(frozenset({0}), out=writer, err=os.open(os.devnull, os.O_WRONLY))
    console.follow(0, log)
    assert os.read(reader, 9) == b"[rank 0] "
    asked: list[bool] = []
    console.close(hurry=lambda: not asked.append(True))
    assert len(asked) == 1
    os.close(reader)
    os.close(writer)
