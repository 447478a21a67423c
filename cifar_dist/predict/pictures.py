"""A PNG or JPEG file as an image of the network: 3 channels of 32 x 32.

The files may come from anybody. Only the two decoders are tried, and the size stands in the header:
it is checked before anything is decoded.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cifar_dist.data.dataset import IMAGE_SHAPE
from cifar_dist.errors import DataError
from cifar_dist.predict.files import printable

MOST_BYTES = 32 << 20
MOST_PIXELS = 40_000_000
SMALLEST_PX = 8
"""A side below this says nothing that could be recognised."""

_SIDES = IMAGE_SHAPE[1:]
_WITH_ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")
_EIGHT_BITS = ("1", "L", "P", "RGB", "CMYK", "YCbCr", *_WITH_ALPHA)


def read_picture(path: Path) -> tuple[NDArray[np.uint8], str]:
    """Return a picture as uint8[3, 32, 32], and what was done to it to make it so.

    Transparent parts lie on white, grey becomes three equal channels, a long side is cut at both
    ends to a square, and the square is scaled to 32 x 32.

    Raises:
        DataError: it is no picture, too small, too large, damaged, or of more than 8 bits.
    """
    shown = printable(str(path))
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise DataError(f"{shown}: {size:,} bytes are more than the {MOST_BYTES:,} allowed")
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(path, formats=("PNG", "JPEG"))
        with image:
            _check(image, shown)
            return _converted(image)
    except DataError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise DataError(f"{shown}: more than the {MOST_PIXELS:,} pixels allowed") from None
    except UnidentifiedImageError:
        raise DataError(f"{shown}: this is no PNG or JPEG file") from None
    except MemoryError:
        raise DataError(f"{shown}: there is not enough memory to read it") from None
    except Exception as error:  # Pillow raises a dozen kinds for damaged files
        reason = getattr(error, "strerror", None) or printable(str(error))
        raise DataError(f"{shown}: cannot be read, or is damaged: {reason}") from None


def _check(image: Image.Image, shown: str) -> None:
    width, height = image.size
    if min(width, height) < SMALLEST_PX:
        raise DataError(
            f"{shown}: {width} x {height} pixels are too few: "
            f"both sides must have at least {SMALLEST_PX}"
        )
    if width * height > MOST_PIXELS:
        raise DataError(
            f"{shown}: {width} x {height} pixels are more than the {MOST_PIXELS:,} allowed"
        )
    if image.mode not in _EIGHT_BITS:
        raise DataError(f"{shown}: pixels of kind {image.mode} are not read: save it as 8-bit RGB")


def _converted(image: Image.Image) -> tuple[NDArray[np.uint8], str]:
    notes = []
    upright = ImageOps.exif_transpose(image)
    if upright.mode in _WITH_ALPHA or "transparency" in upright.info:
        with_alpha = upright.convert("RGBA")
        white = Image.new("RGBA", with_alpha.size, "white")
        upright = Image.alpha_composite(white, with_alpha)
        notes.append("transparent parts on white")
    elif upright.mode != "RGB":
        notes.append(f"from {upright.mode}")
    colours = upright.convert("RGB")
    if colours.size != _SIDES:
        notes.append(f"from {colours.width} x {colours.height} pixels")
        colours = ImageOps.fit(colours, _SIDES, Image.Resampling.BICUBIC)
    array = np.asarray(colours, dtype=np.uint8).transpose(2, 0, 1)
    return np.ascontiguousarray(array), "; ".join(notes)
