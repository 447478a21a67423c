"""Messages name ranks, codes and processes as people do."""

from __future__ import annotations

import pytest

from launcher.plan import SCHEDULER
from launcher.words import processes_in_words, ranks_in_words, status_in_words


@pytest.mark.parametrize(
    ("ranks", "words"),
    [([], "no rank"), ([3], "rank 3"), ([2, 0, 1, 7, SCHEDULER], "ranks 0-2,7")],
)
def test_ranks_are_summed_up(ranks: list[int], words: str) -> None:
    assert ranks_in_words(ranks) == words


@pytest.mark.parametrize(
    ("returncode", "words"),
    [
        (3, "ended with exit code 3"),
        (-9, "was ended by SIGKILL"),
        (-40, "was ended by signal 40"),
    ],
)
def test_an_end_is_told_by_its_code_or_signal(returncode: int, words: str) -> None:
    assert status_in_words(returncode) == words


def test_processes_are_told_by_name_and_pid() -> None:
    assert processes_in_words({7: "sleep of rank 1"}) == "1 process: sleep of rank 1 (pid 7)"
    assert processes_in_words({8: "b", 7: "a"}) == "2 processes: a (pid 7), b (pid 8)"
