"""One picture of a corpus through all degradations and inpainters, with what was said of each: figures 3 and 9."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from sqlalchemy import Connection, select

from registry.store.objects import ObjectStore
from registry.store.schema import Corpus, Sample
from reports.asking import examples
from reports.asking.examples import Standing
from reports.figures.pictures import Picture, mask_outline, thumbnail
from reports.site.tables import Order
from reports.statistics.wordings import Run, changed_words


class Tile(NamedTuple):
    """A picture, None where there is none, and what the captioner said of it, the changed words marked."""

    picture: Picture | None
    caption: list[Run]
    what: str


class Row(NamedTuple):
    """One degradation: the degraded picture, the edge of its mask, and what each inpainter made of it."""

    degradation: str
    degraded: Tile
    outline: str
    repainted: list[Tile]


class Mosaic(NamedTuple):
    corpus: str
    sample: str
    captioner: str
    """Whose captions these are; "" where there are none."""
    original: Tile
    columns: list[str]
    rows: list[Row]


def mosaics(
    connection: Connection,
    objects: ObjectStore,
    study: int,
    repainted: pd.DataFrame,
    order: Order,
    controls: Sequence[str],
) -> dict[str, Mosaic]:
    """By corpus the first picture, by name, of those that most configurations have repainted.

    Of what an entry sweeps over only the first variant is shown; controls are left out.
    """
    ids = examples.configurations(connection, study)
    statement = select(Sample.id, Sample.name).join(Corpus).where(Corpus.name.in_(order["corpus"]))
    names = dict(connection.execute(statement).all())
    found = {}
    for corpus, rows in repainted.groupby("corpus"):
        times = rows["sample"].value_counts()
        sample = min(times.index[times == times.max()], key=names.__getitem__)
        mine = {axes[1:]: (ids[axes], sample) for axes in ids if axes[0] == corpus}
        by_place = examples.items(connection, mine.values())
        standing = {
            (kind, *axes): by_place[kind, place]
            for axes, place in mine.items()
            for kind in ("original", "degraded", "repainted", "caption")
            if (kind, place) in by_place
        }
        found[str(corpus)] = mosaic(objects, str(corpus), names[sample], standing, order, controls)
    return found


def mosaic(
    objects: ObjectStore,
    corpus: str,
    sample: str,
    standing: Mapping[tuple[str, ...], Standing],
    order: Order,
    controls: Sequence[str],
) -> Mosaic:
    """The mosaic of one picture; ``standing`` maps a kind, a degradation, an inpainter and a captioner to an item."""
    captioner = next((name for name in order["captioner"] if ("caption", "", "", name) in standing), "")

    def said(*axes: str) -> str:
        item = standing.get(("caption", *axes, captioner))
        return item.value.get("caption", "") if item else ""

    def tile(kind: str, degradation: str, inpainter: str, what: str) -> Tile:
        item = standing.get((kind, degradation, inpainter, ""))
        try:
            picture = thumbnail(objects.get(item.object)) if item and item.object else None
        except (FileNotFoundError, ValueError):
            picture = None
        after = said(degradation, inpainter) if kind != "degraded" else ""
        return Tile(picture, changed_words(before, after)[1] if after else [], what)

    before = said("", "")
    columns = firsts(name for name in order["inpainter"] if name not in controls)
    rows = []
    for degradation in firsts(order["degradation"]):
        degraded = standing.get(("degraded", degradation, "", ""))
        if degraded is None:
            continue
        tiles = [
            tile("repainted", degradation, inpainter, f"repainted by {inpainter} ({degradation})")
            for inpainter in columns
        ]
        first = tile("degraded", degradation, "", f"degraded: {degradation}")
        rows.append(Row(degradation, first, mask_outline(degraded.value), tiles))
    return Mosaic(corpus, sample, captioner, tile("original", "", "", "original"), columns, rows)


def firsts(names: Iterable[str]) -> list[str]:
    """The first variant of each entry.

    >>> firsts(["telea", "sd/guidance=1", "sd/guidance=3"])
    ['telea', 'sd/guidance=1']
    """
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.partition("/")[0], name)
    return list(found.values())
