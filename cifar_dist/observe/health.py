"""Samples of host and devices, taken by a thread so that no training step waits for one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from cifar_dist.observe.host_health import HostHealth
from cifar_dist.observe.npu_health import npu_smi, sample_npus

_log = logging.getLogger(__name__)

FIRST_S = 0.5
"""After so long the processor's use is known for the first time."""
_LONGEST_WAIT_S = 5.0
_END_S = 1.0

Numbers = Mapping[str, float]


class Sampler:
    """Call every source soon after the start and then at an interval, in a daemon thread.

    Args:
        sources: each returns numbers under their tags; one that raises is said once and is not
            asked again.
        interval_s: between two samples.
    """

    def __init__(self, sources: list[Callable[[], Numbers]], *, interval_s: float) -> None:
        self._sources = sources
        self._interval_s = interval_s
        self._newest: dict[str, float] = {}
        self._lock = threading.Lock()
        self._first = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def take(self) -> Numbers:
        """Return what was sampled since the last call; nothing where that is nothing.

        The first call waits until there is a sample: a run has one however short it is.
        """
        self._first.wait(_LONGEST_WAIT_S)
        with self._lock:
            newest, self._newest = self._newest, {}
        return newest

    def close(self) -> None:
        """End the thread; one that waits for a tool ends with the process."""
        self._stopped.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        wait_s = min(FIRST_S, self._interval_s)
        while self._sources and not self._stopped.wait(wait_s):
            for source in list(self._sources):
                self._ask(source)
                self._first.set()
            wait_s = self._interval_s
        self._first.set()

    def _ask(self, source: Callable[[], Numbers]) -> None:
        try:
            numbers = source()
            with self._lock:
                self._newest.update(numbers)
        except Exception as error:  # nothing that is only looked at may end a run
            self._sources.remove(source)
            _say_not_sampled(error)


def watch_health(folder: Path, *, interval_s: float) -> Sampler:
    """Begin to sample this host, and its NPUs where there are any.

    A host that cannot be looked at, as in some containers, is said once and left out.

    Args:
        folder: of the run, whose disk is looked at.
        interval_s: between two samples.
    """
    sources: list[Callable[[], Numbers]] = []
    try:
        sources.append(HostHealth(folder).sample)
    except Exception as error:  # nothing that is only looked at may end a run
        _say_not_sampled(error)
    if (tool := npu_smi()) is not None:
        sources.append(lambda: sample_npus(tool))
    return Sampler(sources, interval_s=interval_s)


def _say_not_sampled(error: Exception) -> None:
    _log.warning("health is not sampled any more: %s: %s", type(error).__name__, error)
