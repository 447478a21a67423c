"""A worker without a framework, for every launcher: worker.py OTHERS CULPRIT RANK WORLD [VALUE].

One rank behaves as CULPRIT says, as soon as all are ready; the others as OTHERS says. What happens
is left in the folder BENCH_DIR: ready_R, fault (the moment of the fault), term_R (the moment of a
SIGTERM), each holding CLOCK_MONOTONIC nanoseconds.
"""

from __future__ import annotations

import time

STARTED_NS = time.monotonic_ns()

import atexit  # noqa: E402
import ctypes  # noqa: E402
import errno  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

FOLDER = os.environ["BENCH_DIR"]


def leave(name: str, moment_ns: int | None = None) -> None:
    """Write a moment to a file, whole or not at all."""
    path = f"{FOLDER}/{name}"
    with open(f"{path}.tmp", "w") as file:
        file.write(str(time.monotonic_ns() if moment_ns is None else moment_ns))
    os.rename(f"{path}.tmp", path)


def wait_for(name: str) -> None:
    while not os.path.exists(f"{FOLDER}/{name}"):
        time.sleep(0.005)


def wait_for_all(world: int, prefix: str = "ready_") -> None:
    while len(left_by_others(prefix)) < world:
        time.sleep(0.01)


def left_by_others(prefix: str) -> list[str]:
    return [name for name in os.listdir(FOLDER) if name.startswith(prefix) and "tmp" not in name]


def own_rank() -> int:
    for name in ("RANK_ID", "RANK", "MS_NODE_ID"):
        if os.environ.get(name, "").isdecimal():
            return int(os.environ[name])
    return int(os.environ.get("DEVICE_ID", "0"))


def sleep() -> None:
    time.sleep(600)


def ignore() -> None:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sleep()


def note_term() -> None:
    def note(number: int, frame: object) -> None:
        moment_ns = time.monotonic_ns()
        time.sleep(1)  # as if saving: the end of one worker must not delay another's handler
        leave(f"term_{RANK}", moment_ns)
        os._exit(0)

    signal.signal(signal.SIGTERM, note)
    leave(f"handler_{RANK}")
    while True:
        signal.pause()


def grandchild() -> None:
    """Have a child in a session of its own that ignores what is polite."""
    if os.fork() == 0:
        os.setsid()
        leave(f"grandchild_{RANK}")
        ignore()
    sleep()


def chatter() -> None:
    while True:
        print("working", flush=True)
        time.sleep(0.05)


def suffer() -> None:
    """Fail because another rank has failed, and be quicker to go than that one."""
    wait_for("fault")
    raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))


def slow_culprit() -> None:
    """Fail first, but take a while to go."""
    atexit.register(time.sleep, 0.3)
    leave("fault")
    raise RuntimeError("the root cause")


def hang_sleep() -> None:
    leave("fault")
    sleep()


def hang_stop() -> None:
    leave("fault")
    os.kill(os.getpid(), signal.SIGSTOP)
    sleep()


def hang_lock() -> None:
    leave("fault")
    ctypes.PyDLL(None).sleep(600)


def die(number: int) -> None:
    leave("fault")
    os.kill(os.getpid(), number)
    sleep()


def fail() -> None:
    leave("fault")
    raise RuntimeError("the root cause")


def fail_to_import() -> None:
    leave("fault")
    import no_such_module_anywhere  # noqa: F401


def leave_with(code: int) -> None:
    leave("fault")
    sys.exit(code)


def print_lines(numbers: range) -> None:
    """Print numbered lines of 100 characters."""
    body = "x" * (100 - len(f"{RANK} {0:09d} \n"))
    for number in numbers:
        print(f"{RANK} {number:09d} {body}", flush=True)


def flood(count: int) -> None:
    print_lines(range(count))
    leave(f"flooded_{RANK}")


def flood_and_die(count: int, world: int) -> None:
    """Die by SIGKILL with the last line, when the others have printed all of theirs."""
    print_lines(range(count - 1000))
    wait_for_all(world - 1, "flooded_")
    print_lines(range(count - 1000, count))
    os.kill(os.getpid(), signal.SIGKILL)


def use_port() -> None:
    """Leave the scheduler's port, once the scheduler listens there."""
    port = int(os.environ["MS_SCHED_PORT"])
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.2)
    leave(f"port_{RANK}", port)


def bursts(steps: int, step_s: float) -> None:
    """Take steps of which some last ten times as long; even ranks write heartbeats."""
    import random

    from launcher.contract import Progress, RankEnv, RunPaths, write_record

    own = RankEnv.from_environ(os.environ)
    path = RunPaths(own.run_dir).progress(RANK) if own.run_dir else None
    draw = random.Random(RANK)
    for step in range(steps):
        time.sleep(step_s * (10 if draw.random() < 0.1 else 1))
        if path is not None and RANK % 2 == 0:
            write_record(Progress(RANK, "train", step=step + 1, time=time.time()), path)
        else:
            print("step", step, flush=True)


BEHAVIOURS = {
    "sleep": sleep,
    "ignore": ignore,
    "note_term": note_term,
    "grandchild": grandchild,
    "chatter": chatter,
    "suffer": suffer,
    "slow_culprit": slow_culprit,
    "hang_sleep": hang_sleep,
    "hang_stop": hang_stop,
    "hang_lock": hang_lock,
    "raise": fail,
    "import": fail_to_import,
    "exit_3": lambda: leave_with(3),
    "kill": lambda: die(signal.SIGKILL),
    "segv": lambda: die(signal.SIGSEGV),
    "abort": lambda: die(signal.SIGABRT),
    "flood": lambda: flood(int(VALUE) * 10_000),
    "flood_and_die": lambda: flood_and_die(int(VALUE) * 10_000, int(world)),
    "port": use_port,
    "bursts": lambda: bursts(int(VALUE), 0.05),
    "end": lambda: None,
}

if __name__ == "__main__":
    if os.environ.get("MS_ROLE") == "MS_SCHED":
        sys.exit(0)
    RANK = own_rank()
    others, culprit, culprit_rank, world = sys.argv[1:5]
    VALUE = sys.argv[5] if len(sys.argv) > 5 else "0"
    leave(f"ready_{RANK}", STARTED_NS)
    if int(culprit_rank) == RANK:
        wait_for_all(int(world))
        if others == "grandchild":
            time.sleep(0.05)
        BEHAVIOURS[culprit]()
    else:
        BEHAVIOURS[others]()
