"""Contact sheets: a cell's first items as one picture, for the MLflow UI."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

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
        text = "\n".join(wrapped for t in texts for wrapped in textwrap.wrap(t, 64)[:3])
        draw.multiline_text((left, top + LINE + 2), text, INK, font, spacing=3)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", compress_level=1)  # there are hundreds of them
    return buffer.getvalue()
