"""The parts of the benches that measure nothing themselves, and the gate that programs wait at."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from cifar_dist.bench import memory
from cifar_dist.bench.contest import BenchError, Contestant, Running, Together, compete
from cifar_dist.bench.gate import Gate
from cifar_dist.bench.observer import AtGate
from cifar_dist.bench.predict import Machine, Workload, all_reduce_s, predict
from cifar_dist.bench.published import checks
from cifar_dist.bench.reduce import run_ranks
from cifar_dist.bench.result import Comparison, Figure, Result, table
from cifar_dist.bench.settings import Settings
from cifar_dist.bench.spread import Spread, spread, times_faster
from cifar_dist.bench.training import ours
from cifar_dist.cli import main
from cifar_dist.observe.records import TrainRecord

LIMIT_S = 120.0
GATE = "from cifar_dist.bench.gate import Gate\ngate = Gate.from_environ()\n"
TURNS = f"""{GATE}
turn = 0
while gate.wait(turn=turn):
    turn += 1
    with open(sys.argv[1], "a") as file:
        file.write(sys.argv[2])
"""


def contestant(name: str, text: str, *arguments: object) -> Contestant:
    """A program that does what the text says."""
    command = [sys.executable, "-c", f"import signal, sys\n{text}", *map(str, arguments)]
    return Contestant(name, command, steps=5, images=40)


def test_repetitions_are_a_median_between_the_least_and_the_most() -> None:
    found = spread([3.0, 1.0, 1000.0])
    assert found == Spread(1.0, 3.0, 1000.0)
    assert str(found) == "3 (1 to 1,000)"


def test_a_ratio_is_of_the_two_that_ran_after_each_other() -> None:
    assert times_faster([1.0, 2.0], [2.0, 1.0]) == [2.0, 0.5]
    with pytest.raises(ValueError, match="argument 2"):
        times_faster([1.0, 2.0], [2.0])


def test_a_result_is_one_object_and_a_table() -> None:
    own, rival = spread([2.0]), spread([4.0])
    row = Comparison("save", "saving", own, rival, spread([2.0]), "ms", "theirs", target=1.5)
    figure = Figure("wait_percent", "waiting", spread([0.25]), "%", 1.0)
    result = Result("some", (row,), (figure,), ("one rank only",), {"cores": 2})
    values = result.to_json()
    assert (values["bench"], values["machine"]) == ("some", {"cores": 2})
    assert (values["save_ratio"], values["wait_percent"]) == (2.0, 0.25)
    assert [one["what"] for one in values["rows"]] == ["saving", "waiting"]
    assert table([result])[2:] == [
        "| saving | 2 (2 to 2) ms | theirs: 4 (4 to 4) ms | **2.00** (2.00 to 2.00) | >= 1.5 |",
        "| waiting | 0.25 (0.25 to 0.25) % |  |  | <= 1 % |",
        "",
        "- some: one rank only",
    ]


def test_programs_take_turns_and_the_first_turns_do_not_count(tmp_path: Path) -> None:
    order = tmp_path / "order"
    both = [contestant(name, TURNS, order, name) for name in "ab"]
    turns = compete(both, repetitions=2, folder=tmp_path, timeout_s=LIMIT_S)
    assert order.read_text() == "ababab"
    for one in turns.values():
        assert one.facts == [{"turn": 2}, {"turn": 3}]
        assert one.images_per_s == [40 / seconds for seconds in one.seconds]


@pytest.mark.parametrize("steps", [1, 2, 20, 50, 100])
def test_a_stretch_of_ours_ends_with_a_step_that_is_logged(steps: int, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, folder=tmp_path)
    command = ours("one", "lenet5", settings, batch_size=64, steps=steps).command
    (interval,) = [word for word in command if word.startswith("monitor.log_interval=")]
    assert steps % int(interval.partition("=")[2]) == 0


def test_the_gate_waits_after_each_stretch_and_notices_one_that_was_too_long() -> None:
    waits: list[float] = []

    class OpenGate:
        stretch = 4

        def wait(self, *, data_wait_ms: float) -> bool:
            waits.append(data_wait_ms)
            return True

    def step(number: int) -> TrainRecord:
        return TrainRecord(1, number, 0.0, 0.1, None, None, float(number), 1.0, 1)

    gate = AtGate(cast("Gate", OpenGate()))
    for number in (2, 4, 6, 8):
        gate.record(step(number))
    assert waits == [4.0, 8.0]
    with pytest.raises(AssertionError, match="must end with a step that is logged"):
        gate.record(step(16))


def test_programs_that_run_together_are_done_when_all_are(tmp_path: Path) -> None:
    """Each opens a pipe within its turn, which the other one must open too."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    meets = f"{GATE}while gate.wait(): open(sys.argv[1], sys.argv[2]).close()"
    pair = Together(
        "pair", [contestant("reads", meets, pipe, "r"), contestant("writes", meets, pipe, "w")]
    )
    turns = compete([pair], repetitions=2, folder=tmp_path, timeout_s=LIMIT_S)["pair"]
    assert len(turns.seconds) == 2
    assert turns.images_per_s == [80 / seconds for seconds in turns.seconds]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "did not come to its first step"),
        (f"{GATE}gate.wait()\n", "ended or hung within a stretch"),
    ],
)
def test_a_program_that_fails_is_named_with_the_end_of_its_log(
    text: str, said: str, tmp_path: Path
) -> None:
    one = contestant("one", f"{text}sys.exit('there are no images')")
    with pytest.raises(BenchError, match=f"one {said}") as caught:
        compete([one], repetitions=1, folder=tmp_path, timeout_s=LIMIT_S)
    assert "there are no images" in str(caught.value)


