"""A run under way: where it stands, and what is done between two of its steps.

What is not a step is left out of the times of training; every rank does it after the same steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from cifar_dist.checkpoint.position import Results
from cifar_dist.engine.calendar import saves
from cifar_dist.engine.evaluate import run_evaluation
from cifar_dist.engine.flip_average import FLIPS
from cifar_dist.engine.meter import Meter, Reading
from cifar_dist.engine.outlets import Outlets
from cifar_dist.engine.snapshot import snapshot
from cifar_dist.engine.task import EvalTask, TrainTask
from cifar_dist.engine.vote import StopVote
from cifar_dist.engine.watch import Watch
from cifar_dist.health.pace import own_step_s
from cifar_dist.observe.records import EvalRecord, LeftOutRecord, TrainRecord, finite
from cifar_dist.runtime.profile import StepProfile


@dataclass(eq=False)
class Run:
    """A run after ``step``; ``saved_step`` is the latest one that was given to the disk."""

    task: TrainTask
    outlets: Outlets
    vote: StopVote
    meter: Meter
    watch: Watch
    step: int
    saved_step: int
    results: Results
    reading: Reading | None = None
    profile: StepProfile = field(default_factory=StepProfile)

    @property
    def is_main(self) -> bool:
        return self.task.evaluation.context.is_main

    def report(self) -> None:
        """Record what the steps since the last report were like, and judge their losses."""
        self.reading = reading = self.meter.read()
        self.outlets.record(_train_record(self.task, reading, self.step))
        self.watch.judge(reading, self.step)

    def signs(self) -> dict[str, Any]:
        """Return what a sign of life tells beside where the run is: no device is asked for it."""
        task, reading = self.task, self.reading
        step_s = (reading.step_s if reading else None) or self.meter.step_s_so_far
        return {
            "epochs": task.evaluation.config.train.epochs,
            "total_steps": task.total_steps,
            "loss": finite(reading.loss) if reading else None,
            "accuracy": self.results.last.get("last"),
            "step_ms": 1000 * step_s if step_s else None,
            "images_per_s": task.batches.plan.batch_size / step_s if step_s else None,
            "data_wait_s": self.meter.data_wait_s,
        }

    def start_profile(self) -> None:
        with self.meter.paused():
            self.profile.start()

    def note_profile(self) -> None:
        """End a step that is profiled; after the last one the profile is written."""
        with self.meter.paused(), self.outlets.progress.during("profile"):
            self.profile.note(self.step)

    def leave_out(self) -> None:
        """Let the step pass without its batch, on all ranks."""
        self.task.step.leave_out()
        reason = self.task.left_out[self.step]
        self.outlets.record(LeftOutRecord(self.task.epoch_of(self.step), self.step, reason))

    def check_weights(self) -> None:
        """Judge the weights before they are saved, or on their own."""
        with self.meter.saving():
            self.watch.judge_weights(self.meter, self.step)

    def check_unplanned(self) -> None:
        """Judge losses and weights before they are saved where no report or save is planned."""
        self.vote.takes_long()
        with self.meter.saving():
            self.watch.judge_unreported(self.meter, self.step)
            self.watch.judge_weights(self.meter, self.step)

    def save(self) -> None:
        """Begin to save on rank 0; all ranks give what they alone know."""
        task, outlets = self.task, self.outlets
        with self.meter.saving(), outlets.progress.during("checkpoint"):
            self.vote.takes_long()
            results, recent = self.results, self.watch.recent
            checkpoint = snapshot(task, self.meter, self.step, results=results, recent=recent)
            if self.is_main:
                keep, is_planned = task.evaluation.config.checkpoint.keep, saves(task, self.step)
                outlets.save(checkpoint, keep=keep, is_recorded=is_planned)
            self.saved_step = self.step

    def evaluate(self) -> None:
        """Evaluate the last weights, and their running average where there is one."""
        average, before, accuracies = self.task.step.average_weights, self.results, {}
        with self.meter.paused(), self.outlets.progress.during("evaluate"):
            accuracies["last"] = self._evaluate_one("last")
            if average is not None:
                with average.in_place():
                    accuracies["ema"] = self._evaluate_one("ema")
            self.vote.pace_changes()
            self.task.step.set_train(True)
            saved_step = self.step if saves(self.task, self.step) else None
            self.results = before.plus(accuracies, saved_step=saved_step)
            best = self.results.best_saved
            if self.is_main and best is not None and best != before.best_saved:
                self.outlets.note_best(best.step, best.accuracy)

    def _evaluate_one(self, weights: str) -> float:
        """Evaluate what the network holds, and return its accuracy.

        After the last step the accuracy with flips is told too, where it is asked for.
        """
        found = self._evaluate_as(self.task.evaluation, weights)
        flips = self.task.evaluation.with_flips()
        if flips is not None and self.step == self.task.total_steps:
            self._evaluate_as(flips, weights + FLIPS)
        return found.accuracy

    def _evaluate_as(self, evaluation: EvalTask, weights: str) -> EvalRecord:
        def on_batch() -> None:
            self.outlets.progress.alive()
            self.vote.tick()

        self.vote.pace_changes()
        found = run_evaluation(evaluation, on_batch=on_batch)
        record = replace(found, epoch=self.task.epoch_of(self.step), step=self.step)
        record = replace(record, weights=weights)
        self.outlets.record(record)
        return record


def _train_record(task: TrainTask, reading: Reading, step: int) -> TrainRecord:
    plan, step_s, paces = task.batches.plan, reading.step_s, reading.paces
    return TrainRecord(
        epoch=task.epoch_of(step),
        step=step,
        loss=finite(reading.loss),
        lr=float(task.rates[step - 1]),
        images_per_s=plan.global_batch_size / step_s if step_s else None,
        step_ms=1000 * step_s if step_s else None,
        data_wait_ms=1000 * reading.data_wait_s,
        loss_scale=float(task.step.loss_scale.asnumpy()),
        world_size=plan.world_size,
        skipped_steps=int(task.step.skipped_steps.asnumpy()),
        rank_step_ms=_ms(own_step_s(paces)),
        rank_data_wait_ms=_ms([pace.data_wait_s for pace in paces]),
        rank_stalled_ms=_ms([pace.stalled_s for pace in paces]),
    )


def _ms(times_s: list[float]) -> list[float] | None:
    return [round(1000 * one, 3) for one in times_s] or None
