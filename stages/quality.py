"""``quality@measure``: how close each caption is to its sample's references, per item and per cell."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from registry.indexing import AXES
from registry.keys import canonical, digest
from stages.adapted import Adapted
from stages.loop import Node, Outcome, Task, command, execute
from stages.shards import WHOLE, count_rows, read_rows, read_shard, shards
from stages.study import Study, read_study

log = logging.getLogger(__name__)

PREPARED, CAPTIONED, OUT = Path("data/prepare"), Path("data/caption"), Path("data/quality")
CAPTIONS_A_BATCH = 2048

References = dict[str, list[str]]


def references_of(corpus: str) -> References:
    rows = read_rows(PREPARED / corpus, ("sample", "status", "references"))
    return {row["sample"]: row["references"] for row in rows if row["status"] == "ok"}


def captions_of(corpus: str, captioners: Iterable[str]) -> list[str]:
    """The distinct captions of a corpus, in order of their first appearance."""
    rows = (row for name in captioners for row in read_rows(CAPTIONED / name / corpus, ("status", "caption")))
    return list(dict.fromkeys(row["caption"] for row in rows if row["status"] == "ok"))


def plan(measure: Adapted, study: Study) -> Iterator[tuple[str, list[Task]]]:
    """Every caption, shard by shard, and behind a corpus' shards its cells as wholes.

    A score depends on its sample's references; where the measure weighs words by the whole corpus (CIDEr), on all.
    """
    for corpus in filter(measure.concerns, study.corpora):
        references = references_of(corpus)
        everything = digest(canonical(references).encode())
        cells: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for path in shards(PREPARED / corpus):
            shard = path.relative_to(PREPARED)
            tasks = []
            for row in (row for name in study.captioners for row in read_shard(CAPTIONED / name / shard)):
                if row["status"] != "ok":
                    continue
                own = digest(canonical(references[row["sample"]]).encode())
                parts = {
                    "caption": row["caption"],
                    "references": everything if measure.adapter.corpus_wide else own,
                    "sample": row["sample"] if measure.adapter.corpus_wide else None,
                    "measure": measure.identity,
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
        self.captioners = tuple(study.captioners)
        self.corpus = ""

    def __call__(self, tasks: Sequence[Task], _seeds: Sequence[int]) -> list[Outcome]:
        if tasks[0].corpus != self.corpus:
            self.corpus = tasks[0].corpus
            self.adapter.fit(references_of(self.corpus), captions_of(self.corpus, self.captioners))
        if not tasks[0].sample:
            return [Outcome({**self.adapter.corpus(task.inputs), "items": len(task.inputs)}) for task in tasks]
        cells: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for task in tasks:
            cells[tuple(task.columns.values())][task.sample] = task.inputs
        scored = {axes: self.adapter.score(captions) for axes, captions in cells.items()}
        return [Outcome(scored[tuple(task.columns.values())][task.sample]) for task in tasks]


def main(name: str) -> None:
    """Score captions with the measure that params.yaml calls NAME."""
    study = read_study()
    entry = study.entry("quality", name)
    measure = Adapted(name, entry, "quality")
    for metric, reason in getattr(measure.adapter, "unavailable", {}).items():
        log.warning("%s is left out: %s", metric, reason)
    execute(
        Node(
            name=f"quality@{name}",
            kind=f"quality.{name}",
            out=OUT / name,
            fields=[*((axis, pa.string()) for axis in AXES), *((m, pa.float64()) for m in measure.adapter.METRICS)],
            axes=AXES,
            settings=entry,
            study=study.study,
            total=count_rows(path for name in study.captioners for path in measure.shards(CAPTIONED / name)),
            plan=plan(measure, study),
            compute=Scorer(measure, study),
            load=measure.load,
            batch_size=CAPTIONS_A_BATCH,
        )
    )


if __name__ == "__main__":
    command(main)
