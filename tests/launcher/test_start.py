"""What is loaded until the first worker is started decides how soon that is: each module takes 0.3
to 3 ms, and inspect (of dataclasses) with all that it needs 10."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BOOT, LONG_S

LAUNCHER = """
import json, os, sys
from launcher.cli import main
from launcher.supervision import group

def show(*given, **more):
    print(json.dumps(sorted(sys.modules)), flush=True)
    os._exit(0)

group.start = show
main(sys.argv[1:])
"""
NOT_BEFORE_THE_FIRST_WORKER = {
    "argparse",
    "ast",
    "asyncio",
    "bz2",
    "concurrent",
    "dataclasses",
    "email",
    "gettext",
    "hashlib",
    "http",
    "importlib.metadata",
    "importlib.util",
    "inspect",
    "logging",
    "lzma",
    "multiprocessing",
    "random",
    "shutil",
    "socket",
    "ssl",
    "tempfile",
    "textwrap",
    "traceback",
    "uuid",
    "yaml",
    "launcher.cluster.load",
    "launcher.diagnosis.hints",
    "launcher.diagnosis.report",
    "launcher.diagnosis.verdict",
    "launcher.doctor",
    "launcher.environments",
    "launcher.host.npu",
    "launcher.manual",
    "launcher.peers",
    "launcher.places",
    "launcher.rank_table",
    "launcher.recipe",
    "launcher.report",
    "launcher.several",
    "launcher.status",
    "launcher.supervision.stacks",
    "launcher.team",
}


def loaded(*arguments: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=True, timeout=LONG_S, text=True
    )
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("options", [(), ("--console", "none", "--rendezvous", "none")])
def test_the_first_worker_does_not_wait_for_what_it_does_not_need(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "script.py").touch()
    where = ("--nproc", "1", "--run-dir", str(tmp_path / "run"), *options)
    found = loaded("-c", LAUNCHER, *where, "--", str(tmp_path / "script.py"))
    assert "launcher.supervision.supervisor" in found
    assert found & NOT_BEFORE_THE_FIRST_WORKER == set()


def test_a_worker_loads_next_to_nothing_before_its_script(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\nfound = sorted(sys.modules)\nimport json\nprint(json.dumps(found))\n"
    )
    more = loaded(str(BOOT), str(script)) - loaded(str(script))
    needed = {"faulthandler", "threading", "collections", "functools", "itertools", "keyword"}
    needed |= {"operator", "reprlib", "types"}
    assert {name for name in more if not name.startswith("_")} <= needed
