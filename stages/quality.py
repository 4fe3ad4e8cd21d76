"""``quality@measure``: how close each caption is to its sample's references, per item and per cell."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.measures.regions import REGIONS
from registry.store.axes import AXES
from registry.store.keys import canonical, digest
from stages.engine.entries import Adapted
from stages.engine.loop import Node, Outcome, Task, command, execute
from stages.engine.shards import WHOLE, count_rows, read_rows, read_shard, shards
from stages.engine.study import Study, read_study
from stages.fidelity import column
from stages.grounds import Grounds

log = logging.getLogger(__name__)

PREPARED, CAPTIONED, OUT = Path("data/prepare"), Path("data/caption"), Path("data/quality")
CAPTIONS_A_BATCH = 2048

References = dict[str, list[str]]


def references_of(corpus: str) -> References:
    rows = read_rows(PREPARED / corpus, ("sample", "status", "references"))
    return {row["sample"]: row["references"] for row in rows if row["status"] == "ok"}


def grounded(measure: Adapted) -> bool:
    """Whether a measure reads annotations and masks; the items of others do not depend on them."""
    return getattr(measure.adapter, "grounded", False)


def columns(adapter: Any) -> list[str]:
    """The columns of a measure: one a metric, or one a region where the metric has regions."""
    regional = getattr(adapter, "REGIONAL", ())
    return [
        name
        for metric in adapter.METRICS
        for name in ([column(metric, region) for region in REGIONS] if metric in regional else [metric])
    ]


def flat(values: Mapping[str, Any]) -> dict[str, float | None]:
    """Values by column.

    >>> flat({"object_recall": {"whole": 0.5, "region": None}, "parser_coverage": 1.0})
    {'object_recall_whole': 0.5, 'object_recall_region': None, 'parser_coverage': 1.0}
    """
    return {
        name: one
        for metric, value in values.items()
        for name, one in (
            ((column(metric, region), number) for region, number in value.items())
            if isinstance(value, Mapping)
            else ((metric, value),)
        )
    }


def captions_of(corpus: str, captioners: Iterable[str]) -> list[str]:
    """The distinct captions of a corpus, in order of their first appearance."""
    rows = (row for name in captioners for row in read_rows(CAPTIONED / name / corpus, ("status", "caption")))
    return list(dict.fromkeys(row["caption"] for row in rows if row["status"] == "ok"))


def plan(measure: Adapted, study: Study) -> Iterator[tuple[str, list[Task]]]:
    """Every caption, shard by shard, and behind a corpus' shards its cells as wholes.

    A score depends on its sample's references; where the measure weighs words by the whole corpus (CIDEr), on all. One
    of a grounded measure depends on its sample's annotations and mask too.
    """
    for corpus in filter(measure.concerns, study.corpora):
        references = references_of(corpus)
        everything = digest(canonical(references).encode())
        grounds = Grounds(corpus) if grounded(measure) else None
        cells: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for path in shards(PREPARED / corpus):
            shard = path.relative_to(PREPARED)
            tasks = []
            for row in (row for name in study.variants("captioners") for row in read_shard(CAPTIONED / name / shard)):
                if row["status"] != "ok":
                    continue
                own = digest(canonical(references[row["sample"]]).encode())
                parts = {
                    "caption": row["caption"],
                    "references": everything if measure.adapter.corpus_wide else own,
                    "sample": row["sample"] if measure.adapter.corpus_wide else None,
                    "measure": measure.identity,
                    **(grounds.parts([row["sample"]], row["degradation"]) if grounds else {}),
                }
                axes = {axis: row[axis] for axis in AXES}
                tasks.append(Task(corpus, row["sample"], axes, parts, (row["key"],), row["caption"]))
                cells[tuple(axes.values())][row["sample"]] = row["caption"]
            yield str(shard), tasks
        yield (
            f"{corpus}/{WHOLE}",
            [
                Task(
                    corpus,
                    "",
                    dict(zip(AXES, axes, strict=True)),
                    {
                        "captions": digest(canonical(captions).encode()),
                        "references": everything,
                        "measure": measure.identity,
                        **(grounds.parts(captions, axes[AXES.index("degradation")]) if grounds else {}),
                    },
                    inputs=captions,
                )
                for axes, captions in cells.items()
            ],
        )


class Scorer:
    """Scores captions, fitted to one corpus at a time."""

    def __init__(self, measure: Adapted, study: Study) -> None:
        self.adapter = measure.adapter
        self.grounded = grounded(measure)
        self.captioners = tuple(study.variants("captioners"))
        self.corpus = ""

    def __call__(self, tasks: Sequence[Task], _seeds: Sequence[int]) -> list[Outcome]:
        if tasks[0].corpus != self.corpus:
            self.fit(tasks[0].corpus)
        if not tasks[0].sample:
            wholes = [self.adapter.corpus(task.inputs, *self.masks(task.inputs, task.columns)) for task in tasks]
            return [Outcome({**flat(w), "items": len(t.inputs)}) for w, t in zip(wholes, tasks, strict=True)]
        cells: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for task in tasks:
            cells[tuple(task.columns.values())][task.sample] = task.inputs
        scored = {
            axes: self.adapter.score(captions, *self.masks(captions, dict(zip(AXES, axes, strict=True))))
            for axes, captions in cells.items()
        }
        return [Outcome(flat(scored[tuple(task.columns.values())][task.sample])) for task in tasks]

    def fit(self, corpus: str) -> None:
        self.grounds = Grounds(corpus) if self.grounded else None
        annotations = [self.grounds.annotations] if self.grounds else []
        self.adapter.fit(references_of(corpus), captions_of(corpus, self.captioners), *annotations)
        self.corpus = corpus

    def masks(self, samples: Iterable[str], axes: Mapping[str, Any]) -> list[dict[str, bytes]]:
        """The masks of a cell, for a measure that reads them."""
        return [self.grounds.masks(samples, axes["degradation"])] if self.grounds else []


def node(study: Study, name: str) -> Node:
    """The stage of the measure that a study calls NAME."""
    entry = study.entry("quality", name)
    measure = Adapted(name, entry, "quality")
    return Node(
        name=f"quality@{name}",
        kind=f"quality.{name}",
        out=OUT / name,
        fields=[
            *((axis, pa.string()) for axis in AXES),
            *((name, pa.float64()) for name in columns(measure.adapter)),
        ],
        axes=AXES,
        settings=entry,
        study=study.study,
        total=count_rows(s for n in study.variants("captioners") for s in measure.shards(CAPTIONED / n)),
        plan=plan(measure, study),
        compute=Scorer(measure, study),
        load=measure.load,
        batch_size=CAPTIONS_A_BATCH,
    )


def main(name: str) -> None:
    """Score captions with the measure that params.yaml calls NAME."""
    study = read_study()
    measure = Adapted(name, study.entry("quality", name), "quality")
    for metric, reason in getattr(measure.adapter, "unavailable", {}).items():
        log.warning("%s is left out: %s", metric, reason)
    execute(node(study, name))


if __name__ == "__main__":
    command(main)
