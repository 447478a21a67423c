"""Fixtures that every test may use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import Chromium, find_chromium

ROOT = Path(__file__).resolve().parent.parent
_OF_A_JOB = ("LAUNCHER_", "MS_", "RANK_", "DEVICE_", "HCCL_", "ASCEND_", "OMPI_", "PMIX_", "SLURM_")


def pytest_configure() -> None:
    """Let no test inherit ignored signals: from nohup, or from a shell's background job."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the variables of a job that happens to run it."""
    for name in list(os.environ):
        if name.startswith(_OF_A_JOB):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published samples and real images beside the checkout; skips without it."""
    folder = Path(os.environ.get("CIFAR_DIST_SHARED", ROOT.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no published samples at {folder}")
    return folder


@pytest.fixture(scope="session")
def cifar10_dir(shared: Path) -> Path:
    """The real CIFAR-10 in its binary layout; skips without it."""
    folder = shared / "cifar10" / "cifar-10-batches-bin"
    if not folder.is_dir():
        pytest.skip(f"no CIFAR-10 images at {folder}")
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """A browser; skips without one."""
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium here: install the package chromium, or name one in CHROMIUM")
    with Chromium(path) as browser:
        yield browser
