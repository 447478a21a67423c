"""What is wrong with a rank table: one value per problem, and the rules they belong to."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from dataclasses import dataclass

BAD = "bad"
NOTE = "note"
MAX_PROBLEMS = 100_000
"""More are not kept (a bad one always is), so that no file can fill the memory."""

_LOAD, _CONTENT, _FIELD, _FAMILY = "EI0004", "EI0014", "EI0017", "EI0001"

RULES: dict[str, str] = {
    "file-name": _LOAD,
    "file-path": _LOAD,
    "json-encoding": _LOAD,
    "json-size": _LOAD,
    "json-invalid": _LOAD,
    "json-comment": _LOAD,
    "json-depth": _LOAD,
    "key-repeated": _LOAD,
    "not-a-table": _LOAD,
    "inference-table": _LOAD,
    "status-value": _LOAD,
    "version-missing": _LOAD,
    "version-unsupported": _LOAD,
    "version-product": _CONTENT,
    "key-missing": _FIELD,
    "key-unknown": "",
    "type-string": _CONTENT,
    "type-integer": _CONTENT,
    "type-list": _CONTENT,
    "type-object": _CONTENT,
    "list-empty": _CONTENT,
    "list-length": _CONTENT,
    "count-mismatch": _CONTENT,
    "number-invalid": _CONTENT,
    "number-range": _CONTENT,
    "text-empty": _CONTENT,
    "text-length": _CONTENT,
    "server-id-repeated": _CONTENT,
    "server-id-placeholder": "",
    "server-order": "",
    "pod-name-repeated": _CONTENT,
    "pod-ip-partial": "",
    "device-id-range": _CONTENT,
    "device-id-repeated": _CONTENT,
    "device-ring": _CONTENT,
    "devices-per-server": _CONTENT,
    "devices-unequal": _CONTENT,
    "rank-repeated": _CONTENT,
    "rank-not-contiguous": _CONTENT,
    "rank-interleaved": _CONTENT,
    "address-missing": _CONTENT,
    "address-invalid": _CONTENT,
    "address-placeholder": _CONTENT,
    "address-repeated": _CONTENT,
    "address-count": _CONTENT,
    "address-family": _FAMILY,
    "address-type": _CONTENT,
    "backup-address": _CONTENT,
    "port-range": _CONTENT,
    "port-reserved": "",
    "port-repeated": "",
    "super-pod-ignored": "",
    "super-pod-missing": "",
    "super-pod-id-repeated": _CONTENT,
    "super-pod-server-unknown": _CONTENT,
    "super-pod-server-repeated": _CONTENT,
    "super-pod-server-missing": _CONTENT,
    "super-pod-sizes": _CONTENT,
    "super-pod-scattered": _CONTENT,
    "super-device-id-missing": _CONTENT,
    "super-device-id-repeated": _CONTENT,
    "level-order": _CONTENT,
    "level-type": _CONTENT,
    "local-id-repeated": _CONTENT,
}
"""Every rule and the code under which HCCL would report it ('' = HCCL does not look).

Load errors are EI0004, content errors EI0014 in newer HCCL (EI0004 before), a missing field EI0017,
a mixed address family EI0001.
"""


@dataclass(frozen=True)
class Problem:
    """One problem: where, which rule, how bad, what to do.

    Args:
        path: JSON path, such as ``$.server_list[1].device[3].rank_id``; ``$`` is the whole file.
        rule: a key of :data:`RULES`.
        severity: ``bad`` (the table cannot be used) or ``note``.
        hccl_code: the code that HCCL would stop with; "" where it would not notice.
        product: the product on which the rule holds; "" = on all.
    """

    path: str
    rule: str
    severity: str
    message: str
    hccl_code: str = ""
    product: str = ""

    def __str__(self) -> str:
        facts = [self.rule, *([self.hccl_code] if self.hccl_code else [])]
        facts += [f"on {self.product}"] if self.product else []
        return f"{self.severity}: {self.path}: {self.message} [{', '.join(facts)}]"


class Report:
    """Collects problems in the order in which they are found."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._bad = False

    def bad(self, rule: str, path: str, message: str, *, product: str = "") -> None:
        self.add(Problem(path, rule, BAD, message, RULES[rule], product))

    def note(self, rule: str, path: str, message: str, *, product: str = "") -> None:
        self.add(Problem(path, rule, NOTE, message, RULES[rule], product))

    def add(self, problem: Problem) -> None:
        """Keep a problem, unless there are more than anyone reads."""
        if len(self.problems) < MAX_PROBLEMS or not (self._bad or problem.severity == NOTE):
            self.problems.append(problem)
            self._bad = self._bad or problem.severity == BAD

    def has(self, *rules: str) -> bool:
        return any(problem.rule in rules for problem in self.problems)


def is_bad(problems: Iterable[Problem]) -> bool:
    """Tell whether any problem makes the table unusable."""
    return any(problem.severity == BAD for problem in problems)


def given(value: object) -> str:
    """Return a value as a message shows it: never longer than a short line."""
    if isinstance(value, str):
        return repr(value if len(value) <= 60 else f"{value[:57]}...")
    return _SHORT.repr(value)


def step(key: str) -> str:
    """Return a key of the file as a step of a JSON path, whatever characters it is made of."""
    return f".{key}" if key.isascii() and key.isidentifier() else f"[{given(key)}]"


_SHORT = reprlib.Repr()
_SHORT.maxlevel, _SHORT.maxdict, _SHORT.maxlist = 2, 2, 2
_SHORT.maxother = _SHORT.maxstring = _SHORT.maxlong = 40
