"""What saving costs the training loop."""

from __future__ import annotations

import json
from pathlib import Path

from job import Job, finish, require
from verdict import Verdict

LIMIT = 0.02
STEPS, INTERVAL = 40, 20
TIMED = Path(__file__).resolve().parent / "timed_worker.py"
OVERRIDES = (
    "data.source=synthetic",
    "data.synthetic_train_images=6400",
    "data.synthetic_test_images=64",
    "data.global_batch_size=64",
    "eval.in_mid_epoch=false",
    "monitor.tensorboard=false",
    f"checkpoint.interval_steps={INTERVAL}",
    f"train.max_steps={STEPS}",
    "train.epochs=1",
)


def cost(work: Path) -> Verdict:
    """Time what the loop waits for: copies, the watch over the weights, the save before."""
    verdict = Verdict(f"ResNet-18 saved every {INTERVAL} steps: share of the loop's time below 2 %")
    job = Job(work / "cost", 1, OVERRIDES, "none", "resnet18.yaml", (str(TIMED),))

    def trial() -> None:
        finish(job, limit_s=1800)
        times = json.loads((job.run_dir / "times.json").read_text())
        share = times["saving_s"] / times["loop_s"]
        verdict.note = (
            f"{times['saves']} saves, {1000 * times['saving_s'] / times['saves']:.0f} ms each, of "
            f"{times['loop_s']:.1f} s: {100 * share:.2f} %"
        )
        require(share < LIMIT, verdict.note)

    verdict.attempt(trial)
    return verdict
