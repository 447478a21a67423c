"""``scripts/results``: remake rows of docs/results, and the table."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

from cifar_dist.errors import CifarDistError
from scripts.result_rows.kept import RESULTS, ROOT, NotKeptError, keep, place
from scripts.result_rows.rows import ROWS, Row, find_row
from scripts.result_rows.table import rewrite
from scripts.result_rows.train import RunFailedError, command_of, train

FOLDER = "cifar-10-batches-bin"
README = "README.md"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/results", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help="a row, or section.key=value")
    parser.add_argument("--list", action="store_true", help="show the rows and their commands")
    parser.add_argument("--table", action="store_true", help="only rewrite the table")
    parser.add_argument("--images", help=f"folder {FOLDER} (../shared/cifar10 or data)")
    parser.add_argument("--seed", type=int, help="only this one of the row's seeds")
    parser.add_argument(
        "--into", type=Path, help="a trial: keep the files there; section.key=value may follow"
    )
    args = parser.parse_intermixed_args()
    more = [word for word in args.rows if "=" in word]
    names = [word for word in args.rows if "=" not in word]
    unknown = [name for name in names if find_row(name) is None]
    if unknown or not (names or args.list or args.table):
        known = ", ".join(row.name for row in ROWS)
        parser.error(f"{'no row ' + unknown[0] if unknown else 'which row?'}; there are {known}")
    if more and args.into is None:
        parser.error(f"{more[0]}: a row is what docs/results says it is; for a trial add --into")
    rows = [row for name in names if (row := find_row(name))]
    for row in rows:
        if args.seed is not None and args.seed not in row.seeds:
            seeds = ", ".join(map(str, row.seeds))
            parser.error(f"--seed {args.seed}: row {row.name} has only {seeds}")
    images = args.images or _images()
    if args.list:
        _show(images)
    try:
        for row in rows:
            _remake(row, args, images, more)
    except (RunFailedError, NotKeptError, CifarDistError) as error:
        print(f"scripts/results: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, CifarDistError) else 1
    if args.into is None and (rows or args.table):
        rewrite(RESULTS / README)
    return 0


def _remake(row: Row, args: argparse.Namespace, images: str, more: list[str]) -> None:
    for seed in row.seeds:
        if args.seed not in (None, seed):
            continue
        run_dir = (
            ROOT / "runs" / "results" / row.name / f"seed_{seed}_{time.strftime('%m%d-%H%M%S')}"
        )
        train(row, seed, images=images, run_dir=run_dir, more=more)
        kept = keep(run_dir, place(row, seed, results=args.into or RESULTS))
        flips = "" if kept.flip_accuracy is None else f", with flips {kept.flip_accuracy:.4f}"
        images_of = f"accuracy on {kept.images:,} {kept.split} images"
        print(f"{row.name} seed {seed}: {images_of} {kept.accuracy:.4f}{flips} -> {kept.folder}")


def _images() -> str:
    """Return where the images are: beside the checkout, or where a download puts them."""
    shared = Path(os.environ.get("CIFAR_DIST_SHARED", "../shared")) / "cifar10" / FOLDER
    return str(shared if (ROOT / shared).is_dir() else Path("data") / FOLDER)


def _show(images: str) -> None:
    for row in ROWS:
        print(f"{row.name}: {row.what}, {len(row.seeds)} runs, against {row.against or 'nothing'}")
        command = command_of(row, row.seeds[0], images=images, run_dir=Path("runs/RUN"))
        print(f"  python {' '.join(command)}")


if __name__ == "__main__":
    sys.exit(main())
