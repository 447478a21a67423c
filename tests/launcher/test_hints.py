from __future__ import annotations

import pytest

from launcher.diagnosis.hints import find_hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("RuntimeError: MS_SCHED_PORT 8118 is occupied", "--master-port"),
        ("[WARNING] Won't reassign rank id", "pod_ip"),
        ("EI0001: Environment variable HCCL_IF_IP is invalid", "environment variable"),
        ("EI0002: The wait execution of the Notify register times out", "earliest failure"),
        ("EI0004: The ranktable is invalid", "rank table"),
        ("EI0006: Getting socket times out", "HCCL_CONNECT_TIMEOUT"),
        ("EI0016: TLS differs", "tls"),
        ("EI0019: bind port 60000 failed", "HCCL_IF_BASE_PORT"),
        ("EJ0001: Failed to initialize the HCCP process", "10 s"),
        ("EE1001: The argument is invalid. Reason: invalid device id", "--devices"),
        ("error code 507033", "npu-smi"),
        ("Failed to connect to the meta server", "earliest failure"),
        ("ImportError: libhccl.so: cannot open shared object file", "set_env.sh"),
        ("ImportError: /x/libgomp-d22c.so: cannot allocate memory in static TLS block",
         "LD_PRELOAD"),
        ("OSError: libgl.so.1: cannot open shared object file: No such file", "LD_LIBRARY_PATH"),
        ("ModuleNotFoundError: No module named 'mindspore'", "'mindspore' is not installed"),
        ("TypeError: only 0-dimensional arrays can be converted to Python scalars", "numpy<2"),
        ("AttributeError: module 'numpy' has no attribute 'float'", "numpy<2"),
        ("OSError: [Errno 28] No space left on device", "df -h"),
        ("RuntimeError: DataLoader worker is killed by signal: Bus error", "/dev/shm"),
        ("OSError: [Errno 24] Too many open files", "ulimit"),
        ("MemoryError", "fewer workers"),
        ("PermissionError: [Errno 13] Permission denied: '/data'", "owner and mode"),
        ("OSError: [Errno 98] Address already in use", "ss -ltnp"),
    ],
)  # fmt: skip
def test_a_known_signature_has_its_hint(text: str, words: str) -> None:
    assert words in find_hint([text])


def test_an_unknown_failure_has_none() -> None:
    assert find_hint(["ValueError: the shape is odd", "Traceback ..."], 1) == ""


def test_what_the_exception_says_is_believed_before_the_log() -> None:
    assert "df -h" in find_hint(["No space left on device", "EI0006"])


@pytest.mark.parametrize(
    ("returncode", "words"), [(-9, "memory"), (-11, "crash"), (-7, "/dev/shm"), (-4, "CPU")]
)
def test_a_signal_has_a_hint_where_no_text_is_known(returncode: int, words: str) -> None:
    assert words in find_hint(["nothing"], returncode)
    assert find_hint(["nothing"], -63) == ""
