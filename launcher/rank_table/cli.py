"""`launcher rank-table make|check|show|merge`: the command line over the tables."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from launcher.contract import EXIT_USAGE
from launcher.errors import RankTableError, UsageError
from launcher.host.access import HostAccess
from launcher.ranges import parse_ranges
from launcher.rank_table.lint import load, read_file
from launcher.rank_table.make import make_table
from launcher.rank_table.merge import merge_tables
from launcher.rank_table.model import PRODUCTS, RankTable
from launcher.rank_table.show import show
from launcher.rank_table.survey import Wish, survey
from launcher.rank_table.write import to_json
from launcher.rank_table.write import write as write_table
from launcher.terminal.console import write, write_error


def add_parser(subparsers: Any) -> None:
    """Add `rank-table` and its four commands to the launcher's subparsers."""
    parser = subparsers.add_parser("rank-table", help="make, check, show or merge HCCL rank tables")
    commands = parser.add_subparsers(dest="rank_table_command", required=True, metavar="COMMAND")
    product = argparse.ArgumentParser(add_help=False)
    product.add_argument("--product", choices=PRODUCTS, help="check the rules of this product too")

    check = commands.add_parser("check", parents=[product], help="list every problem of a table")
    check.add_argument("file", type=Path)
    one = commands.add_parser("show", parents=[product], help="print a table for people")
    one.add_argument("file", type=Path)
    merge = commands.add_parser("merge", parents=[product], help="one table out of several")
    merge.add_argument("files", type=Path, nargs="+")
    _add_output(merge)
    _add_make(commands, product)


def _add_make(commands: Any, product: argparse.ArgumentParser) -> None:
    make = commands.add_parser(
        "make", parents=[product], help="a table of this machine, or of a cluster file"
    )
    make.add_argument("--cluster", metavar="FILE", help="take everything from this cluster file")
    make.add_argument("--devices", help="physical device ids, such as 0-3,6 (default: all here)")
    make.add_argument("--server-id", default=None, help="unique name (default: the host name)")
    make.add_argument(
        "--hccn-conf",
        type=Path,
        help="take addresses from this file (default: from hccn_tool, then /etc/hccn.conf)",
    )
    make.add_argument(
        "--address", action="append", default=[], metavar="N=IP", help="address of device N"
    )
    _add_output(make)


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", type=Path, help="file ending in .json (default: print the table)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command that was parsed; return the exit code.

    Raises:
        UsageError: a table or an option is wrong (exit 2).
    """
    command = args.rank_table_command
    if command == "check":
        return check(args.file, args.product)
    if command == "show":
        write(1, show(load(args.file, product=args.product)))
        return 0
    if command == "merge":
        tables = [load(path, product=args.product) for path in args.files]
        return emit(merge_tables(tables, product=args.product), args.output)
    return emit(_made(args), args.output)


def check(path: Path, product: str | None) -> int:
    """Print every problem of a table; return 0 (good, notes allowed) or 2."""
    reading = read_file(path, product=product)
    for problem in reading.problems:
        write(1, f"{problem}\n")
    if reading.table is None:
        write(1, f"{path}: bad\n")
        return EXIT_USAGE
    table = reading.table
    servers = f"{len(table.servers)} server{'s' * (len(table.servers) != 1)}"
    write(1, f"{path}: good, form {table.form}, {servers}, {table.world_size} ranks\n")
    return 0


def emit(table: RankTable, output: Path | None) -> int:
    """Write a table to a file, or print it."""
    if output is None:
        write(1, to_json(table))
        return 0
    if output.suffix != ".json":
        raise RankTableError(f"--output {output}: HCCL opens only files that end in .json")
    try:
        write_table(table, output)
    except OSError as error:
        raise RankTableError(f"--output {output} cannot be written: {error.strerror}") from None
    return 0


def _made(args: argparse.Namespace) -> RankTable:
    if args.cluster is not None:
        return _of_cluster(args)
    wish = Wish(
        device_ids=_devices(args.devices) if args.devices else (),
        server_id=args.server_id or "",
        addresses=_from_options(args.address),
        hccn_conf=args.hccn_conf,
        product=args.product,
    )
    found = survey(HostAccess.of(os.environ), wish)
    for note in found.notes:
        write_error(f"note: {note}")
    return make_table([found.machine], product=found.product)


def _of_cluster(args: argparse.Namespace) -> RankTable:
    from launcher.cluster.find import find_cluster
    from launcher.cluster.load import load_cluster
    from launcher.planning.sources import table_of

    beside = {"--devices": args.devices, "--server-id": args.server_id}
    beside |= {"--hccn-conf": args.hccn_conf, "--address": args.address}
    for name, value in beside.items():
        if value:
            raise UsageError(f"{name} and --cluster both describe the machines: give one of them")
    cluster = load_cluster(find_cluster(args.cluster))
    return table_of(replace(cluster, product=args.product or cluster.product))


def _devices(text: str) -> tuple[int, ...]:
    try:
        return parse_ranges(text)
    except ValueError as error:
        raise UsageError(f"--devices {text!r}: {error}") from None


def _from_options(options: Sequence[str]) -> dict[int, str]:
    addresses = {}
    for option in options:
        number, equals, address = option.partition("=")
        if not equals or not (number.isascii() and number.isdecimal()) or len(number) > 4:
            raise UsageError(f"--address {option!r}: N=IP is expected, such as 0=192.168.100.101")
        addresses[int(number)] = address
    return addresses
