"""A disk that fills or cannot be written, and checkpoints that are damaged or of another run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from job import SMALL, Job, damaged, differences, finish, require
from verdict import Verdict

from cifar_dist.checkpoint.choose import AUTO, choose
from cifar_dist.checkpoint.format import MANIFEST, Checkpoint
from cifar_dist.checkpoint.store import list_checkpoints, load_checkpoint
from cifar_dist.errors import CheckpointError

NEEDS_ROOT = "only root can mount a small file system"
SHORT = (*SMALL, "train.max_steps=24")
LONG = (*SMALL, "train.max_steps=32")


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """Mount 8 MB of memory at a folder; False where that is not allowed."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    is_mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def full(work: Path) -> Verdict:
    """Let a disk fill while checkpoints are saved; then make room and go on."""
    verdict = Verdict("a file system of 8 MB fills while saving: said once, nothing lost")
    with small_disk(work / "full") as is_mounted:
        if is_mounted:
            verdict.attempt(lambda: _fill(Job(work / "full" / "run")))
        else:
            verdict.skipped = NEEDS_ROOT
    return verdict


def _fill(job: Job) -> str:
    log_elsewhere = job.run_dir.parent.parent / "full_run.log"
    said = _said(finish_anyhow(job.plus("checkpoint.keep=100"), log_elsewhere))
    require("No space left on device" in said, f"nothing is said of the full disk:\n{said[-2000:]}")
    require("Traceback" not in said, f"a traceback:\n{said[-2000:]}")
    saved = list_checkpoints(job.run_dir / "ckpt")
    require(len(saved) >= 3, f"only {len(saved)} checkpoints")
    require(not damaged(job.run_dir), f"damaged: {damaged(job.run_dir)}")
    newest = load_checkpoint(saved[-1]).step
    for path in saved[:-1]:
        shutil.rmtree(path)
    again = finish_anyhow(job.plus("checkpoint.keep=2"), log_elsewhere)
    require(again[0] == 0, f"with room again it ended with {again[0]}:\n{again[1][-2000:]}")
    require(f"after step {newest}" in again[1], f"it did not go on after step {newest}")
    return f"{len(saved)} checkpoints fitted"


def _said(ended: tuple[int, str]) -> str:
    code, said = ended
    require(code in (0, 1), f"it ended with {code}:\n{said[-2000:]}")
    return said


def finish_anyhow(job: Job, log: Path) -> tuple[int, str]:
    """Run a job to its end; return its exit code and what was said this time, logs included."""
    with log.open("w+b") as file:
        code = subprocess.run(
            job.command, cwd=log.parent, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
            timeout=300, check=False,
        ).returncode  # fmt: skip
    return code, log.read_text(errors="replace")


def read_only(work: Path) -> Verdict:
    """Start in a run directory that cannot be written."""
    verdict = Verdict("a read-only run directory: one message, exit code 2")
    with small_disk(work / "read_only") as is_mounted:
        if not is_mounted:
            verdict.skipped = NEEDS_ROOT
            return verdict
        folder = work / "read_only"
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        verdict.attempt(lambda: _refused(Job(folder / "run"), work / "read_only.log"))
    return verdict


def _refused(job: Job, log: Path) -> None:
    code, said = finish_anyhow(job, log)
    require(code == 2, f"exit code {code}:\n{said[-2000:]}")
    require("Read-only file system" in said, f"the cause is not said:\n{said[-2000:]}")
    require("Traceback" not in said, f"a traceback:\n{said[-2000:]}")


