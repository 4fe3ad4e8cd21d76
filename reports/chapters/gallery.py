"""The gallery: what repainting did to captions, an example of every configuration."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from reports.asking import examples
from reports.asking.axes import FIRST, ORIGINAL, TEXT, UNSAID, WHERE, Text, alike, distinct, label
from reports.asking.examples import Place
from reports.asking.metrics import Metric
from reports.asking.study import Study
from reports.figures.pictures import Picture, mask_outline, thumbnail_at
from reports.site.pages import Page
from reports.statistics.wordings import GROUNDED, OTHER, SAME, Error, Run, changed_words, errors

FEWEST, MOST = 24, 400
"""How many examples the gallery has: one of each configuration, within these bounds."""

WEIGHT = 3_000_000
"""No example is added after the pictures have more characters than this."""

CANDIDATES, A_SAMPLE = 6, 2
"""Among how many of a configuration's largest drops one is looked for whose picture was shown less often than this."""

DRIFT, COSINE = ("tvd_even", "region"), ("cls_cosine", "whole")
"""How far an encoder's attention and its embedding have moved, as metric and region."""


class Entry(NamedTuple):
    """One caption before and after repainting. A picture is named by its address; None where the store has lost it."""

    where: dict[str, str]
    """The corpus, and the names on the axes that apply."""
    said: str
    alike: str
    """Its degradation, and all others under which the picture is the very same ("any")."""
    sample: str
    original: str | None
    degraded: str | None
    repainted: str | None
    outline: str
    before: list[Run]
    after: list[Run]
    errors: list[Error]
    references: list[str]
    value_before: float
    value_after: float
    drift: float | None
    """How far attention inside the mask has moved: Σ |p − q|, the mean over layers, 0 to 2."""
    cosine: float | None
    """Cosine of the CLS embeddings."""

    @property
    def drop(self) -> float:
        return round(self.value_before - self.value_after, 9)


class Gallery(NamedTuple):
    """Entries, the largest drop first, and the pictures they show, by address."""

    metric: Metric
    entries: list[Entry]
    pictures: dict[str, Picture]
    configurations: int
    """How many configurations had captions to choose from."""

    @property
    def shown(self) -> int:
        """Of how many configurations there is an entry."""
        return len({tuple(entry.where.items()) for entry in self.entries})

    def names(self, axis: str) -> set[str]:
        """The names on an axis of which there is an entry."""
        return {name for entry in self.entries if (name := entry.where.get(axis))}

    @property
    def errors(self) -> list[str]:
        """The kinds of error there are, the most frequent first, and last those that say nothing."""
        times = Counter(error.kind for entry in self.entries for error in entry.errors)
        return sorted(times, key=lambda kind: (kind in (OTHER, SAME), -times[kind], kind))


def chosen(drops: pd.DataFrame) -> Iterator[Any]:
    """Rows of drops, dealt: one of every configuration, then more while they are few.

    Drops come the largest first. Wherever the dealing stops, every corpus and inpainter has had its turn before further
    degradations, and these before further captioners. Of a configuration the largest drop is taken whose picture was
    not shown too often yet, nor the very same captions of it.
    """
    hands: dict[tuple[str, ...], list[Any]] = {}
    for row in drops.itertuples():
        hands.setdefault(tuple(getattr(row, axis) for axis in WHERE), []).append(row)
    deal = pd.DataFrame(hands.keys(), columns=WHERE)
    deal["captioners"] = deal.groupby(["corpus", "inpainter", "degradation"]).cumcount()
    deal["degradations"] = deal.groupby(["corpus", "inpainter", "captioners"]).cumcount()
    order = deal.sort_values(["captioners", "degradations"], kind="stable")[WHERE]
    times: Counter[int] = Counter()
    seen: set[tuple[int, int]] = set()
    left = min(MOST, max(FEWEST, len(hands)))
    for turn in range(CANDIDATES):
        for names in order.itertuples(index=False, name=None):
            fresh = [row for row in hands[names] if (row.sample, row.item) not in seen and (row.drop > 0 or not turn)]
            hand = fresh or hands[names][: not turn]
            if hand and left:
                row = next((row for row in hand if times[row.sample] < A_SAMPLE), hand[0])
                times[row.sample] += 1
                seen.add((row.sample, row.item))
                left -= 1
                yield row


