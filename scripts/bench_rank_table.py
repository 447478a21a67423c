"""Times the reading of rank tables and the waiting for one, and judges them.

    python scripts/bench_rank_table.py

The tables and faults are those of tests/launcher; the waiting is seen through the real command
line, on a host made of a temporary folder. Exits with 1 if a limit is passed.
"""

from __future__ import annotations

import gc
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "launcher")]

from fake_host import FakeHost  # noqa: E402
from rank_tables import FORMS, Shape, document  # noqa: E402
from test_rank_table_lint import FAULTS  # noqa: E402

from launcher.rank_table.lint import read_table  # noqa: E402
from launcher.rank_table.problem import is_bad  # noqa: E402

ROUNDS = 5


def main() -> int:
    gc.freeze()  # the tests and their faults, which no launcher has in its memory
    rows = [
        _check_of_faults(),
        _check_of_64_servers(),
        _ten_thousand_ranks(),
        _start_after_completed(),
        _past_the_bound(),
    ]
    return 0 if all(rows) else 1


def _show(name: str, values: Sequence[float], unit: str, limit: float) -> bool:
    low, middle, high = min(values), statistics.median(values), max(values)
    held = high <= limit
    print(
        f"{name:<58} {low:8.3f} {middle:8.3f} {high:8.3f} {unit:<3} limit {limit:g}: "
        f"{'PASS' if held else 'FAIL'}",
        flush=True,
    )
    return held


def _ms(data: bytes) -> tuple[float, bool]:
    """Return how long a table took to check, in ms, and whether it was found bad."""
    begin = time.perf_counter()
    reading = read_table(data)
    return 1000 * (time.perf_counter() - begin), is_bad(reading.problems)


def _check_of_faults() -> bool:
    found = [_ms(json.dumps(broken).encode()) for broken, _ in FAULTS.values()]
    missed = sum(not bad for _, bad in found)
    print(f"{len(found)} tables with one fault each, {missed} not found (rules: the tests)")
    return (
        _show("check of a table with one fault", [ms for ms, _ in found], "ms", 50) and not missed
    )


def _check_of_64_servers() -> bool:
    """The largest tables of the generator: 64 servers of 16, in every form that has so many."""
    shapes = [Shape(form, 64, 8 if form in ("lab", "cloud") else 16, per_pod=8) for form in FORMS]
    found = [_ms(json.dumps(document(shape)).encode()) for shape in shapes for _ in range(ROUNDS)]
    refused = sum(bad for _, bad in found)
    return _show("check of a valid table of 64 servers", [ms for ms, _ in found], "ms", 50) and (
        not refused
    )


def _ten_thousand_ranks() -> bool:
    shapes = [Shape(form, servers=1250, devices=8, per_pod=10) for form in FORMS]
    texts = [json.dumps(document(shape)).encode() for shape in shapes]
    return _show(
        "check of a table of 10,000 ranks", [_ms(text)[0] / 1000 for text in texts], "s", 2
    )


def _start_after_completed() -> bool:
    """A table rewritten in place for 3 s: from its last byte to the start of the first worker."""
    late = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            late.append(_start_after_writing(Path(name)))
    return _show("from 'completed' to the start of the first worker", late, "s", 0.2)


def _start_after_writing(folder: Path) -> float:
    host = FakeHost(folder / "host").devices(8)
    table = folder / "hccl.json"
    table.write_text("")
    text = json.dumps(document(Shape(servers=1, devices=8)), indent=4)
    (folder / "worker.py").touch()
    completed: list[float] = []
    writer = threading.Thread(target=_write_slowly, args=(table, text, completed))
    writer.start()
    done = host.launcher(
        "--rank-table", table, "--rank-table-timeout", "30", "--run-dir", folder / "run",
        "--", folder / "worker.py", cwd=folder,
    )  # fmt: skip
    writer.join()
    if done.returncode != 0:
        raise SystemExit(f"the launcher ended with {done.returncode}: {done.stderr}")
    events = [json.loads(line) for line in (folder / "run/events.jsonl").read_text().splitlines()]
    return min(one["time"] for one in events if one["event"] == "spawn") - completed[0]


def _write_slowly(table: Path, text: str, completed: list[float]) -> None:
    """Write a table in place, byte by byte, over 3 s, as MindX does but slower."""
    with open(table, "w") as file:
        for place, character in enumerate(text):
            file.write(character)
            file.flush()
            time.sleep(3 / len(text) if place % 2 else 0)
    completed.append(time.time())


def _past_the_bound() -> bool:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        host = FakeHost(folder / "host").devices(8)
        table = folder / "hccl.json"
        table.write_text('{"status": "initializing"}')
        done = host.launcher(
            "--rank-table", table, "--rank-table-timeout", "1", "--", "worker.py", cwd=folder
        )
    print(f"past the bound: exit {done.returncode}: {done.stderr.strip()}")
    return done.returncode == 75


if __name__ == "__main__":
    raise SystemExit(main())
