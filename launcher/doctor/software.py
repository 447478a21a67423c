"""Checks of Python, packages, CANN and driver."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.doctor.facts import Facts
from launcher.doctor.finding import GREEN, RED, YELLOW, Finding

_PYTHONS = ((3, 10), (3, 12))
_MINDSPORE = "2.10"
_CANN = ("8.2", "8.3", "8.5", "9.0", "9.1")
_TRAINER = ("pyyaml", "psutil", "pydantic", "filelock", "safetensors", "tensorboardX")


def check_software(facts: Facts) -> Iterator[Finding]:
    """Yield what there is to say of the software."""
    yield check_python(facts)
    yield check_mindspore(facts)
    yield check_numpy(facts)
    yield check_trainer(facts)
    if facts.host.npus.present:
        yield check_cann(facts)
        yield check_driver(facts)


def check_python(facts: Facts) -> Finding:
    version = ".".join(map(str, facts.python))
    first, last = _PYTHONS
    if facts.implementation == "CPython" and first <= tuple(facts.python[:2]) <= last:
        return Finding("python", GREEN, version)
    return Finding(
        "python",
        RED,
        f"{facts.implementation} {version}",
        "use CPython 3.10, 3.11 or 3.12: MindSpore 2.10 is built for those",
    )


def check_mindspore(facts: Facts) -> Finding:
    version = facts.packages.get("mindspore")
    if version is None:
        return Finding("mindspore", RED, "not installed", f"pip install mindspore=={_MINDSPORE}.*")
    if version.split(".")[:2] == _MINDSPORE.split("."):
        return Finding("mindspore", GREEN, version)
    remedy = f"pip install mindspore=={_MINDSPORE}.*: other versions were never tried"
    return Finding("mindspore", YELLOW, version, remedy)


def check_numpy(facts: Facts) -> Finding:
    version = facts.packages.get("numpy")
    if version is None:
        return Finding("numpy", RED, "not installed", "pip install 'numpy<2'")
    if int(version.partition(".")[0]) < 2:
        return Finding("numpy", GREEN, version)
    return Finding(
        "numpy",
        YELLOW,
        f"{version}: PyNative of MindSpore 2.10 is compiled for NumPy 1 and fails with 2",
        "pip install 'numpy<2' (graph mode works with either)",
    )


def check_trainer(facts: Facts) -> Finding:
    missing = [name for name in _TRAINER if facts.packages.get(name) is None]
    if not missing:
        return Finding("packages", GREEN, "all that cifar_dist needs are installed")
    return Finding(
        "packages",
        YELLOW,
        f"not installed: {', '.join(missing)}",
        f"pip install {' '.join(missing)}; cifar_dist needs them, other scripts may not",
    )


def check_cann(facts: Facts) -> Finding:
    """MindSpore 2.10 names the versions that it goes with, and only warns of others."""
    version = facts.cann
    if version is None:
        return Finding(
            "cann",
            RED,
            "not found at ASCEND_HOME_PATH nor below /usr/local/Ascend",
            f"install CANN {_CANN[0]} to {_CANN[-1]} and source its set_env.sh",
        )
    if ".".join(version.split(".")[:2]) not in _CANN:
        return Finding(
            "cann",
            YELLOW,
            f"{version}: MindSpore 2.10 expects one of {', '.join(_CANN)}",
            f"install CANN {_CANN[-1]}, or the MindSpore that goes with {version}",
        )
    if not facts.host.environ.get("ASCEND_HOME_PATH"):
        return Finding(
            "cann",
            YELLOW,
            f"{version}, but ASCEND_HOME_PATH is not set in this shell",
            "source /usr/local/Ascend/ascend-toolkit/set_env.sh before you start a job",
        )
    return Finding("cann", GREEN, version)


def check_driver(facts: Facts) -> Finding:
    if facts.driver is None:
        return Finding(
            "driver",
            YELLOW,
            "its version cannot be told: /usr/local/Ascend/driver/version.info is missing",
            "install the driver, or mount /usr/local/Ascend/driver into the container",
        )
    return Finding("driver", GREEN, f"{facts.driver}, firmware {facts.firmware or 'unknown'}")
