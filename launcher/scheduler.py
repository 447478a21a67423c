"""The scheduler of MindSpore's dynamic cluster, as a process of its own: run by file path.

msrun starts the user's whole script for that role. All that it needs is one native function, and
importing the package around it takes seconds and 150 MB: so only the native library is loaded.
Where a MindSpore keeps it elsewhere, the package is imported as usual.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from types import ModuleType


def main() -> None:
    """Be the scheduler until all ranks have left, or until the launcher ends this process."""
    try:
        serve = _native_library().init_cluster
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "mindspore"]:
            del sys.modules[name]
        importlib.import_module("mindspore.communication").init("mccl")
        return
    serve()
    sys.stdout.flush()
    os._exit(0)  # what the library does at exit wants the package that was not imported


def _native_library() -> ModuleType:
    """Load ``mindspore._c_expression`` without running ``mindspore/__init__.py``."""
    spec = importlib.util.find_spec("mindspore")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("no MindSpore")
    package = ModuleType("mindspore")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["mindspore"] = package
    return importlib.import_module("mindspore._c_expression")


if __name__ == "__main__":
    main()
