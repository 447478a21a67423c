"""Old tables (group_list, before version 1.0) as version 1.0."""

from __future__ import annotations

from dataclasses import replace

from launcher.rank_table.model import OLD_FORMS, RankTable, Server


def to_current(table: RankTable) -> RankTable:
    """Return an old table as version 1.0: same servers, devices, addresses and ranks.

    Servers stand in the order of their ranks, devices too. A table of another form is returned as
    it is.
    """
    if table.form not in OLD_FORMS:
        return table
    return replace(table, form="1.0", servers=tuple(map(_in_order, table.by_rank)))


def _in_order(server: Server) -> Server:
    return replace(server, devices=server.by_rank)
