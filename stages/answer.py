"""``answer@answerer``: what a chat model answers to the questions of benchmarks, as it is and as trainings made it.

Every question is an item of its own, and so is every picture, with the metrics of all questions about it; a corpus as a
whole holds those of all its pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

import pyarrow as pa

from models.adapters.requests import Asking, Conversation, together
from models.measures.benchmarks import ANSWERER, Answer, Question
from registry.store.dag import STAGES
from registry.store.keys import canonical, digest
from stages.engine.answering import PREPARED, Answering, Trained, variants
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pictures import Picture, picture_of
from stages.engine.players import Player
from stages.engine.shards import DISK, WHOLE, Outputs
from stages.engine.study import Study, read_study
from stages.engine.tasks import Task
from stages.engine.trained import Made, trained
from stages.engine.trainings import Training
from stages.engine.waves import Method

STAGE = STAGES["answer"]
READ = ("sample", "key", "status", "image_digest")

Asked = Mapping[str, Sequence[Question]]
"""Questions about a picture, by benchmark."""


class Shown(NamedTuple):
    """What is asked of a variant of an entry, with one of its trainings or none: about one picture, or about all of a
    corpus."""

    variant: str
    training: str | None
    pictures: Sequence[tuple[Picture, Asked]]
    whole: bool = False


def models_of(one: Answering, outputs: Outputs) -> Iterator[tuple[str | None, Player, Made]]:
    """The model as it is, and as every training that is done has made it."""
    yield None, one.player, Made("", {})
    for name, training in one.trainings.items():
        if made := trained(training, outputs):
            yield name, Trained(one.player, made.files), made


def plan(some: Mapping[str, Answering], outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """Every picture with questions, shard by shard, and behind a corpus' shards the corpus as a whole.

    Raises ``ValueError`` where a training has seen a picture that is asked about.
    """

    @cache
    def pictures(corpus: str) -> dict[str, str]:
        rows = outputs.rows(PREPARED / corpus, READ)
        return {row["sample"]: row["image_digest"] for row in rows if row["status"] == "ok"}

    for name, one in some.items():
        below = name.split("/")[1:]
        for training, player, made in models_of(one, outputs):
            for corpus in one.corpora:
                if training:
                    check_unseen(one, one.trainings[training], corpus, outputs, pictures)
                axes = {"captioner": name, "training": training}
                identity, folder = one.identity(player), "/".join([*below, training or "none", corpus])
                asked, every = one.questions(corpus, outputs), list[tuple[str, Picture, Asked]]()
                for path in outputs.shards(PREPARED / corpus):
                    tasks = []
                    for row in outputs.read(path, READ):
                        if row["status"] != "ok" or row["sample"] not in asked:
                            continue
                        own, picture = asked[row["sample"]], picture_of(row, path)
                        every.append((row["sample"], picture, own))
                        parts = {"picture": picture.digest, "questions": parts_of(own), **identity}
                        parents = (row["key"], *([made.key] if made.key else []))
                        shown = Shown(name, training, [(picture, own)])
                        tasks.append(Task(corpus, row["sample"], axes, parts, parents, shown))
                    yield f"{folder}/{path.name}", tasks
                if every:
                    listed = [[sample, picture.digest, parts_of(own)] for sample, picture, own in every]
                    parts = {"questions": digest(canonical(listed).encode()), **identity}
                    shown = Shown(name, training, [(picture, own) for _, picture, own in every], whole=True)
                    yield f"{folder}/{WHOLE}", [Task(corpus, "", axes, parts, inputs=shown)]


def parts_of(asked: Asked) -> dict[str, Any]:
    """What of the questions about a picture enters a key."""
    return {kind: [one.parts() for one in some] for kind, some in asked.items()}


def check_unseen(
    one: Answering, training: Training, corpus: str, outputs: Outputs, pictures: Callable[[str], Mapping[str, str]]
) -> None:
    """Raises ``ValueError`` where a picture that is asked about is one of a corpus that a training learns from.

    ``pictures`` gives those of a corpus: digests by sample.
    """
    asked = one.questions(corpus, outputs)
    for learnt in filter(None, (training.corpus, training.instructions)):
        seen = set(pictures(learnt).values())
        for sample, picture in pictures(corpus).items():
            if picture in seen and sample in asked:
                raise ValueError(
                    f"{one.name} asks about {sample} of {corpus}, a picture of {learnt} that {training.name} learns "
                    f"from: let `corpora` of answerers.{one.name.partition('/')[0]} name pictures that it has not seen."
                )


def role_of(variant: str, training: str | None, benchmark: str = "", role: str = "") -> str:
    """The name of a player among all of an entry."""
    return ", ".join(filter(None, (variant, training, benchmark, role)))


def run(shown: Shown, some: Mapping[str, Answering]) -> Conversation:
    """Ask all benchmarks about a picture, or about all pictures of a corpus; what got no answers is left out.

    Raises ``ValueError`` where nothing got any.
    """
    one = some[shown.variant]
    asked = [(kind, picture, own[kind]) for picture, own in shown.pictures for kind in one.benchmarks if kind in own]
    askings = [played(shown, kind, one.benchmarks[kind].ask(picture, own)) for kind, picture, own in asked]
    found = yield from together([tried(asking) for asking in askings])
    if not any(own for own, _ in found):
        raise ValueError(found[0][1])
    answers: dict[str, list[Answer]] = defaultdict(list)
    for (kind, *_), (own, _) in zip(asked, found, strict=True):
        answers[kind] += own
    values = {name: value for kind, own in answers.items() for name, value in one.benchmarks[kind].values(own).items()}
    if shown.whole:
        return {**values, "items": len(shown.pictures)}
    return {**values, "answered": {kind: [each._asdict() for each in own] for kind, own in answers.items()}}


def tried(asking: Asking[list[Answer]]) -> Asking[tuple[list[Answer], str]]:
    """The answers to a benchmark, or none and the reason."""
    try:
        return (yield from asking), ""
    except ValueError as error:
        return [], str(error)


def played(shown: Shown, benchmark: str, asking: Asking[list[Answer]]) -> Asking[list[Answer]]:
    """A benchmark's requests, asked of its own players."""
    reply = None
    while True:
        try:
            requests = asking.send(reply)
        except StopIteration as end:
            answers: list[Answer] = end.value
            return answers
        several = requests if isinstance(requests, list) else [requests]
        mine = [
            replace(
                one,
                role=role_of(shown.variant, shown.training)
                if one.role == ANSWERER
                else role_of(shown.variant, None, benchmark, one.role),
            )
            for one in several
        ]
        received = yield mine
        reply = received if isinstance(requests, list) else received[0]


