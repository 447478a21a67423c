"""The scheduler's process loads as little of MindSpore as it can; here MindSpore is a stand-in."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import launcher.scheduler

SAYS_NATIVE = "def init_cluster():\n    print('native scheduler')\n"
SAYS_PACKAGE = "def init(backend):\n    print('package scheduler', backend)\n"


def run_scheduler(packages: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, launcher.scheduler.__file__]
    environ = {"PYTHONPATH": str(packages)}
    return subprocess.run(
        command, env=environ, capture_output=True, text=True, check=False, timeout=60
    )


def make_package(folder: Path, **modules: str) -> Path:
    package = folder / "mindspore"
    package.mkdir()
    for name, text in modules.items():
        (package / f"{name}.py").write_text(text)
    return folder


def test_the_native_library_alone_is_loaded(tmp_path: Path) -> None:
    packages = make_package(tmp_path, __init__="raise SystemExit(9)", _c_expression=SAYS_NATIVE)
    done = run_scheduler(packages)
    assert (done.returncode, done.stdout, done.stderr) == (0, "native scheduler\n", "")


def test_a_library_that_lies_elsewhere_is_found_through_the_package(tmp_path: Path) -> None:
    packages = make_package(tmp_path, __init__="value = 1", communication=SAYS_PACKAGE)
    done = run_scheduler(packages)
    assert (done.returncode, done.stdout, done.stderr) == (0, "package scheduler mccl\n", "")


def test_a_library_without_the_function_is_used_through_the_package(tmp_path: Path) -> None:
    native, package = "other = 1", SAYS_PACKAGE
    packages = make_package(tmp_path, __init__="", _c_expression=native, communication=package)
    done = run_scheduler(packages)
    assert (done.returncode, done.stdout) == (0, "package scheduler mccl\n")
