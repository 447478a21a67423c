from __future__ import annotations

import subprocess
import sys

import pytest

import launcher


def test_the_public_names_are_these() -> None:
    assert launcher.__all__ == [
        "LaunchResult",
        "LaunchSpec",
        "LauncherError",
        "NotReadyError",
        "RankTableError",
        "UsageError",
        "main",
        "run",
    ]
    assert dir(launcher) == launcher.__all__
    for name in launcher.__all__:
        assert getattr(launcher, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'start'"):
        launcher.start  # noqa: B018


def test_a_worker_that_imports_the_contract_gets_nothing_else() -> None:
    script = (
        "import sys, launcher.contract\n"
        "print(sorted(name for name in sys.modules if name.startswith('launcher')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "['launcher', 'launcher.contract']\n"