def test_a_program_sees_that_the_bench_is_done_with_it(tmp_path: Path) -> None:
    """So that the ranks of a job end, which do not hear of a signal while they wait at the gate."""
    seen = tmp_path / "seen"
    deaf = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    text = f"{deaf}{GATE}while gate.wait(): pass\nopen(sys.argv[1], 'w').close()"
    with Running(contestant("deaf", text, seen), tmp_path, LIMIT_S) as one:
        one.turn()
    assert seen.exists()


def test_ranks_that_fail_are_shown_with_the_end_of_what_they_said() -> None:
    words = "import sys; print('x' * 9999, flush=True); sys.exit('no such model')"
    with pytest.raises(BenchError, match=r"exit code 1; .*\nx+\nno such model"):
        run_ranks([sys.executable, "-c", words], timeout_s=LIMIT_S)


def test_memory_without_a_process_that_computes_is_refused(tmp_path: Path) -> None:
    settings = Settings(tmp_path, tmp_path, timeout_s=LIMIT_S)
    one = contestant("one", TURNS, tmp_path / "order", "a")
    with pytest.raises(BenchError, match="0 processes of one compute, not 1"):
        memory.per_process([one], tmp_path, settings, processes=1)


def test_a_process_that_has_ended_has_no_memory() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(LIMIT_S)
    assert list(memory.sizes_mb(process.pid)) == []


def test_memory_is_beyond_what_as_many_bare_processes_need_in_every_repetition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[tuple[str, int]] = []

    def per_process(
        contestants: Sequence[Contestant], folder: Path, settings: Settings, *, processes: int
    ) -> float:
        assert len({one.name for one in contestants}) == len(contestants)
        name = contestants[0].name.split("_")[-1]
        measured.append((name, processes))
        sizes = {"fixed": 500.0, "0": 300.0, "alone": 600.0, "two": 350.0, "Model.train": 900.0}
        return sizes[name]

    monkeypatch.setattr(memory, "per_process", per_process)
    result = memory.run(Settings(tmp_path, tmp_path, repetitions=4)).to_json()
    assert measured.count(("two", 2)) == measured.count(("0", memory.TOGETHER)) == 4
    assert result["memory_rank_mb"] == 100
    assert result["memory_rank_of_two_mb"] == 50
    assert result["memory_model_train_mb"] == 400


def test_pytorch_is_asked_for_only_where_it_is_a_rival(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "memory", "--torch-python", "python"])
    assert ended.value.code == 2
    assert "--torch-python" in capsys.readouterr().err


WORK = Workload("some", gradient_bytes=100e6, batch_size=32, images_per_s=2000.0)


def test_the_prediction_is_near_what_was_published() -> None:
    assert [abs(check.error) < 0.02 for check in checks(Machine())] == [True] * 4


def test_one_device_waits_for_nobody() -> None:
    alone = predict(WORK, Machine(), 1)
    assert (alone.efficiency, alone.step_s, alone.limit) == (1.0, WORK.compute_s, "network")


def test_a_ring_of_two_sends_and_takes_half_of_the_message_twice() -> None:
    machine = Machine(alpha_s=1e-3, bytes_per_s=1e9)
    assert all_reduce_s(100e6, 2, machine) == pytest.approx(2 * 1e-3 + 0.1)


@pytest.mark.parametrize("devices", [2, 7, 8, 9, 64, 4096])
def test_overlap_helps_and_more_devices_are_never_more_efficient_each(devices: int) -> None:
    hidden, plain = (predict(WORK, Machine(), devices, overlap=one) for one in (True, False))
    assert hidden.exposed_s <= plain.exposed_s == plain.all_reduce_s
    assert plain.efficiency <= hidden.efficiency < predict(WORK, Machine(), 1).efficiency


def test_a_slow_host_is_the_limit_of_a_full_server() -> None:
    machine = Machine(host_images_per_s=4000.0)
    found = predict(WORK, machine, 8)
    assert found.limit == "host"
    assert found.images_per_s == pytest.approx(4000.0)
