"""Contact sheets: a cell's first items as one picture, for the MLflow UI."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

THUMB, GAP, TEXT_WIDTH, LINE = 128, 8, 420, 15
INK, GROUND, QUIET = "#1c1a17", "#ffffff", "#77716a"

Line = tuple[str, Sequence[bytes], Sequence[str]]
"""One line of a sheet: its name, its pictures (PNG bytes), and its texts."""


def contact_sheet(titles: Sequence[str], lines: Sequence[Line]) -> bytes:
    """PNG bytes of a table of pictures, one line a sample.

    >>> sheet = contact_sheet(["original", "caption"], [("one", [], ["a red star"])])
    >>> Image.open(io.BytesIO(sheet)).format
    'PNG'
    """
    import cv2

    columns = max(len(pictures) for _, pictures, _ in lines)
    width = GAP + columns * (THUMB + GAP) + TEXT_WIDTH + GAP
    header = 2 * GAP + LINE
    sheet = Image.new("RGB", (width, header + len(lines) * (THUMB + GAP)), GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for column, title in enumerate(titles):
        draw.text((GAP + column * (THUMB + GAP), GAP), title, INK, font)
    for number, (name, pictures, texts) in enumerate(lines):
        top = header + number * (THUMB + GAP)
        for column, data in enumerate(pictures):
            thumb = Image.open(io.BytesIO(data)).convert("RGB")
            thumb = thumb.resize((THUMB, THUMB), Image.Resampling.NEAREST if thumb.width < THUMB else None)
            sheet.paste(thumb, (GAP + column * (THUMB + GAP), top))
        left = GAP + columns * (THUMB + GAP)
        draw.text((left, top), name, QUIET, font)
        said = [wrapped for text in texts for wrapped in textwrap.wrap(text, 64)[:3]]
        for row, text in enumerate(said, start=1):
            sheet.paste(INK, (left, top + 2 + row * LINE), written(text))
    how = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]
    # There are hundreds of them, and Pillow tries every filter on every line, which takes twice as long.
    return cv2.imencode(".png", np.asarray(sheet)[..., ::-1], how)[1].tobytes()


@lru_cache(4096)
def written(text: str) -> Image.Image:
    """A line of text as a mask; the captions of the originals stand in every sheet of a corpus."""
    mask = Image.new("L", (TEXT_WIDTH, LINE))
    ImageDraw.Draw(mask).text((0, 0), text, 255, ImageFont.load_default(size=12))
    return mask
