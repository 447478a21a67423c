"""What the live rows are made of: the signs of life of this launch's ranks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from launcher.contract import RunPaths
from launcher.heartbeats import Heartbeats
from launcher.terminal.live import NONE, RANKS, live_rows


def live_view(
    what: str, paths: RunPaths, ranks: Sequence[int], *, world_size: int
) -> Callable[[int, int], list[str]] | None:
    """Return what gives the live rows for so many columns and lines of a terminal.

    Args:
        what: LINE, RANKS or NONE; only for RANKS the signs of all ranks are read.
        paths: of the run.
        ranks: of this node.
        world_size: ranks of the whole job.
    """
    if what == NONE or not ranks:
        return None
    heartbeats, started_s = Heartbeats(paths), time.time()
    watched = ranks if what == RANKS else ranks[:1]

    def rows(width: int, height: int) -> list[str]:
        known = {rank: heartbeats.of(rank) for rank in watched}
        return live_rows(
            {rank: sign for rank, sign in known.items() if sign and sign.time >= started_s},
            world_size=world_size,
            started_s=started_s,
            now_s=time.time(),
            width=width,
            height=height,
            with_ranks=what == RANKS,
        )

    return rows
