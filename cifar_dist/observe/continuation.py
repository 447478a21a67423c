"""What a run that goes on from a checkpoint finds, and what it makes anew."""

from __future__ import annotations


def comes_before_saving(event: object, step: int, saved_step: int) -> bool:
    """Return whether a record was made before the checkpoint of a step, and so stays.

    After a step comes its training record, or that it is left out, then the checkpoint, then the
    evaluation.

    Args:
        event: the kind of the record.
        step: of the record.
        saved_step: of the checkpoint; 0 where a run begins anew.
    """
    return step < saved_step or (step == saved_step and event in ("train", "left_out"))
