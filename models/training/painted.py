"""Quality of painted scenes: how much of what a description says the probe finds in its painting."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import nn

from models.detectors.scenes import seen
from models.measures.prompted.scenes import kept
from models.training.descriptions import Description

Paint = Callable[[Sequence[str]], list[np.ndarray]]


@torch.no_grad()
def judge(paint: Paint, descriptions: Sequence[Description], probe: nn.Module) -> dict[str, float]:
    """Shares of what descriptions say that their paintings show: of attributes (also for one, two and three objects),
    relations and grounds."""
    found: dict[str, list[bool]] = {}
    pictures = paint([one.text for one in descriptions])
    for one, picture in zip(descriptions, pictures, strict=True):
        hits = kept(one.said, seen(picture, probe))
        hits[f"attributes of {len(one.said['objects'])}"] = hits["attributes"]
        names = [name for thing in one.said["objects"] for name in thing]
        for name, hit in zip(names, hits["attributes"], strict=True):
            hits.setdefault(name, []).append(hit)
        for name, some in hits.items():
            found.setdefault(name, []).extend(some)
    return {name: float(np.mean(some)) for name, some in sorted(found.items())}


def sheet(pictures: Sequence[np.ndarray], texts: Sequence[str], columns: int = 4) -> Image.Image:
    """Paintings, each above what it is of."""
    width, height, side = 300, 200, 128
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (columns * width, rows * height), "white")
    draw = ImageDraw.Draw(whole)
    for k, (picture, text) in enumerate(zip(pictures, texts, strict=True)):
        x, y = k % columns * width, k // columns * height
        whole.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.NEAREST), (x + 4, y + 4))
        draw.multiline_text((x + 4, y + side + 8), textwrap.fill(text, 46), fill="black")
    return whole
