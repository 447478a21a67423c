"""Where a run starts: anew, or from the newest checkpoint that is whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cifar_dist.checkpoint.format import CONFIG, Checkpoint
from cifar_dist.checkpoint.position import Position
from cifar_dist.checkpoint.rules import check_same_run
from cifar_dist.checkpoint.store import find_checkpoint, list_checkpoints, load_checkpoint
from cifar_dist.config import Config, load_config
from cifar_dist.errors import CheckpointError

NONE, AUTO = "none", "auto"


@dataclass(frozen=True, eq=False)
class Choice:
    """A checkpoint and its folder, or neither; ``notes`` say which were passed over, and why."""

    path: Path | None = None
    checkpoint: Checkpoint | None = None
    notes: tuple[str, ...] = ()


def choose(asked: str, folder: Path, *, before: int | None = None) -> Choice:
    """Return where to start.

    Args:
        asked: "none", "auto" (the newest whole one of ``folder``; none is no error), or the path of
            a run directory (its newest whole one) or of a checkpoint.
        folder: ``ckpt`` of this run.
        before: for "auto": only checkpoints of earlier steps, and it is no error that none of them
            is whole.

    Raises:
        CheckpointError: the path that was asked for has no checkpoint, or a damaged one; or all
            that ``folder`` has are damaged.
    """
    if asked == NONE:
        return Choice()
    if asked == AUTO:
        return _newest_whole(folder, before)
    found = find_checkpoint(Path(asked))
    if found.absolute() == Path(asked).absolute():
        return Choice(found, load_checkpoint(found))
    return _newest_whole(found.parent)


def check_choice(
    choice: Choice, config: Config, *, global_batch_size: int
) -> tuple[Config, Position]:
    """Refuse to go on from the checkpoint of a run that was another one.

    Args:
        choice: of a checkpoint.
        config: the recipe to go on with.
        global_batch_size: images per step over all ranks now.

    Returns:
        the checkpoint's recipe, and where its run stood.

    Raises:
        CheckpointError: they do not fit; the message names all keys that differ.
    """
    assert choice.path is not None
    assert choice.checkpoint is not None
    saved = load_config(choice.path / CONFIG).config
    position = Position.of(choice.checkpoint.state, origin=choice.path)
    check_same_run(
        saved,
        config,
        position=position,
        global_batch_size=global_batch_size,
        origin=choice.path,
    )
    return saved, position


def _newest_whole(folder: Path, before: int | None = None) -> Choice:
    notes: list[str] = []
    for path in reversed(list_checkpoints(folder, before=before)):
        try:
            return Choice(path, load_checkpoint(path), tuple(notes))
        except CheckpointError as error:
            notes.append(f"passed over: {error}")
    if notes and before is None:
        shown = "\n  ".join(notes)
        raise CheckpointError(
            f"every checkpoint in {folder} is damaged: start anew with --resume none and another "
            f"--run-dir\n  {shown}"
        )
    return Choice(notes=tuple(notes))
