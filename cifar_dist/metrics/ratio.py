"""Division that says when it had nothing to divide by."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNDEFINED = 0.0
"""The stated value of a ratio of nothing, the same that scikit-learn gives by default."""


class Ratio(NamedTuple):
    """Ratios, and which of them mean something; the others have the value UNDEFINED."""

    values: NDArray[np.float64]
    defined: NDArray[np.bool_]


def ratio(numerators: ArrayLike, denominators: ArrayLike) -> Ratio:
    """Divide element by element; a denominator of 0 gives UNDEFINED and is marked.

    Args:
        numerators: numbers, such as counts.
        denominators: numbers >= 0 of the same shape.
    """
    above = np.asarray(numerators, dtype=np.float64)
    below = np.asarray(denominators, dtype=np.float64)
    defined: NDArray[np.bool_] = below != 0
    values = np.divide(above, below, out=np.full(below.shape, UNDEFINED), where=defined)
    return Ratio(values, defined)
