"""A worker that would join MindSpore's cluster; rank 1 fails before it registers."""

from __future__ import annotations

import os
import time
from pathlib import Path

import mindspore
from mindspore.communication import init

mindspore.set_device("CPU")
if os.environ.get("MS_ROLE") != "MS_SCHED" and os.environ.get("RANK_ID") == "1":
    Path(os.environ["BENCH_DIR"], "fault").write_text(str(time.monotonic_ns()))
    raise RuntimeError("the root cause")
init()
time.sleep(600)
