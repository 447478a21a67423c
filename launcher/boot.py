"""The first code of a worker: hands over to ``worker.py``, which lies beside it.

Run by file path: ``python boot.py script.py args ...`` or ``python boot.py -m package.module args
...``. Python compiles the file that it is told to run at every start (3 to 4 ms for ``worker.py``),
but what that one loads comes compiled from the cache.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    _path = __file__.removesuffix("boot.py") + "worker.py"
    # Not as "launcher.worker": the user may have a package of that name.
    _loader = type(__loader__)("_launcher_worker", _path)  # type: ignore[name-defined]
    _names = {"__name__": "_launcher_worker", "__file__": _path, "__loader__": _loader}
    exec(_loader.get_code("_launcher_worker"), _names)
    _names["main"](sys.argv[1:])
