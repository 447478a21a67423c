"""A training run under measurement: it stops after each stretch until it is told to go on."""

from __future__ import annotations

from cifar_dist.bench.gate import Gate
from cifar_dist.observe.records import Record, TrainRecord


class AtGate:
    """Wait at the gate whenever a stretch is full; end the run where the bench is gone."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._due = gate.stretch

    def record(self, record: Record) -> None:
        if not isinstance(record, TrainRecord) or record.step < self._due:
            return
        assert record.step == self._due, "a stretch must end with a step that is logged"
        self._due += self._gate.stretch
        if not self._gate.wait(data_wait_ms=record.data_wait_ms):
            raise SystemExit(0)

    def sync(self) -> None:
        return

    def close(self) -> None:
        return
