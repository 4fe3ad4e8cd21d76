"""Any picture file as one (H, W, 3) uint8 RGB array."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from registry.store.faults import Passing
from registry.store.keys import digest

VERSION = 1
"""Raised when the same file gives other pixels."""

FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

_BROKEN = (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error)
"""What Pillow's decoders raise on damaged files."""


DARKEST = 4096
"""A picture of 16 bits whose values are all below this holds 12 bits or fewer, unstretched."""

FAINT = 32
"""By how much black and white of a mask may be off, of 255, as lossy formats leave them."""


class Unreadable(ValueError):
    """A picture that cannot be read; the message names it, says why and what to do."""


@contextmanager
def _opened(file: Path | bytes, name: str) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            # Damaged metadata is no matter of ours: either the pixels can be decoded or an error says that they cannot.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS) as image:
                yield image
    except Unreadable:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Unreadable(f"{name} is too large to be decoded safely ({error}). Scale it down first.") from error
    except UnidentifiedImageError as error:
        raise Unreadable(f"{name} is no picture in a known format ({', '.join(FORMATS)}). Convert it first.") from error
    except _BROKEN as error:
        raise Unreadable(f"{name} cannot be decoded ({error or type(error).__name__}). Replace it.") from error


def _rgb(image: Image.Image, name: str, scaled: bool) -> Image.Image:
    """The picture in RGB; ``scaled``: whether its format says its largest value, as which 65535 is read."""
    if image.mode.startswith("I"):
        levels = np.asarray(image)
        if image.mode == "I" and not scaled:
            raise Unreadable(f"{name} holds integers of unknown range (32 bits). Save it with 8 or 16 bits a channel.")
        if not scaled and 0 < levels.max() < DARKEST:
            raise Unreadable(
                f"{name} has 16 bits, but no value in it is over {levels.max()}: it would be black. Stretch its values "
                "to 65535, or save it with 8 bits."
            )
        return Image.fromarray(np.rint(levels / 257).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise Unreadable(f"{name} holds floating-point values of unknown range. Save it with 8 or 16 bits a channel.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, that the header states.

    PNG's own ``getexif`` would decode the whole picture to search behind it.
    """
    return Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)


def fitted(size: tuple[int, int], max_side: int | None) -> tuple[int, int]:
    """(width, height) scaled down until the longer side is ``max_side``; each side keeps at least one pixel.

    >>> fitted((640, 480), 512), fitted((20000, 10), 512), fitted((64, 64), 512)
    ((512, 384), (512, 1), (64, 64))
    """
    if max_side is None or max(size) <= max_side:
        return size
    scale = max_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def picture_size(data: bytes, name: str = "The picture") -> tuple[int, int]:
    """(width, height) of the upright picture, from its header alone; raises :class:`Unreadable`."""
    with _opened(data, name) as image:
        # Pillow gives the size of a TIFF as it will be once upright, that of other formats as they are stored.
        turned = image.format != "TIFF" and _orientation(image) >= 5
        return image.size[::-1] if turned else image.size


def read_mask(file: Path) -> np.ndarray:
    """The mask (H, W) bool in a file, upright; True = repaint, where it is brighter.

    A mask has two values and some of both: black and anything else, such as 0 and 1, or what is nearly black and
    nearly white. What is transparent counts as black.

    Raises :class:`Unreadable` for anything else, which could be read in two ways, and as :func:`read_picture` does.
    """
    with _opened(file, str(file)) as image:
        _orientation(image)
        upright = ImageOps.exif_transpose(image)
        if upright.has_transparency_data:
            upright = upright.convert("RGBA")
            upright = Image.alpha_composite(Image.new("RGBA", upright.size, "black"), upright)
        if upright.mode not in ("1", "L", "F") and not upright.mode.startswith("I"):
            upright = upright.convert("RGB")
        pixels = np.asarray(upright).astype(float)
    colours = pixels.reshape(-1, pixels.shape[2] if pixels.ndim == 3 else 1)
    brightness = colours.sum(axis=1)
    two = len(np.unique(colours, axis=0)) == 2 and brightness.min() == 0
    off = np.abs(colours - np.where(colours > 127, 255, 0)).max()
    alike = (colours.max(axis=1) > 127) == (colours.min(axis=1) > 127)
    clear = off <= FAINT and alike.all() and brightness.max() - brightness.min() > colours.shape[1] * 127
    if not two and not clear:
        what = "is all of one value" if np.ptp(colours) == 0 else "has more than two values, or none that is black"
        raise Unreadable(
            f"The mask {file} {what}. Save it as a PNG that is white where the picture was repainted, and black "
            "elsewhere."
        )
    return (brightness > brightness.max() / 2).reshape(pixels.shape[:2])


def read_picture(file: Path | bytes, max_side: int | None = None, name: str | None = None) -> np.ndarray:
    """The picture (H, W, 3) uint8, RGB, upright, scaled down (Lanczos) until no side is longer than ``max_side``.

    The first frame of an animation; an EXIF orientation is applied; transparency lies on white; 16 bits become 8 by
    their full scale (65535 becomes 255). CMYK is converted without a colour profile, and embedded profiles are not
    applied.

    Raises :class:`Unreadable` for a file that is missing, of a format not in ``FORMATS``, damaged, of floating-point
    values or integers of 32 bits, of 16 bits that hold 12 or fewer, or larger than Pillow decodes without warning of a
    decompression bomb (89 million pixels).

    >>> buffer = io.BytesIO()
    >>> Image.new("LA", (20, 4), (0, 0)).save(buffer, "PNG")
    >>> read_picture(buffer.getvalue(), max_side=10)[0, 0].tolist(), read_picture(buffer.getvalue(), 10).shape
    ([255, 255, 255], (2, 10, 3))
    """
    name = name or (str(file) if isinstance(file, Path) else "The picture")
    with _opened(file, name) as image:
        # Called first, it makes exif_transpose turn by what the header says, as picture_size does.
        _orientation(image)
        picture = _rgb(ImageOps.exif_transpose(image), name, scaled=image.format == "PPM")
        size = fitted(picture.size, max_side)
        return np.asarray(picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS))


def read_same(path: Path, sha256: str, max_side: int | None) -> np.ndarray:
    """The picture in a file, as :func:`read_picture` gives it, of the bytes that had this digest.

    Raises :class:`Passing` where the file was replaced since: its picture would stand under another one's key.
    """
    data = path.read_bytes()
    if digest(data) != sha256:
        raise Passing(f"{path.as_posix()} was replaced while its corpus was prepared; run again.")
    return read_picture(data, max_side, path.as_posix())
