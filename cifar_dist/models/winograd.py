"""The matrices of Winograd's minimal filtering for kernels of three pixels.

Four neighbours of a filtered row come from six products instead of twelve, of a filtered image 16
pixels from 36 instead of 144 (Lavin and Gray, arXiv 1509.09308). A row is y = A [(G g) * (B d)]:
d are the 6 pixels under a tile of 4, g the 3 of the kernel. The matrices evaluate the polynomials
of d and g at five points and at infinity, multiply there, and interpolate (Toom and Cook). Images
and kernels do so along both axes.

Here the tiles are not cut out of the image: the matrix of an axis takes all its pixels, and has
zeros where a tile does not reach, and for the zeros around the image.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

KERNEL_PX = 3
TILE_PX = 4
PRODUCTS = TILE_PX + KERNEL_PX - 1
"""Of a tile, along one axis."""

POINTS = tuple(Fraction(point) for point in ("0", "5/8", "-5/8", "3/2", "-3/2"))
"""Those of the usual choice, 0, 1, -1, 2, -2, make twice the error: 2.0e-6 instead of 1.0e-6 of the
standard deviation of a result, root mean square for 256 channels in float32."""


def tiles_along(px: int) -> int:
    """Return how many tiles an axis of so many pixels has; the last may reach over its end."""
    return -(-px // TILE_PX)


def of_pixels(px: int) -> Matrix:
    """Return B for an axis of ``px`` pixels: float32[PRODUCTS, tiles, px]."""
    tile, tiles = _of_tile(), tiles_along(px)
    found = np.zeros((PRODUCTS, tiles, px), dtype=np.float32)
    for number in range(tiles):
        first = number * TILE_PX - KERNEL_PX // 2
        inside = range(max(first, 0), min(first + PRODUCTS, px))
        found[:, number, inside] = tile[:, [pixel - first for pixel in inside]]
    return found


def of_kernel() -> Matrix:
    """Return G: float32[PRODUCTS, KERNEL_PX]."""
    rows = [
        [point**power / prod(_differences(point)) for power in range(KERNEL_PX)] for point in POINTS
    ]
    return _matrix([*rows, _at_infinity(KERNEL_PX)])


def of_result(px: int) -> Matrix:
    """Return A, transposed, for an axis of ``px`` pixels: float32[PRODUCTS, tiles, px]."""
    tile, tiles = _of_results(), tiles_along(px)
    found = np.zeros((PRODUCTS, tiles, tiles * TILE_PX), dtype=np.float32)
    for number in range(tiles):
        found[:, number, number * TILE_PX : (number + 1) * TILE_PX] = tile
    return found[:, :, :px]


def _of_tile() -> Matrix:
    """Return B of one tile: the coefficients of the products of all (x - point) but one."""
    others = [_polynomial([one for one in POINTS if one != point]) for point in POINTS]
    return _matrix([*([*row, Fraction(0)] for row in others), _polynomial(list(POINTS))])


def _of_results() -> Matrix:
    """Return A of one tile, transposed: powers of the points."""
    rows = [[point**power for power in range(TILE_PX)] for point in POINTS]
    return _matrix([*rows, _at_infinity(TILE_PX)])


def _at_infinity(powers: int) -> list[Fraction]:
    """Return what the highest power is there, of so many."""
    return [*[Fraction(0)] * (powers - 1), Fraction(1)]


def _differences(point: Fraction) -> list[Fraction]:
    return [point - other for other in POINTS if other != point]


def _polynomial(roots: list[Fraction]) -> list[Fraction]:
    """Return the coefficients of the product of all (x - root), of the lowest power first."""
    found = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *found]
        found = [up - root * low for up, low in zip(shifted, [*found, Fraction(0)], strict=True)]
    return found


def _matrix(rows: list[list[Fraction]]) -> Matrix:
    return np.array([[float(value) for value in row] for row in rows], dtype=np.float32)
