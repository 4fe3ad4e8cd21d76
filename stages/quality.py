"""``quality@measure``: how close each caption is to its sample's references, per item and per cell.

An entry may say which of a captioner's candidates count: ``candidates: first`` (where it does not say), ``mean`` or
``best`` (:mod:`models.measures.captions.several`). All of them and the choice are in the key of an item only where it
is not the first.

A judged measure (:mod:`models.measures.judged`) asks models: its entry says who plays its roles, as in ``judge: qwen``,
by a name of ``models`` or by a description. Its questions are items of their own, as those of recaptioning are. So does
a judge of painters (:mod:`models.measures.prompted`), about every painting of the study.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from models.adapters.requests import Conversation, together
from models.measures.captions.meteor import Incomplete
from models.measures.captions.several import joined, whole
from models.measures.judged import Heard
from models.measures.prompted import Painting, Prompt
from models.measures.regions import columns, flat
from registry.store.axes import Point
from registry.store.dag import GRID, STAGES
from stages.engine.entries import Adapted
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pictures import picture_of
from stages.engine.records import PREPARED, Records
from stages.engine.shards import DISK, WHOLE, Outputs
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task
from stages.engine.waves import Method

log = logging.getLogger(__name__)

STAGE = STAGES["quality"]
SOURCES = tuple(STAGES[name] for name in ("caption", "recaption", "compose"))
PAINTED = STAGES["paint"].folder()
SEEN = ("corpus", "sample", "key", "status", "prompt", "annotations", "image_digest", *STAGES["paint"].axes)
READ = ("sample", "key", "status", "caption", *GRID, "captioner", "recaptioner")
CAPTIONS_A_BATCH = 2048


def read(choice: str) -> tuple[str, ...]:
    """The columns of captions that are read."""
    return READ if choice == "first" else (*READ, "candidates")


def counted(row: Mapping[str, Any], choice: str) -> list[str]:
    """The captions of a row that count."""
    return [row["caption"]] if choice == "first" else row.get("candidates") or [row["caption"]]


def captions_of(corpus: str, sources: Iterable[Path], choice: str) -> list[str]:
    """The distinct captions of a corpus that count, in order of their first appearance."""
    rows = (row for source in sources for row in DISK.rows(source / corpus, read(choice)))
    return list(dict.fromkeys(text for row in rows if row["status"] == "ok" for text in counted(row, choice)))


def plan(
    measure: Adapted, corpora: Iterable[str], sources: Sequence[Path], outputs: Outputs
) -> Iterator[tuple[str, list[Task]]]:
    """Every caption, shard by shard, and behind a corpus' shards its cells as wholes."""
    choice, chosen = measure.candidates, measure.counted
    for corpus in filter(measure.concerns, corpora):
        records = Records(corpus, measure.adapter.needs, outputs)
        cells: dict[Point, dict[str, list[str]]] = defaultdict(dict)
        for path in outputs.shards(PREPARED / corpus):
            shard = path.relative_to(PREPARED)
            tasks = []
            for row in (row for source in sources for row in outputs.read(source / shard, read(choice))):
                axes = {axis: row.get(axis) for axis in STAGE.axes}
                if row["status"] != "ok" or not records.concerns(row["sample"], axes):
                    continue
                texts = counted(row, choice)
                parts = records.parts(row["sample"], row["caption"], axes) | {"measure": measure.identity}
                parts |= {"captions": texts, **chosen} if chosen else {}
                tasks.append(Task(corpus, row["sample"], axes, parts, (row["key"],), texts))
                cells[Point.of(axes)][row["sample"]] = texts
            tasks.sort(key=lambda task: task.columns["inpainter"] or "")  # whose pictures lie in one shard
            yield str(shard), tasks
        wholes = []
        for point, captions in cells.items():
            axes = {axis: getattr(point, axis) for axis in STAGE.axes}
            of_cell = captions if chosen else {sample: texts[0] for sample, texts in captions.items()}
            parts = records.whole_parts(of_cell, axes) | {"measure": measure.identity} | chosen
            wholes.append(Task(corpus, "", axes, parts, inputs=captions))
        yield f"{corpus}/{WHOLE}", wholes


