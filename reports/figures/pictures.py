"""Pictures as pages show them: small enough, inside the page, and with the edge of a mask."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

LARGEST = 256
"""The longest side of a picture in a page, in pixels; smaller ones are shown as they are."""


class Picture(NamedTuple):
    """A picture in a page; ``width`` and ``height`` are those of the original."""

    uri: str
    width: int
    height: int


def thumbnail(data: bytes) -> Picture:
    """A PNG as a data URI: as it is where it is small, else scaled down and as JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        size = image.size
        if max(size) <= LARGEST:
            return Picture(f"data:image/png;base64,{base64.b64encode(data).decode()}", *size)
        small = image.convert("RGB")
        small.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        small.save(buffer, format="JPEG", quality=85)
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}", *size)


def thumbnail_at(address: str, load: Callable[[str], bytes]) -> Picture | None:
    """The picture at an address of the object store; None where the store has lost it."""
    try:
        return thumbnail(load(address))
    except (FileNotFoundError, ValueError):
        return None


def taken_up(address: str | None, load: Callable[[str], bytes], pictures: dict[str, Picture | None]) -> str | None:
    """The address of a picture, which ``pictures`` takes up; None where there is none, or the store has lost it."""
    if address is None:
        return None
    if address not in pictures:
        pictures[address] = thumbnail_at(address, load)
    return address if pictures[address] else None


def outline(mask: np.ndarray) -> str:
    """The edge of a mask (H, W) bool as an SVG path in pixels: every run of pixel sides between True and False.

    >>> outline(np.array([[False, True]]))
    'M1 0h1M1 1h1M1 0v1M2 0v1'
    """
    padded = np.pad(mask, 1)
    across = padded[1:, 1:-1] != padded[:-1, 1:-1]
    along = padded[1:-1, 1:] != padded[1:-1, :-1]
    sides = [f"M{x} {y}h{n}" for y, x, n in runs(across)]
    return "".join(sides + [f"M{x} {y}v{n}" for x, y, n in runs(along.T)])


def runs(lines: np.ndarray) -> list[tuple[int, int, int]]:
    """Runs of True in each row: row, start, length."""
    steps = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return [(int(y), int(x), int(end - x)) for y, x, end in zip(rows, starts, ends, strict=True)]


def mask_outline(degraded: Mapping[str, Any]) -> str:
    """The outline of the mask that a degraded item's value carries; empty where it carries none."""
    if "mask" not in degraded:
        return ""
    with Image.open(io.BytesIO(base64.b64decode(degraded["mask"]))) as image:
        return outline(np.asarray(image.convert("1")))
