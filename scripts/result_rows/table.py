"""The table of docs/results, computed from the files that are kept and from nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from cifar_dist.commands.models import expected_of
from cifar_dist.config.load import RECIPES
from scripts.result_rows.kept import CONFIG, CURVE, METRICS, RESULT, RESULTS, Kept, runs_of
from scripts.result_rows.rows import LONG, ROWS, Row

BEGIN = "<!-- table: written by scripts/results -->"
END = "<!-- end of table -->"
NOT_MEASURED = "not measured here"
HEAD = (
    "row",
    "network, recipe",
    "ranks",
    "seeds",
    "epochs",
    "accuracy",
    "with flips",
    "training",
    "with compiling",
    "whole command",
    "against",
    "files",
)


def table(*, results: Path = RESULTS) -> str:
    """Return the whole table as Markdown: measured rows, then recipes that were not run here."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    lines += [_line(_cells(row, runs_of(row, results=results), results)) for row in ROWS]
    lines += ["", "Long recipes, for accelerators:", ""]
    lines += [_line(("recipe", "accuracy here", "published")), _line(["---"] * 3)]
    lines += [_line((f"`{name}.yaml`", NOT_MEASURED, _published(name))) for name in LONG]
    lines += ["", *_machines(runs for row in ROWS for runs in runs_of(row, results=results))]
    return "\n".join(lines).rstrip()


def rewrite(readme: Path, *, results: Path = RESULTS) -> None:
    """Put the table where the marks in the page are."""
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    new = f"{before}{BEGIN}\n\n{table(results=results)}\n\n{END}{after}"
    readme.write_text(new, encoding="utf-8")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Row, runs: list[Kept], results: Path) -> tuple[str, ...]:
    what = f"{row.what}, `{row.recipe}.yaml`"
    ranks = str(row.nproc)
    if not runs:
        empty = ("",) * 7
        return (f"`{row.name}`", what, ranks, "", NOT_MEASURED, *empty[:5], row.against, "")
    flips = [run.flip_accuracy for run in runs if run.flip_accuracy is not None]
    return (
        f"`{row.name}`",
        what,
        ranks,
        ", ".join(str(run.facts["seed"]) for run in runs),
        _one_of([str(run.facts["epochs"]) for run in runs]),
        _spread([run.accuracy for run in runs]),
        _spread(flips) if flips else "",
        _mean_time(runs, lambda run: run.train_s),
        _mean_time(runs, lambda run: run.train_s + run.compile_s),
        _mean_time(runs, lambda run: float(run.facts["wall_s"])),
        row.against,
        "; ".join(_links(run, results) for run in runs),
    )


def _spread(values: Sequence[float]) -> str:
    """Return one value, or the mean and the standard deviation of several (n - 1)."""
    if len(values) == 1:
        return f"{values[0]:.4f}"
    return f"{statistics.fmean(values):.4f} +- {statistics.stdev(values):.4f}"


def _mean_time(runs: Sequence[Kept], seconds: Callable[[Kept], float]) -> str:
    return f"{statistics.fmean(map(seconds, runs)) / 60:.1f} min"


def _one_of(values: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(values))


def _links(run: Kept, results: Path) -> str:
    folder = run.folder.relative_to(results)
    names = {"facts": RESULT, "records": METRICS, "recipe": CONFIG, "curve": CURVE}
    return " ".join(f"[{word}]({folder}/{name})" for word, name in names.items())


def _published(recipe: str) -> str:
    """Return what a recipe's header says to expect, without what everybody can see."""
    return expected_of((RECIPES / f"{recipe}.yaml").read_text(encoding="utf-8"))


def _machines(runs: Iterable[Kept]) -> Iterator[str]:
    """Yield a line for each machine that runs were made on."""
    found: dict[str, list[str]] = {}
    for run in runs:
        machine = run.facts["machine"]
        words = (
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, "
            f"MindSpore {machine['mindspore']}, Python {machine['python']}"
        )
        others = run.facts.get("others_busy")
        beside = (
            f" (others used {others:.0%} of it)" if others is not None and others >= 0.01 else ""
        )
        found.setdefault(words, []).append(f"{run.facts['row']}/{run.facts['seed']}{beside}")
    for words, names in found.items():
        yield f"Machine of {', '.join(names)}: {words}."
