"""A real Slurm of two nodes on this machine, for as long as a block or a command lasts.

    python -m tests.e2e.slurm_cluster bash          # a shell in which sinfo, srun, sbatch work

Nodes n1 and n2 are two slurmd beside each other; daemons, state and ports are its own, and all end
with it. Where this process is killed its daemons end, too, but steps of jobs (slurmstepd) and the
folder may stay. Needs root and Debian's packages slurm-wlm and munge.
"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PATH = f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}:/usr/sbin"
_TOOLS = ("munged", "slurmctld", "slurmd", "srun", "sbatch", "scancel", "scontrol", "sinfo")
_LIMIT_S = 60.0
_PORTS = range(10_000, 20_000)
"""Below those that the kernel gives to anybody, and below those of launchers in jobs."""

_CONF = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
CredType=cred/munge
# A requeued job starts again when the credential of its last start has expired: 121 s by default.
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool_%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd_%n.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
InactiveLimit=0
KillWait=60
MessageTimeout=60
JobAcctGatherType=jobacct_gather/none
# Launchers of a job meet at a port made of its number: not that of a Slurm of another test run.
FirstJobId={first_job}
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus}
PartitionName=test Nodes=n1,n2 Default=YES MaxTime=60 State=UP
"""


def why_not() -> str:
    """Return why there can be no Slurm here; "" where there can."""
    missing = [tool for tool in _TOOLS if shutil.which(tool, path=PATH) is None]
    if missing:
        return f"{', '.join(missing)} not installed (apt-get install slurm-wlm munge)"
    return "Slurm's daemons need root here" if os.geteuid() else ""


@contextmanager
def slurm_cluster() -> Iterator[dict[str, str]]:
    """Run a Slurm within the block; yields the environment of its clients."""
    with tempfile.TemporaryDirectory(prefix="slurm_") as name, ExitStack() as stack:
        folder = Path(name)
        environ = {**os.environ, "PATH": PATH, "SLURM_CONF": str(folder / "slurm.conf")}
        _write_files(folder)
        stack.callback(_end_steps, environ["SLURM_CONF"])
        munge = [
            f"--{kind}={folder}/munge.{kind}"
            for kind in ("socket", "key-file", "seed-file", "pid-file")
        ]
        for name, command in {
            "munged": ("munged", "--foreground", "--force", *munge),
            "slurmctld": ("slurmctld", "-D"),
            "n1": ("slurmd", "-D", "-N", "n1"),
            "n2": ("slurmd", "-D", "-N", "n2"),
        }.items():
            stack.enter_context(_daemon(command, folder / f"{name}.log", environ))
        stack.callback(_end_jobs, environ)
        nodes = ("sinfo", "-h", "-t", "idle", "-o", "%D")
        _wait_until(lambda: _ask(nodes, environ) == "2", lambda: _logs(folder))
        yield environ


def _write_files(folder: Path) -> None:
    for name in ("state", "spool_n1", "spool_n2"):
        (folder / name).mkdir()
    key = folder / "munge.key-file"
    key.touch(mode=0o400)
    key.write_bytes(secrets.token_bytes(1024))
    conf = _CONF.format(
        host=socket.gethostname().partition(".")[0],
        folder=folder,
        ports=_free_ports(3),
        first_job=secrets.randbelow(50_000) + 1000,
        cpus=os.cpu_count(),
    )
    (folder / "slurm.conf").write_text(conf)


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        port = _PORTS[secrets.randbelow(len(_PORTS))]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in found and probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
    return found


@contextmanager
def _daemon(command: Sequence[str], log: Path, environ: Mapping[str, str]) -> Iterator[None]:
    libc = ctypes.CDLL(None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=lambda: libc.prctl(1, signal.SIGTERM, 0, 0, 0),  # PR_SET_PDEATHSIG
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_LIMIT_S)


def _end_jobs(environ: Mapping[str, str]) -> None:
    for how in (("--signal=KILL", "--full"), ()):
        _ask(("scancel", *how, "--user=root"), environ)
    _wait_until(lambda: _ask(("squeue", "-h"), environ) == "", lambda: "jobs do not end")


def _end_steps(conf: str) -> None:
    """End what the daemons have left: a slurmstepd may outlive its slurmd."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            is_step = (folder / "comm").read_text().startswith("slurmstepd")
            if is_step and f"SLURM_CONF={conf}".encode() in _environ(folder):
                os.kill(int(folder.name), signal.SIGKILL)


def _environ(folder: Path) -> list[bytes]:
    return (folder / "environ").read_bytes().split(b"\0")


def _ask(command: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return what a client prints; None while the controller does not answer."""
    done = subprocess.run(
        command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    return done.stdout.strip() if done.returncode == 0 else None


def _logs(folder: Path) -> str:
    texts = [f"{log.name}:\n{log.read_text()[-2000:]}" for log in sorted(folder.glob("*.log"))]
    return "\n".join(["the nodes do not become idle", *texts])


def _wait_until(condition: Callable[[], bool], problem: Callable[[], str]) -> None:
    deadline_s = time.monotonic() + _LIMIT_S
    while not condition():
        if time.monotonic() > deadline_s:
            raise TimeoutError(problem())
        time.sleep(0.1)


def main() -> int:
    """Run a command within a Slurm of its own."""
    if len(sys.argv) < 2 or why_not():
        sys.stderr.write(f"{why_not() or __doc__}\n")
        return 2
    with slurm_cluster() as environ:
        return subprocess.run(sys.argv[1:], env={**environ, "PYTHON": sys.executable}).returncode


if __name__ == "__main__":
    sys.exit(main())