def damages(work: Path, places: int, runs: int, *, seed: int) -> list[Verdict]:
    """Cut the newest checkpoint at many places, flip a bit at as many others.

    Args:
        work: where runs are made.
        places: of each kind of damage.
        runs: of each kind how many are gone on with as a whole run; the others are only chosen.
        seed: of the places.
    """
    base, whole = Job(work / "damage" / "base", overrides=SHORT), Job(work / "damage" / "whole")
    finish(base)
    finish(whole.plus(*LONG[len(SMALL) :]))
    found = []
    for kind, spoil in (("cut", _cut), ("one bit flipped", _flip)):
        verdict = Verdict(f"the newest checkpoint {kind}: named, the one before is taken")
        dice = random.Random(f"{seed} {kind}")
        for number in range(places):
            job = Job(work / "damage" / f"{kind[:3]}_{number}", overrides=LONG)
            verdict.attempt(
                lambda job=job, spoil=spoil, number=number, dice=dice: _spoiled(
                    base, job, whole if number < runs else None, lambda path: spoil(path, dice)
                )
            )
        verdict.note = f"{runs} of them run to their end, equal to the undisturbed run"
        found.append(verdict)
    return found


def _spoiled(base: Job, job: Job, whole: Job | None, spoil: Callable[[Path], str]) -> str:
    shutil.copytree(base.run_dir, job.run_dir)
    *_, before, newest = list_checkpoints(job.run_dir / "ckpt")
    name = spoil(newest)
    good = load_checkpoint(before)
    choice = choose(AUTO, job.run_dir / "ckpt")
    require(choice.path == before, f"{job.run_dir}: {choice.path} was taken")
    require(_same(choice.checkpoint, good), f"{before} was not read as it is")
    require(len(choice.notes) == 1, f"notes: {choice.notes}")
    require(str(newest) in choice.notes[0], f"not named: {choice.notes[0]}")
    if whole is not None:
        said = finish(job)
        require(said.count("passed over") == 1, f"not one message:\n{said[-2000:]}")
        require(not (found := differences(whole.run_dir, job.run_dir)), "; ".join(found))
    shutil.rmtree(job.run_dir)
    return name


def _same(one: Checkpoint | None, other: Checkpoint) -> bool:
    return one is not None and all(
        array.tobytes() == one.arrays[name].tobytes() for name, array in other.arrays.items()
    )


def _cut(path: Path, dice: random.Random) -> str:
    part = dice.choice(sorted(path.iterdir()))
    os.truncate(part, dice.randrange(part.stat().st_size))
    return part.name


def _flip(path: Path, dice: random.Random) -> str:
    part = dice.choice(sorted(path.iterdir()))
    content = bytearray(part.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    part.write_bytes(content)
    return part.name


def foreign(work: Path) -> Verdict:
    """Put the manifest, and then the whole checkpoint, of another run in place of our own."""
    verdict = Verdict("a manifest or a checkpoint from another run: refused or passed over")
    base = Job(work / "foreign" / "base", overrides=SHORT)
    other = Job(work / "foreign" / "other", overrides=(*SHORT, "train.seed=5"))
    finish(base)
    finish(other)
    verdict.attempt(lambda: _with_manifest(base, other, work / "foreign" / "manifest"))
    verdict.attempt(lambda: _with_checkpoint(base, other, work / "foreign" / "checkpoint"))
    return verdict


def _with_manifest(base: Job, other: Job, run_dir: Path) -> str:
    def swap(path: Path) -> str:
        shutil.copy(other.run_dir / "ckpt" / path.name / MANIFEST, path / MANIFEST)
        return MANIFEST

    return _spoiled(base, Job(run_dir, overrides=LONG), None, swap)


def _with_checkpoint(base: Job, other: Job, run_dir: Path) -> str:
    shutil.copytree(base.run_dir, run_dir)
    newest = list_checkpoints(run_dir / "ckpt")[-1]
    shutil.rmtree(newest)
    shutil.copytree(other.run_dir / "ckpt" / newest.name, newest)
    job = Job(run_dir, overrides=LONG)
    said = finish(job, expected=2)
    require("train.seed: 5 in the checkpoint, 0 now" in said, f"not refused:\n{said[-2000:]}")
    require(not _lost(base, job), f"lost: {_lost(base, job)}")
    return "checkpoint"


def _lost(base: Job, job: Job) -> list[str]:
    """Return the checkpoints of the base that are no longer readable in a copy of it."""
    found = []
    for path in list_checkpoints(base.run_dir / "ckpt"):
        try:
            load_checkpoint(job.run_dir / "ckpt" / path.name)
        except CheckpointError:
            found.append(path.name)
    return found
