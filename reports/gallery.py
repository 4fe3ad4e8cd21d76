"""The largest changes of captions, with the pictures that were looked at and the words that changed."""

from __future__ import annotations

import base64
import difflib
import io
from collections import Counter, defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image
from sqlalchemy import Connection

from registry.objects import ObjectStore
from reports import queries
from reports.metrics import Metric

ENTRIES, A_SAMPLE = 24, 2
LARGEST = 256
"""The longest side of a picture in the page, in pixels; smaller ones are shown as they are."""

WORDS = 80
"""How many words of a caption are shown."""

Run = tuple[str, bool]
"""Some words, and whether they changed."""


class Picture(NamedTuple):
    """A picture in the page; ``width`` and ``height`` are those of the original."""

    uri: str
    width: int
    height: int


class Entry(NamedTuple):
    """One caption before and after repainting. A picture is None where the object store has lost it."""

    corpus: str
    sample: str
    degradation: str
    inpainter: str
    captioner: str
    original: Picture | None
    degraded: Picture | None
    repainted: Picture | None
    outline: str
    before: list[Run]
    after: list[Run]
    references: list[str]
    value_before: float
    value_after: float


def changed_words(before: str, after: str) -> tuple[list[Run], list[Run]]:
    """Both captions as runs of words, those marked that the other does not have in their place.

    >>> changed_words("a red circle", "a blue circle")
    ([('a', False), ('red', True), ('circle', False)], [('a', False), ('blue', True), ('circle', False)])
    """
    a, b = shortened(before), shortened(after)
    old: list[Run] = []
    new: list[Run] = []
    for kind, a_from, a_to, b_from, b_to in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if a_from < a_to:
            old.append((" ".join(a[a_from:a_to]), kind != "equal"))
        if b_from < b_to:
            new.append((" ".join(b[b_from:b_to]), kind != "equal"))
    return old, new


def shortened(caption: str) -> list[str]:
    """The first words of a caption; an ellipsis says that there are more."""
    words = caption.split()
    return words if len(words) <= WORDS else [*words[:WORDS], "…"]


def chosen(drops: pd.DataFrame) -> pd.DataFrame:
    """At most ``ENTRIES`` rows of drops, dealt to every corpus, inpainter and captioner in turn.

    A sample comes at most ``A_SAMPLE`` times, and the same score of the same sample (the same captions) once.
    """
    hands: dict[tuple[str, ...], deque[Any]] = defaultdict(deque)
    for row in drops.itertuples():
        hands[row.corpus, row.inpainter, row.captioner].append(row)
    taken: list[Any] = []
    times: Counter[int] = Counter()
    seen: set[tuple[int, int]] = set()
    while any(hands.values()) and len(taken) < ENTRIES:
        for hand in hands.values():
            while hand:
                row = hand.popleft()
                if times[row.sample] < A_SAMPLE and (row.sample, row.item) not in seen:
                    taken.append(row.Index)
                    times[row.sample] += 1
                    seen.add((row.sample, row.item))
                    break
    return drops.loc[sorted(taken[:ENTRIES])]


def thumbnail(data: bytes) -> Picture:
    """A PNG as a data URI: as it is where it is small, else scaled down and as JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        size = image.size
        if max(size) <= LARGEST:
            return Picture(f"data:image/png;base64,{base64.b64encode(data).decode()}", *size)
        image = image.convert("RGB")
        image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        image.save(buffer, format="JPEG", quality=85)
    return Picture(f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}", *size)


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


def entries(
    connection: Connection, objects: ObjectStore, study: int, metric: Metric, kind: str, controls: Sequence[str]
) -> list[Entry]:
    """The largest drops of a caption metric between original and repainted picture, the largest first."""
    found = chosen(queries.drops(connection, study, metric.name, kind, controls, ENTRIES * A_SAMPLE))
    samples = sorted({int(sample) for sample in found["sample"]})
    pictures = queries.pictures(connection, study, samples)
    references = queries.references(connection, samples)
    names = dict(zip(pictures["sample"], pictures["name"], strict=True))
    standing = {
        (row.sample, row.kind, row.degradation, row.inpainter, row.captioner): (row.object, row.value or {})
        for row in pictures.itertuples()
    }

    def load(sample: int, kind: str, degradation: str = "", inpainter: str = "") -> Picture | None:
        address, _ = standing.get((sample, kind, degradation, inpainter, ""), (None, {}))
        try:
            return thumbnail(objects.get(address)) if address else None
        except (FileNotFoundError, ValueError):
            return None

    made = []
    for row in found.itertuples():
        (_, old), (_, new) = (
            standing[row.sample, "caption", *axes, row.captioner]
            for axes in (("", ""), (row.degradation, row.inpainter))
        )
        before, after = changed_words(old["caption"], new["caption"])
        _, degraded = standing.get((row.sample, "degraded", row.degradation, "", ""), (None, {}))
        made.append(
            Entry(
                row.corpus,
                names[row.sample],
                row.degradation,
                row.inpainter,
                row.captioner,
                load(row.sample, "original"),
                load(row.sample, "degraded", row.degradation),
                load(row.sample, "repainted", row.degradation, row.inpainter),
                mask_outline(degraded),
                before,
                after,
                references[row.sample],
                row.before,
                row.after,
            )
        )
    return made


def mask_outline(degraded: Mapping[str, Any]) -> str:
    """The outline of the mask that a degraded item's value carries; empty where it carries none."""
    if "mask" not in degraded:
        return ""
    with Image.open(io.BytesIO(base64.b64decode(degraded["mask"]))) as image:
        return outline(np.asarray(image.convert("1")))
