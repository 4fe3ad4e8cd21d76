"""Paintings side by side: the same prompts, as a painter and each of its trainings painted them."""

from __future__ import annotations

from typing import NamedTuple

from reports.asking.study import Study
from reports.asking.trained import Painting, cells, judged, paintings, prompts
from reports.figures.pictures import Picture, taken_up

SHOWN = 4
"""How many prompts of each corpus are shown."""

WEIGHT = 2_000_000
"""No prompt is added after the pictures have more characters than this."""


class Sample(NamedTuple):
    """One prompt, as it was painted before and after each training."""

    corpus: str
    prompt: str
    painter: str
    line: str
    seed: int
    untrained: str | None
    recalls: list[int]
    rows: list[tuple[float, list[str | None]]]
    """Addresses of pictures by precision and recall; None where there is none, or the store has lost it."""


def gallery(study: Study) -> tuple[list[Sample], dict[str, Picture]]:
    """Some prompts of each corpus, evenly spread, as each cell painted them with the first seed."""
    grid, texts = cells(study.params), prompts(study)
    at: dict[tuple[str, str, str], dict[str, Painting]] = {}
    for one in paintings(study):
        at.setdefault((one.corpus, one.painter, one.sample), {})[one.training] = one
    pictures: dict[str, Picture | None] = {}

    def picture(one: Painting | None) -> str | None:
        return taken_up(one.picture if one else None, study.load, pictures)

    found = []
    surfaces = {(one.corpus, one.painter, one.line): one.surface for one in study.once(judged)}
    for (corpus, painter, line), surface in surfaces.items():
        mine = {name: cell for name, cell in grid.items() if cell.line == line}
        samples = [sample for *of, sample in at if of == [corpus, painter]]
        seed = min(cell.seed for cell in mine.values())
        named = {(cell.precision, cell.recall): name for name, cell in mine.items() if cell.seed == seed}
        for sample in samples[:: max(1, len(samples) // SHOWN)][:SHOWN]:
            if sum(len(one.uri) for one in pictures.values() if one) > WEIGHT:
                break
            painted = at[corpus, painter, sample]
            rows = [
                (p, [picture(painted.get(named[p, r])) if (p, r) in named else None for r in surface.recalls])
                for p in surface.precisions
            ]
            text = texts.get((corpus, sample), sample)
            own = picture(painted.get(""))
            found.append(Sample(corpus, text, painter, line, seed, own, surface.recalls, rows))
    return found, {address: one for address, one in pictures.items() if one}
