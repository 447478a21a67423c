"""A data set of CIFAR-10's size and shape, made of noise: nothing is learnt from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cifar_dist.data.cifar10 import FOLDER, RECORD_BYTES, RECORDS_PER_FILE, TEST_FILES, TRAIN_FILES


def write_noise(parent: Path) -> Path:
    """Write six binary files (184 MB) into a new folder and return it."""
    folder = parent / FOLDER
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in (*TRAIN_FILES, *TEST_FILES):
        records = random.integers(0, 256, (RECORDS_PER_FILE, RECORD_BYTES), dtype=np.uint8)
        records[:, 0] %= 10
        (folder / name).write_bytes(records.tobytes())
    return folder
