"""Known signatures of failures: one line of cause and remedy each.

Codes of HCCL and CANN are those of Huawei's HCCL fault diagnosis and MindSpore's list of CANN
errors; the rest was met with MindSpore 2.10 itself. The first row that matches wins, so the
specific ones stand first.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable

_FIRST_RANK = "every other rank ends so when one is lost: look at the earliest failure"

_SIGNATURES: tuple[tuple[str, str], ...] = (
    (r"MS_SCHED_PORT.{0,40}occupied|scheduler.{0,60}[Aa]ddress already in use",
     "the scheduler's port is in use: leave --master-port out to get a free one"),
    (r"Won't reassign rank id",
     "ranks of MindSpore and of the rank table differ, which ends in a hang: give each server its "
     "pod_ip, or leave the rank table out"),
    (r"EI0001", "an HCCL environment variable is not valid: the message names value and range"),
    (r"EI0002", "a collective waited for a rank that is late or gone: " + _FIRST_RANK),
    (r"EI0004|EI0014|EI0017", "HCCL refuses the rank table: check its addresses, ids and version"),
    (r"EI0005", "ranks called a collective with other shapes or types: the same code and recipe "
     "must run on all"),
    (r"EI0006|EI0015",
     "a rank never arrived: " + _FIRST_RANK + "; then HCCL_CONNECT_TIMEOUT, the links "
     "(hccn_tool -i N -net_health -g) and TLS (hccn_tool -i N -tls -g)"),
    (r"EI0007|EI0011|out of memory on (?:device|NPU)|Malloc device memory failed|EL0004|\b207001\b",
     "the NPU has no memory left: a smaller data.batch_size, or end other processes on the device"),
    (r"EI0008", "HCCL versions differ between nodes: install the same CANN everywhere"),
    (r"EI0010", "these NPUs cannot reach each other directly: try HCCL_INTRA_ROCE_ENABLE=1"),
    (r"EI0012|EI0013|EI0018", "the connection to a peer broke: " + _FIRST_RANK),
    (r"EI0016", "ranks are configured differently, often TLS: hccn_tool -i N -tls -g on all"),
    (r"EI0019|EI0020|EJ0003",
     "HCCL could not bind its port (60000-60031): end a stale process, or set HCCL_IF_BASE_PORT"),
    (r"EJ0001|last training process is running",
     "the last job still holds the NPU: wait about 10 s after it has ended, then start again"),
    (r"EJ0002|EJ0004", "an NPU's network port is down: hccn_tool -i N -link -g and -ip -g"),
    (r"EE1001|\b107001\b|invalid device id",
     "the device id does not exist here: compare --devices, ASCEND_RT_VISIBLE_DEVICES and npu-smi "
     "info"),
    (r"\b5070(?:33|11|15)\b",
     "the NPU reported a fault: npu-smi info -t health, and the device log in ~/ascend/log"),
    (r"Failed to connect to the meta server|state of the cluster is error|timed out node",
     "MindSpore's cluster lost a member: " + _FIRST_RANK),
    (r"HCCL_EXEC_TIMEOUT|HcclWatch",
     "a collective did not end in time: one rank is behind or gone; compare their last steps"),
    (r"libhccl|libascend|libge_|libruntime\.so|ASCEND_HOME_PATH|ASCEND_OPP_PATH",
     "CANN is not found: source its set_env.sh in this shell, and check its version"),
    (r"libgomp[^\n]*(?:TLS|static)|cannot allocate memory in static TLS",
     "libgomp was loaded too late: export LD_PRELOAD with the path of that libgomp.so"),
    (r"([\w.+-]+\.so[\w.]*): cannot open shared object file",
     "a shared library is missing: install it, or add its folder to LD_LIBRARY_PATH"),
    (r"ModuleNotFoundError: No module named '(?P<what>[^']+)'",
     "'{what}' is not installed for this Python: pip install it, or start the launcher with the "
     "Python that has it"),
    (r"only (?:length-1|0-dimensional) arrays can be converted to Python scalars"
     r"|np\.(?:float|int|bool)\b.{0,20}(?:removed|deprecated)|module 'numpy' has no attribute",
     "this code was written for an older NumPy: change the call, or install numpy<2"),
    (r"No space left on device|ENOSPC|Errno 28",
     "a disk is full: df -h on the run directory, the data folder, /tmp and /dev/shm"),
    (r"Bus error|SIGBUS|shared memory.{0,40}(?:fail|full)",
     "shared memory is full: df -h /dev/shm; in a container give it more (--shm-size)"),
    (r"Too many open files|Errno 24", "too many open files: raise ulimit -n"),
    (r"MemoryError|Cannot allocate memory|std::bad_alloc",
     "the host has no memory left: fewer workers, a smaller batch, or fewer loader processes"),
    (r"Permission denied|PermissionError",
     "no permission for that file or device: check owner and mode, and the group of /dev/davinci*"),
    (r"Address already in use|Errno 98",
     "a port is in use: ss -ltnp shows by whom; a stale process of an earlier run is likely"),
    (r"set_device.{0,80}(?:before|already)|initiali[sz]ed already",
     "the device was set too late: mindspore.set_device must come before init() and any tensor"),
    (r"\bCRC\b|checksum (?:mismatch|differs|is wrong)|file (?:is|may be) (?:corrupt|damaged)",
     "a file is damaged: fetch or write it again"),
)  # fmt: skip

_BY_SIGNAL = {
    signal.SIGKILL: "if memory is short: fewer workers or a smaller batch; dmesg shows the memory "
    "killer where it may be read",
    signal.SIGSEGV: "a crash in native code: the stack below or in the log shows where; a mix of "
    "library versions is likely",
    signal.SIGILL: "an instruction that this CPU does not have: install builds for this machine",
    signal.SIGBUS: "shared memory or a mapped file is short: df -h /dev/shm, and --shm-size in a "
    "container",
    signal.SIGABRT: "native code gave up: its reason stands above in the log",
    signal.SIGFPE: "a division by zero or the like in native code: see the stack in the log",
    signal.SIGTERM: "look for who sent it: a queue's limit, an operator, or MindSpore's cluster "
    "after losing a rank",
}


def find_hint(texts: Iterable[str], returncode: int | None = None) -> str:
    """Return cause and remedy for a failure, empty where it is not a known one.

    Args:
        texts: message, traceback and log lines; earlier ones are believed first.
        returncode: Popen's; a signal has a hint of its own where no text matches.
    """
    for text in texts:
        for pattern, hint in _SIGNATURES:
            match = re.search(pattern, text)
            if match:
                return hint.format(**match.groupdict()) if match.groupdict() else hint
    if returncode is not None and returncode < 0:
        return next((hint for number, hint in _BY_SIGNAL.items() if number == -returncode), "")
    return ""
