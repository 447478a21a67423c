"""Finds a cluster file: a path, or the bare name of one that ships."""

from __future__ import annotations

import os
from pathlib import Path

from launcher.errors import UsageError

SHIPPED = Path(__file__).resolve().parents[2] / "cluster_configs"
"""Beside the package ``launcher``: so it is in a checkout, and so the wheel installs it."""


def find_cluster(name: str, shipped: Path = SHIPPED) -> Path:
    """Return the file of a cluster.

    Raises:
        UsageError: there is no such file; the message names the nearest ones.
    """
    path = Path(os.path.expanduser(name))
    if path.is_file():
        return path
    if path.is_dir():
        raise UsageError(f"--cluster {name}: this is a folder; a cluster file is one YAML file")
    known = {file.name: file for file in sorted(shipped.glob("*.yaml"))}
    for candidate in (name, f"{name}.yaml"):
        if candidate in known:
            return known[candidate]
    from difflib import get_close_matches

    near = get_close_matches(path.name, known, n=3)
    guess = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise UsageError(
        f"--cluster {name}: there is no such file, and no cluster file of that name ships{guess}; "
        f"cluster files that ship: {', '.join(known) or 'none'}"
    )