def pages(study: Study) -> list[Page]:
    """One page, where captions of repainted pictures were scored."""
    found = study.once(gallery)
    if found is None:
        return []
    axes = ["corpus", *(axis for axis in study.axes if axis in FIRST or found.names(axis))]
    names = {axis: [name for name in study.order[axis] if name in found.names(axis)] for axis in axes}
    given = {"gallery": found, "names": names, "most": MOST, "weight": WEIGHT}
    return [Page("gallery.html", "Gallery", "gallery.html.j2", given)]


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """None: the captions are in the registry."""
    return {}


def gallery(study: Study) -> Gallery | None:
    """Examples of every configuration, by the metric that judges captions; controls have none.

    None where no caption of a repainted picture was scored.
    """
    if study.judge is None:
        return None
    metric, connection = study.judge, study.connection
    kind = study.kinds[metric.name]
    drops = examples.drops(connection, study.id, metric.name, kind, study.controls, CANDIDATES)
    drops = distinct(drops, study.same).reset_index(drop=True)
    if drops.empty:
        return None
    rows = list(chosen(drops))
    ids = examples.configurations(connection, study.id)
    places = {row.Index: _places(row, ids) for row in rows}
    everywhere = {place for some in places.values() for place in some.values()}
    items = examples.items(connection, everywhere)
    numbers = examples.numbers(connection, everywhere, [*GROUNDED, DRIFT[0], COSINE[0]])
    references = examples.references(connection, {row.sample for row in rows})
    pictures: dict[str, Picture | None] = {}
    made = []
    for row in rows:
        if sum(len(picture.uri) for picture in pictures.values() if picture) > WEIGHT:
            break
        made.append(_entry(row, places[row.Index], items, numbers, references[row.sample], pictures, study))
    made.sort(key=lambda entry: -entry.drop)
    kept = {address: picture for address, picture in pictures.items() if picture}
    return Gallery(metric, made, kept, len(drops.drop_duplicates(WHERE)))


def _text(row: Any) -> Text:
    """Text that a row of drops compares."""
    return tuple(getattr(row, axis) for axis in TEXT)


def _places(row: Any, ids: Mapping[tuple[str, ...], int]) -> dict[str, Place]:
    """Places of an entry's captions and pictures: what each is called, and its configuration and sample."""
    text, repainted = _text(row), (row.degradation, row.inpainter)
    cells = {
        "before": (*ORIGINAL, *text),
        "after": (*repainted, *text),
        "original": (*ORIGINAL, *UNSAID),
        "degraded": (row.degradation, "", *UNSAID),
        "repainted": (*repainted, *UNSAID),
    }
    known = {name: ids.get((row.corpus, *names)) for name, names in cells.items()}
    return {name: (place, row.sample) for name, place in known.items() if place is not None}


def _entry(
    row: Any,
    places: Mapping[str, Place],
    items: Mapping[tuple[str, Place], examples.Standing],
    numbers: Mapping[Place, Mapping[tuple[str, str], float | None]],
    references: list[str],
    pictures: dict[str, Picture | None],
    study: Study,
) -> Entry:
    """One entry; ``pictures`` takes up what it shows."""

    def picture(name: str) -> str | None:
        item = items.get((name, places[name])) if name in places else None
        if item is None or item.object is None:
            return None
        if item.object not in pictures:
            pictures[item.object] = thumbnail_at(item.object, study.load)
        return item.object if pictures[item.object] else None

    before, after = (items["caption", places[name]].value["caption"] for name in ("before", "after"))
    degraded = items.get(("degraded", places.get("degraded", (0, 0))))
    moved = numbers[places["repainted"]] if "repainted" in places else {}
    return Entry(
        {axis: name for axis in WHERE if (name := getattr(row, axis))},
        label(_text(row)),
        alike((row.degradation, row.inpainter), study.same[row.corpus], study.order),
        row.name,
        picture("original"),
        picture("degraded"),
        picture("repainted"),
        mask_outline(degraded.value) if degraded else "",
        *changed_words(before, after),
        errors(before, after, numbers[places["before"]], numbers[places["after"]]),
        references,
        row.before,
        row.after,
        moved.get(DRIFT),
        moved.get(COSINE),
    )
