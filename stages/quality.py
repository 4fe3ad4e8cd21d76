"""``quality@measure``: how close each caption is to its sample's references, per item and per cell."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from models.measures.regions import columns, flat
from registry.store.axes import AXES
from stages.engine.entries import Adapted
from stages.engine.loop import Node, Outcome, Task, command, execute
from stages.engine.shards import WHOLE, count_rows, read_rows, read_shard, shards
from stages.engine.study import Study, read_study
from stages.records import PREPARED, Records

log = logging.getLogger(__name__)

CAPTIONED, OUT = Path("data/caption"), Path("data/quality")
CAPTIONS_A_BATCH = 2048


def captions_of(corpus: str, captioners: Iterable[str]) -> list[str]:
    """The distinct captions of a corpus, in order of their first appearance."""
    rows = (row for name in captioners for row in read_rows(CAPTIONED / name / corpus, ("status", "caption")))
    return list(dict.fromkeys(row["caption"] for row in rows if row["status"] == "ok"))


def plan(measure: Adapted, study: Study) -> Iterator[tuple[str, list[Task]]]:
    """Every caption, shard by shard, and behind a corpus' shards its cells as wholes."""
    for corpus in filter(measure.concerns, study.corpora):
        records = Records(corpus, measure.adapter.needs)
        cells: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
        for path in shards(PREPARED / corpus):
            shard = path.relative_to(PREPARED)
            tasks = []
            for row in (row for name in study.variants("captioners") for row in read_shard(CAPTIONED / name / shard)):
                if row["status"] != "ok":
                    continue
                axes = {axis: row[axis] for axis in AXES}
                parts = records.parts(row["sample"], row["caption"], axes) | {"measure": measure.identity}
                tasks.append(Task(corpus, row["sample"], axes, parts, (row["key"],), row["caption"]))
                cells[tuple(axes.values())][row["sample"]] = row["caption"]
            tasks.sort(key=lambda task: task.columns["inpainter"] or "")  # whose pictures lie in one shard
            yield str(shard), tasks
        wholes = []
        for names, captions in cells.items():
            axes = dict(zip(AXES, names, strict=True))
            parts = records.whole_parts(captions, axes) | {"measure": measure.identity}
            wholes.append(Task(corpus, "", axes, parts, inputs=captions))
        yield f"{corpus}/{WHOLE}", wholes


class Scorer:
    """Scores captions, fitted to one corpus at a time."""

    def __init__(self, measure: Adapted, study: Study) -> None:
        self.adapter = measure.adapter
        self.captioners = tuple(study.variants("captioners"))
        self.corpus = ""

    def __call__(self, tasks: Sequence[Task], _seeds: Sequence[int]) -> list[Outcome]:
        if tasks[0].corpus != self.corpus:
            self.fit(tasks[0].corpus)
        if not tasks[0].sample:
            return [self.whole(task) for task in tasks]
        records = [self.records.record(task.sample, task.inputs, task.columns) for task in tasks]
        return [Outcome(flat(values)) for values in self.adapter.score(records)]

    def whole(self, task: Task) -> Outcome:
        """The values of a cell as a whole."""
        records = [self.records.record(sample, text, task.columns) for sample, text in task.inputs.items()]
        return Outcome({**flat(self.adapter.corpus(records)), "items": len(records)})

    def fit(self, corpus: str) -> None:
        self.records = Records(corpus, self.adapter.needs)
        self.adapter.fit(self.records.fitted_to(captions_of(corpus, self.captioners)))
        self.corpus = corpus


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
            *((name, pa.float64()) for name in columns(measure.adapter.metrics)),
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
