"""Provenance of a study: data with their digests, the code that ran, and the seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd
from sqlalchemy import Connection, select

from registry.store.keys import canonical, digest
from registry.store.schema import Corpus, Item, Placement, Reference, Sample
from reports.asking.queries import standing


class Data(NamedTuple):
    """A corpus as the study read it."""

    corpus: str
    pictures: int
    references: int
    sizes: str
    """The sides of its pictures in pixels, the smallest and the largest."""
    digest: str
    """SHA-256 over the names of its pictures, their pixels and their references."""


def data(connection: Connection, study: int) -> list[Data]:
    """The corpora of a study, by name."""
    columns = (Corpus.name, Sample.id, Sample.name, Sample.width, Sample.height, Item.object)
    originals = connection.execute(
        standing(study, *columns)
        .join(Item, Item.id == Placement.item_id)
        .where(Placement.kind == "original")
        .distinct()
    ).all()  # fmt: skip
    texts: dict[int, list[str]] = {}
    statement = (
        select(Reference.sample_id, Reference.text)
        .join(Sample, Sample.id == Reference.sample_id)
        .join(Corpus, Corpus.id == Sample.corpus_id)
        .where(Corpus.name.in_({row[0] for row in originals}))
        .order_by(Reference.position)
    )
    for sample, text in connection.execute(statement):
        texts.setdefault(sample, []).append(text)
    found = []
    for corpus in sorted({row[0] for row in originals}):
        rows = sorted((row for row in originals if row[0] == corpus), key=lambda row: row[2])
        contents = [[name, pixels, texts.get(sample, [])] for _, sample, name, _, _, pixels in rows]
        sizes = sorted({(width, height) for _, _, _, width, height, _ in rows})
        ends = [f"{width} × {height}" for width, height in dict.fromkeys((sizes[0], sizes[-1]))]
        said = sum(len(some) for _, _, some in contents)
        found.append(Data(corpus, len(rows), said, " to ".join(ends), digest(canonical(contents).encode())))
    return found


def commits(runs: pd.DataFrame) -> list[str]:
    """The git commits that computed items, each once; "+" marks uncommitted changes."""
    return sorted(set(runs["git_commit"]))


def seeds(params: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every seed that the parameters set, by dotted name, those of the variants of an entry together.

    >>> seeds({"corpora": {"scenes": {"seed": 3}}, "training": {"t/seed=0": {"seed": 0}, "t/seed=1": {"seed": 1}}})
    [('corpora.scenes.seed', '3'), ('training.t.seed', '0, 1')]
    """
    found: dict[str, dict[str, None]] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if name == "seed":
                    found.setdefault(f"{path}seed", {})[canonical(inner)] = None
                else:
                    walk(inner, f"{path}{name.partition('/')[0]}.")

    walk(params, "")
    return [(name, ", ".join(values)) for name, values in found.items()]
