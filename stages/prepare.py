"""``prepare@corpus``: the pictures of one corpus as PNG, with their references and annotations.

What is wrong with single samples is listed beside the shards, and never stops a corpus unless ``--strict``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.media.images import encode_png
from registry.store.dag import STAGES
from registry.store.keys import canonical
from stages.corpora import Problem, Sample, corpus_of
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pictures import Picture, fetch
from stages.engine.shards import DISK, Outputs
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, make_empty_folders, read_study
from stages.engine.tasks import Outcome, Task, by_shard

STAGE = STAGES["prepare"]
LONGEST = {"sample": 255, "split": 32}
"""Characters that the registry has for a sample's id, and for the name of its split."""


def plan(corpus: str, samples: Sequence[Sample]) -> Iterator[tuple[str, list[Task]]]:
    """One task a sample, keyed by what its picture depends on, shard by shard."""
    tasks = []
    for sample in samples:
        columns = {
            "split": sample.split,
            "references": list(sample.references),
            "annotations": canonical(sample.annotations),
        }
        tasks.append(Task(corpus, sample.sample, columns, {"source": sample.source}, inputs=sample.picture))
    return by_shard(tasks)


class Reader:
    """Reads or draws pictures: the inputs of a task are a function that gives one."""

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        pictures = [task.inputs() for task in tasks]
        return [Outcome({"width": p.shape[1], "height": p.shape[0]}, encode_png(p)) for p in pictures]


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    """Draw the contact sheet of a corpus."""
    lines = [(task.sample, [fetch(Picture(row["image_digest"]))], row["references"]) for task, row in examples]
    return contact_sheet(["original", "references"], lines)


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the corpus that a study calls NAME."""
    return node_of(study, name, *read(study, name))


def read(study: Study, name: str) -> tuple[list[Sample], list[Problem]]:
    """Read the samples of a corpus, and the problems of its files.

    Raises ``ValueError`` where it holds no sample, and what :meth:`Corpus.samples` does.
    """
    found = [fitting(each) for each in corpus_of(study.entry("corpora", name)).samples()]
    samples = [sample for sample in found if isinstance(sample, Sample)]
    problems = [problem for problem in found if isinstance(problem, Problem)]
    if not samples:
        first = f" The first problem: {problems[0].message}" if problems else ""
        raise ValueError(f"Corpus {name} holds no usable sample.{first} Look at corpora.{name} in {study.file}.")
    return samples, problems


def fitting(found: Sample | Problem) -> Sample | Problem:
    """A sample whose id and split the registry can hold, or the problem that it is."""
    for what, longest in LONGEST.items():
        if isinstance(found, Sample) and len(text := getattr(found, what)) > longest:
            which = found.sample[: LONGEST["sample"]]
            message = f"The {what} {text[:40]}… has {len(text)} characters, {longest} at most; {which} is left out."
            return Problem(which, "too_long", message)
    return found


def node_of(study: Study, name: str, samples: Sequence[Sample], problems: Sequence[Problem]) -> Node:
    """The stage of a corpus that was read."""
    return Node(
        stage=STAGE,
        entry=name,
        settings=study.entry("corpora", name),
        study=study.study,
        total=len(samples),
        plan=plan(name, samples),
        worker=Reader(),
        problems=problems,
        sheet=sheet,
    )


def main(name: str) -> None:
    """Prepare the corpus that params.yaml calls NAME."""
    study = read_study()
    make_empty_folders(study)
    execute(node(study, name))


if __name__ == "__main__":
    command(main)
