"""One picture of a corpus through all degradations and inpainters, with what was said of each: figures 3 and 9."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from reports.asking import examples
from reports.asking.axes import ORIGINAL, UNSAID, firsts, label
from reports.asking.examples import Standing
from reports.asking.study import Study
from reports.figures.pictures import Picture, mask_outline, thumbnail
from reports.statistics.wordings import Run, changed_words


class Tile(NamedTuple):
    """A picture, None where there is none, and what the captioner said of it, the changed words marked."""

    picture: Picture | None
    caption: list[Run]
    what: str


class Strip(NamedTuple):
    """One degradation: the degraded picture, the edge of its mask, and what each inpainter made of it."""

    degradation: str
    degraded: Tile
    outline: str
    repainted: list[Tile]
    spans: list[int]
    """For each of them how many degradations have the very same picture from here on; 0 where it is shown above."""


class Mosaic(NamedTuple):
    corpus: str
    sample: str
    captioner: str
    """Whose captions these are; "" where there are none."""
    original: Tile
    columns: list[str]
    rows: list[Strip]


def mosaics(study: Study) -> dict[str, Mosaic]:
    """By corpus the first picture, by name, of those that most configurations have repainted.

    Of what an entry sweeps over only the first variant is shown; controls are left out.
    """
    ids = examples.configurations(study.connection, study.id)
    names = examples.names(study.connection, study.order["corpus"])
    found = {}
    for corpus, rows in study.repainted.groupby("corpus"):
        times = rows["sample"].value_counts()
        sample = min(times.index[times == times.max()], key=names.__getitem__)
        mine = {where[1:]: (place, sample) for where, place in ids.items() if where[0] == corpus}
        by_place = examples.items(study.connection, mine.values())
        standing = {
            (kind, *where): by_place[kind, place]
            for where, place in mine.items()
            for kind in ("original", "degraded", "repainted", "caption")
            if (kind, place) in by_place
        }
        found[str(corpus)] = mosaic(study, str(corpus), names[sample], standing)
    return found


def mosaic(study: Study, corpus: str, sample: str, standing: Mapping[tuple[str, ...], Standing]) -> Mosaic:
    """The mosaic of one picture; ``standing`` maps a kind and the names on all axes to an item."""
    order, controls = study.order, study.controls
    text = next((text for text in study.texts if ("caption", *ORIGINAL, *text) in standing), UNSAID)

    def said(*names: str) -> str:
        item = standing.get(("caption", *names, *text))
        return item.value.get("caption", "") if item else ""

    def tile(kind: str, degradation: str, inpainter: str, what: str) -> Tile:
        item = standing.get((kind, degradation, inpainter, *UNSAID))
        try:
            picture = thumbnail(study.load(item.object)) if item and item.object else None
        except (FileNotFoundError, ValueError):
            picture = None
        after = said(degradation, inpainter) if kind != "degraded" else ""
        return Tile(picture, changed_words(before, after)[1] if after else [], what)

    before, same = said(*ORIGINAL), study.same[corpus]
    columns = firsts(name for name in order["inpainter"] if name not in controls)
    rows = []
    for degradation in firsts(order["degradation"]):
        degraded = standing.get(("degraded", degradation, "", *UNSAID))
        if degraded is None:
            continue
        tiles = [
            tile("repainted", degradation, inpainter, f"repainted by {inpainter} ({degradation})")
            for inpainter in columns
        ]
        first = tile("degraded", degradation, "", f"degraded: {degradation}")
        rows.append(Strip(degradation, first, mask_outline(degraded.value), tiles, [1] * len(tiles)))
    for number, inpainter in enumerate(columns):
        top = None
        for row in rows:
            here = same.get((row.degradation, inpainter))
            if top and here and here == same.get((top.degradation, inpainter)):
                row.spans[number] = 0
                top.spans[number] += 1
            else:
                top = row
    return Mosaic(corpus, sample, label(text), tile("original", "", "", "original"), columns, rows)