def painted(measure: Adapted, painters: Iterable[str], outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """Every painting of a prompt, shard by shard."""
    for painter in painters:
        for path in outputs.shards(PAINTED / painter):
            tasks = []
            for row in outputs.read(path, SEEN):
                if row["status"] != "ok" or not measure.concerns(row["corpus"]):
                    continue
                prompt = Prompt.told(row["sample"], row["prompt"], json.loads(row["annotations"]))
                about = {"text": prompt.text, **prompt.annotations()}
                parts = {"painting": row["image_digest"], "prompt": about, "measure": measure.identity}
                axes = {axis: row.get(axis) for axis in STAGE.axes}
                seen = Painting(prompt, picture_of(row, path))
                tasks.append(Task(row["corpus"], row["sample"], axes, parts, (row["key"],), seen))
            yield str(path.relative_to(PAINTED)), tasks


def looked_at(painting: Painting, measure: Adapted) -> Conversation:
    """Ask about a painting."""
    found: Conversation = measure.adapter.judge(painting)
    return found


def asked(planned: Iterable[tuple[str, list[Task]]]) -> Iterator[tuple[str, list[Task]]]:
    """A plan whose tasks have themselves for inputs: a method is told no more of a task than these."""
    for shard, tasks in planned:
        yield shard, [replace(task, inputs=task) for task in tasks]


def judged(task: Task, measure: Adapted) -> Conversation:
    """Ask about the captions of an item, or of a cell as a whole: what is known already is not asked again.

    What was answered stays with an item, caption by caption, as ``answered``.
    """
    captions = {task.sample: task.inputs} if task.sample else task.inputs
    kept, choice = Records(task.corpus, measure.adapter.needs), measure.candidates
    records = [[kept.record(sample, text, task.columns) for text in texts] for sample, texts in captions.items()]
    flattened = [one for some in records for one in some]
    answered = yield from together([measure.adapter.judge(one) for one in flattened])
    heard = Heard(
        measure.adapter, {(one.sample, one.text): said for one, said in zip(flattened, answered, strict=True)}
    )
    if not task.sample:
        return {**whole(choice, heard, records), "items": len(records)}
    return {**joined(choice, heard.score(records[0]), heard.metrics), "answered": answered}


class Scorer:
    """Scores captions, fitted to one corpus at a time."""

    def __init__(self, measure: Adapted, sources: Sequence[Path]) -> None:
        self.measure = measure
        self.sources = sources
        self.corpus = ""

    @property
    def prepares(self) -> bool:
        return self.measure.prepares

    def load(self) -> str:
        return self.measure.load()

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        if tasks[0].corpus != self.corpus:
            self.fit(tasks[0].corpus)
        if not tasks[0].sample:
            return [self.whole(task) for task in tasks]
        adapter = self.measure.adapter
        records = [self.records.record(task.sample, text, task.columns) for task in tasks for text in task.inputs]
        try:
            scores = iter([flat(values) for values in adapter.score(records)])
        except Incomplete as error:
            if len(records) > 1:  # of several tasks the loop asks again, one by one
                raise
            return [Outcome(flat(error.values), reason=str(error))]
        several = [[next(scores) for _ in task.inputs] for task in tasks]
        return [Outcome(joined(self.measure.candidates, some, adapter.metrics)) for some in several]

    def whole(self, task: Task) -> Outcome:
        """The values of a cell as a whole."""
        captions, choice = task.inputs.items(), self.measure.candidates
        records = [[self.records.record(sample, text, task.columns) for text in texts] for sample, texts in captions]
        try:
            return Outcome({**whole(choice, self.measure.adapter, records), "items": len(records)})
        except Incomplete as error:
            if choice == "best":  # what it knows is about the captions that are best by one metric
                raise
            return Outcome({**flat(error.values), "items": len(records)}, reason=str(error))

    def fit(self, corpus: str) -> None:
        """Make ready for the captions of a corpus."""
        self.records = Records(corpus, self.measure.adapter.needs)
        texts = captions_of(corpus, self.sources, self.measure.candidates)
        self.measure.adapter.fit(self.records.fitted_to(texts))
        self.corpus = corpus


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the measure that a study calls NAME."""
    entry = study.entry("quality", name)
    measure = Adapted(name, entry, "quality", study.models)
    if measure.role == "prompted":
        painters = list(study.variants("painters"))
        return Node(
            stage=STAGE,
            entry=name,
            settings=entry,
            study=study.study,
            total=outputs.count(path for painter in painters for path in outputs.shards(PAINTED / painter)),
            plan=painted(measure, painters, outputs),
            worker=Method(looked_at, measure, measure.players),
            metrics=[(name, pa.float64()) for name in columns(measure.adapter.metrics)],
            counted=False,
        )
    sources = [stage.folder(name) for stage in SOURCES for name in study.variants(str(stage.section))]
    planned = plan(measure, study.entries("corpora"), sources, outputs)
    return Node(
        stage=STAGE,
        entry=name,
        settings=entry,
        study=study.study,
        total=outputs.count(shard for source in sources for shard in measure.shards(outputs, source)),
        plan=asked(planned) if measure.players else planned,
        worker=Method(judged, measure, measure.players) if measure.players else Scorer(measure, sources),
        metrics=[(name, pa.float64()) for name in columns(measure.adapter.metrics)],
        batch_size=CAPTIONS_A_BATCH,
    )


def main(name: str) -> None:
    """Score captions with the measure that params.yaml calls NAME."""
    study = read_study()
    measure = Adapted(name, study.entry("quality", name), "quality", study.models)
    for metric, reason in getattr(measure.adapter, "unavailable", {}).items():
        log.warning("%s is left out: %s", metric, reason)
    execute(node(study, name))


if __name__ == "__main__":
    command(main)
