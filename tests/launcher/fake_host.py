"""Hosts with NPUs on a temporary path: device files, and tools that answer from files.

The answers are the recorded samples; where a sample has fewer devices than the host, its rows are
repeated with other numbers.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TOOL = """#!/bin/sh
cat "{answers}/{tool} $*" 2>/dev/null || {{ echo "Invalid card id."; exit 255; }}
"""
CARDS = "\tTotal Count                    : 8\n\n" + "".join(
    f"\tNPU ID                         : {number}\n\tChip Count                     : 1\n\n"
    for number in range(8)
)
TOOLS = {"npu-smi": "usr/local/bin", "hccn_tool": "usr/local/Ascend/driver/tools"}


@dataclass(frozen=True)
class FakeHost:
    """A root folder that stands for a host."""

    root: Path

    def devices(self, count: int) -> FakeHost:
        (self.root / "dev" / "shm").mkdir(parents=True)
        for name in (*(f"davinci{number}" for number in range(count)), "davinci_manager"):
            (self.root / "dev" / name).touch()
        return self

    def tool(self, tool: str, answers: Mapping[str, str]) -> FakeHost:
        """Make a tool that answers these command lines, and refuses all others."""
        folder = self.root / TOOLS[tool]
        folder.mkdir(parents=True, exist_ok=True)
        kept = self.root / "answers"
        kept.mkdir(exist_ok=True)
        for arguments, text in answers.items():
            (kept / f"{tool} {arguments}").write_text(text)
        script = folder / tool
        script.write_text(TOOL.format(answers=kept, tool=tool))
        script.chmod(0o755)
        return self

    def file(self, path: str, text: str) -> FakeHost:
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return self

    def process(self, pid: int, name: str, *opened: str) -> FakeHost:
        """Make a process in /proc that has these paths open."""
        folder = self.root / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "comm").write_text(f"{name}\n")
        for number, path in enumerate(opened):
            (folder / "fd" / str(number)).symlink_to(path)
        return self

    def launcher(
        self, *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the real command line on this host."""
        return subprocess.run(
            [sys.executable, "-m", "launcher", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "LAUNCHER_HOST_ROOT": str(self.root), **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
        )


def host_910a(root: Path, samples: Path) -> FakeHost:
    """Eight 910A, with hccn_tool, CANN 8.2 and its driver; two RoCE planes of four subnets."""
    info = _text(samples, "npusmi/01")
    calls = _text(samples, "hccn/04").split("/usr/local/Ascend/driver/tools/hccn_tool ")
    addresses = dict(call.split("\n", 1) for call in calls[1:])
    return (
        FakeHost(root)
        .devices(8)
        .tool(
            "npu-smi",
            {
                "info": _with_eight_rows(info),
                "info -l": CARDS,
                "info -m": _text(samples, "npusmi/14"),
                "info -t topo": _text(samples, "npusmi/13"),
            },
        )
        .tool("hccn_tool", {**addresses, **_links(range(8)), **_tls(samples, range(8))})
        .file("usr/local/Ascend/driver/version.info", "Version=23.0.7\npackage_version=23.0.7\n")
        .file("usr/local/Ascend/ascend-toolkit/latest/compiler/version.info", "Version=8.2.RC1\n")
    )


def host_910b(root: Path, samples: Path) -> FakeHost:
    """Eight 910B3 without hccn_tool: addresses stand in /etc/hccn.conf only."""
    answers = {
        "info": _text(samples, "npusmi/04"),
        "info -m": _text(samples, "npusmi/15"),
        "info -t topo": _text(samples, "npusmi/10"),
    }
    return (
        FakeHost(root)
        .devices(8)
        .tool("npu-smi", answers)
        .file("etc/hccn.conf", _text(samples, "hccn/02"))
        .file("usr/local/Ascend/ascend-toolkit/latest/compiler/version.info", "Version=8.5.0\n")
    )


def host_a3(root: Path, samples: Path) -> FakeHost:
    """An A3 with 16 dies, of which 8 to 15 are held by processes; a super pod."""
    place = _text(samples, "npusmi/19")
    answers = {"info": _text(samples, "npusmi/06")}
    for die in range(16):
        sdid = str(167772160 + die)
        answers[f"info -t spod-info -i {die // 2} -c {die % 2}"] = place.replace("167772160", sdid)
    host = FakeHost(root).tool("npu-smi", answers).tool("hccn_tool", _links(range(16)))
    for name in _text(samples, "npusmi/25").split():
        host.file(f"dev/{name}", "")
    return host.file(
        "usr/local/Ascend/ascend-toolkit/latest/compiler/version.info", "Version=9.1.0\n"
    )


def _text(samples: Path, start: str) -> str:
    folder, _, number = start.partition("/")
    return next((samples / folder).glob(f"{number}_*")).read_text(encoding="utf-8")


def _with_eight_rows(info: str) -> str:
    """Return the table of four cards with four more, numbered 4 to 7."""
    rows = re.findall(r"^\| [0-3] +910A .*\n.*\n.*\n", info, re.MULTILINE)
    more = "".join(row.replace(f"| {n} ", f"| {n + 4} ", 1) for n, row in enumerate(rows))
    last = info.index(rows[-1]) + len(rows[-1])
    return info[:last] + more + info[last:]


def _links(devices: Sequence[int]) -> dict[str, str]:
    return {f"-i {number} -link -g": "link status: UP\n" for number in devices}


def _tls(samples: Path, devices: Sequence[int]) -> dict[str, str]:
    line = _text(samples, "hccn/08").splitlines()[0]
    return {
        f"-i {number} -tls -g": line.replace("dev_id:0", f"dev_id:{number}") + "\n"
        for number in devices
    }
