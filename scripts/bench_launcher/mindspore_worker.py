"""A worker that would join MindSpore's cluster; rank 1 fails before it registers."""

from __future__ import annotations

import os
import time
from pathlib import Path

import mindspore
from mindspore.communication import init

mindspore.set_device("CPU")
if os.environ.get("MS_ROLE") != "MS_SCHED" and os.environ.get("RANK_ID") == "1":
    moment = Path(os.environ["BENCH_DIR"], "fault.tmp")
    moment.write_text(str(time.monotonic_ns()))
    moment.rename(moment.with_suffix(""))
    raise RuntimeError("the root cause")
init()
time.sleep(600)