def players(some: Mapping[str, Answering], outputs: Outputs) -> dict[str, Player]:
    """Who is asked, by :func:`role_of`."""
    found: dict[str, Player] = {}
    for name, one in some.items():
        found |= {role_of(name, training): player for training, player, _ in models_of(one, outputs)}
        for kind, others in one.others.items():
            found |= {role_of(name, None, kind, role): player for role, player in others.items()}
    return found


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the answerer that a study calls NAME."""
    some = variants(study, name)
    metrics = dict.fromkeys(metric.name for one in some.values() for metric in one.metrics)
    return Node(
        stage=STAGE,
        entry=name,
        settings={**study.entry("answerers", name), **next(iter(some.values())).player.entry},
        study=study.study,
        total=sum(
            (len(asked) + 1) * (1 + len(one.trainings))
            for one in some.values()
            for corpus in one.corpora
            if (asked := one.questions(corpus, outputs))
        ),
        plan=plan(some, outputs),
        worker=Method(run, some, players(some, outputs)),
        metrics=[(metric, pa.float64()) for metric in metrics],
    )


def main(name: str) -> None:
    """Ask the answerer that params.yaml calls NAME."""
    study = read_study()
    for one in variants(study, name).values():
        kinds = {kind for corpus in one.corpora for own in one.questions(corpus, DISK).values() for kind in own}
        for kind in one.benchmarks.keys() - kinds:
            raise ValueError(
                f"{kind} has nothing to ask: no picture of {', '.join(one.corpora)} comes with "
                f"{one.benchmarks[kind].NEEDS}. Take it out of `benchmarks` of answerers.{name}, or add a corpus."
            )
    execute(node(study, name))


if __name__ == "__main__":
    command(main)
