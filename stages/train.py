"""``train@entry``: models fine-tuned on captions; each set of captions with each seed is a cell, and one item.

An entry says of which ``kind`` its trainer is (:mod:`models.trainers`), which model of the study it starts from, and
whose ``captions`` of the originals it learns: a captioner's, a recaptioner's or a caption set's, whose own sweep it
names as far as it wants it::

    training:
      lora: {kind: lora, painter: painter, captions: grid, sweep: {precision: [0, 100], recall: [0, 3], seed: [0, 1]}}

A pretraining learns captions for its first stage and the questions of a corpus, too, the same in all its cells.
What the trainer encodes of the base beforehand, sentences and pictures, are items of their own, which all cells share.
They are means and no results: nobody's parents, and what `palimpsest gc` takes once they are a week old. Who trains on
the same captions again has them encoded again.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from models.adapters.roles import Arrays, Lesson, Piece, Trainer
from registry.store import places
from registry.store.dag import STAGES
from registry.store.faults import Passing
from registry.store.keys import canonical, digest, item_key
from stages.engine.handling import loaded
from stages.engine.loop import command, execute
from stages.engine.memory import Entry, Memory
from stages.engine.node import Node, Together
from stages.engine.pictures import picture_of, store
from stages.engine.sets import PREPARED, captioned
from stages.engine.shards import DISK, WHOLE, Outputs
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task, Telling
from stages.engine.trainings import Training, variants

if TYPE_CHECKING:
    from tqdm import tqdm

STAGE = STAGES["train"]
READ = ("sample", "key", "parents", "status", "caption", "value")
ASKED = ("sample", "key", "status", "image_digest", "annotations")
PIECE = "piece"
"""The kind of what is encoded beforehand."""
PIECES_A_BATCH = 64


class Cell(NamedTuple):
    """What one item is trained on."""

    training: str
    lessons: tuple[Lesson, ...]
    seed: int


class Found(NamedTuple):
    """A lesson, its sample, and the key of its caption or, where that is an answer, of its picture."""

    sample: str
    key: str
    lesson: Lesson


def lessons_of(one: Training, outputs: Outputs) -> tuple[list[Lesson], list[str]]:
    """What a variant learns from, by sample, and the keys of that; nothing where it has no captions of its own."""
    found = chosen(one, told(one.folder, one.corpus, outputs))
    if found and one.initial:
        found += told(one.initial, one.corpus, outputs, "initial")
    if found and one.instructions:
        found += answered(one.instructions, outputs)
    return [each.lesson for each in found], [each.key for each in found]


def told(folder: Path, corpus: str, outputs: Outputs, stage: Literal["", "initial"] = "") -> list[Found]:
    """The captions of originals in a folder.

    A picture without a caption teaches nothing; where a caption was rewritten, the first stands beside it as worse.
    """
    found = [
        Found(row["sample"], row["key"], Lesson(picture, row["caption"], first_of(row), stage=stage))
        for _, row, picture in captioned(folder, READ, outputs, corpus)
        if picture
    ]
    return sorted(found, key=lambda each: each[:2])


def chosen(one: Training, found: list[Found]) -> list[Found]:
    """The captions of as many pictures as a variant asks for; raises ``ValueError`` where there are fewer."""
    size = one.scope.size
    if size is None or not found:
        return found
    pictures = {each.lesson.picture.digest for each in found}
    if len(pictures) < size:
        raise ValueError(
            f"{one.name} is to learn the captions of {size} pictures, and {one.scope.captions} has captions of "
            f"{len(pictures)}: lower `size`, or caption more pictures."
        )
    some = set(sorted(pictures, key=lambda each: digest(f"{one.scope.seed} {each}".encode()))[:size])
    return [each for each in found if each.lesson.picture.digest in some]


def answered(corpus: str, outputs: Outputs) -> list[Found]:
    """The questions about the pictures of a corpus, with their answers; raises ``ValueError`` where it has none."""
    found = [
        Found(row["sample"], row["key"],
              Lesson(picture_of(row, path), one["answer"], question=one["question"], stage="instruction"))
        for path in outputs.shards(PREPARED / corpus)
        for row in outputs.read(path, ASKED)
        if row["status"] == "ok"
        for one in json.loads(row["annotations"] or "{}").get("questions", [])
    ]  # fmt: skip
    if not found:
        raise ValueError(
            f"corpus {corpus} has no questions with answers to be learnt: give a corpus of scenes `instructions: 8`, "
            "or name another one as `instructions`."
        )
    return sorted(found, key=lambda each: each[:2])


def first_of(row: Mapping[str, Any]) -> str:
    """The caption that was rewritten; empty where none was, or it stayed."""
    first: str = json.loads(row.get("value") or "{}").get("first", "")
    return first if first != row["caption"] else ""


def plan(some: Mapping[str, Training], outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """One task a variant, in a folder of its own, where its files will lie."""
    for name, one in some.items():
        lessons, keys = lessons_of(one, outputs)
        if not lessons:
            continue
        parts = {
            "lessons": digest(canonical([lesson.parts() for lesson in lessons]).encode()),
            "trainer": one.identity,
            "seed": one.scope.seed,
        }
        task = Task(
            one.corpus, "", {"training": name}, parts, tuple(dict.fromkeys(keys)),
            Cell(name, tuple(lessons), one.scope.seed),
        )  # fmt: skip
        yield f"{'/'.join([*name.split('/')[1:], one.corpus])}/{WHOLE}", [task]


@dataclass(frozen=True)
class Encoded:
    """What is known of pieces: it can be sent to another process."""

    addresses: Mapping[Piece, str]
    objects: str

    def __call__(self, piece: Piece) -> Arrays:
        from safetensors.torch import load

        try:
            return load(store(self.objects).get(self.addresses[piece]))
        except FileNotFoundError:
            what = repr(piece.text[:40]) if piece.picture is None else f"the picture {piece.picture.digest[:12]}"
            raise Passing(
                f"what was encoded of {what} is gone meanwhile, as `palimpsest gc` takes it once it is a week old: run "
                "again, and it is encoded again"
            ) from None


class Encoder:
    """Encodes pieces with the base of one trainer."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer

    def load(self) -> str:
        return loaded(self.trainer)

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        from safetensors.torch import save

        return [Outcome(data=save(dict(one))) for one in self.trainer.encode([task.inputs for task in tasks])]


class Fit(Telling):
    """Trains the cells of an entry, one after the other."""

    def __init__(self, some: Mapping[str, Training], known: Encoded, failed: Mapping[Piece, Entry]) -> None:
        self.some, self.known, self.failed = some, known, failed

    def load(self) -> str:
        return loaded(next(iter(self.some.values())).trainer)

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return [self.trained(task.inputs, item_key(STAGE.kind, task.parts)) for task in tasks]

    def trained(self, cell: Cell, key: str) -> Outcome:
        trainer = self.some[cell.training].trainer
        pieces = trainer.pieces(cell.lessons)
        if lost := [self.failed[piece] for piece in pieces if piece in self.failed]:
            said = f"{len(lost)} of {len(pieces)} captions and pictures cannot be encoded, first: {lost[0].reason}"
            return Outcome(reason=said, passes=all(one.passes for one in lost))
        loaded(trainer)
        folder = folder_of(key)
        folder.mkdir(parents=True, exist_ok=True)
        with self.curve(cell.training, key) as log:
            done = trainer.train(cell.lessons, self.known, cell.seed, folder, log)
        return Outcome({**done.figures, "items": len(cell.lessons)}, files=done.files)


def folder_of(key: str) -> Path:
    """Where the checkpoints of a training lie until it is done; without a key, those of all."""
    return places.home() / "training" / key[:16]


class Trainings(Together):
    """Encodes what all cells of an entry need, each piece once, and then trains them."""

    def __init__(self, some: Mapping[str, Training]) -> None:
        self.some = some

    def answer(
        self, memory: Memory, kind: str, tasks: Sequence[tuple[str, Task]], progress: tqdm
    ) -> tuple[dict[str, Entry], dict[str, Any]]:
        counts, reasons = Counter(asked=0, recalled=0, computed=0, failed=0), Counter[str]()
        by_base: dict[str, list[tuple[str, Task]]] = defaultdict(list)
        for key, task in tasks:
            by_base[canonical(self.some[task.inputs.training].encoding)].append((key, task))
        entries: dict[str, Entry] = {}
        for own in by_base.values():
            one = self.some[own[0][1].inputs.training]
            keys = {
                piece: item_key(PIECE, parts_of(piece, one))
                for _, task in own
                for piece in self.some[task.inputs.training].trainer.pieces(task.inputs.lessons)
            }
            known = memory.recall(keys.values(), data=False)
            counts.update(asked=len(keys), recalled=len(known))
            missing = [
                (key, Task("", "", {}, parts_of(piece, one), (), piece))
                for piece, key in keys.items()
                if key not in known
            ]
            batches = [missing[start : start + PIECES_A_BATCH] for start in range(0, len(missing), PIECES_A_BATCH)]
            done = 0
            for some in memory.compute(PIECE, Encoder(one.trainer), batches):
                done += len(some)
                progress.set_postfix_str(f"encoding: {done}/{len(missing)}")
                for key, entry in some.items():
                    known[key] = replace(entry, data=None)
                    counts["computed" if entry.run == memory.tracker.id else "recalled"] += 1
            failed = {piece: known[key] for piece, key in keys.items() if known[key].reason}
            counts["failed"] += len(failed)
            reasons.update(str(one.reason) for one in failed.values())
            addresses = {piece: str(known[key].digest) for piece, key in keys.items() if piece not in failed}
            fit = Fit(self.some, Encoded(addresses, places.objects_url()), failed)
            progress.set_postfix_str("training")
            for some in memory.compute(kind, fit, [[one] for one in own]):
                for key, entry in some.items():
                    if entry.reason is None:
                        shutil.rmtree(folder_of(key), ignore_errors=True)
                entries |= some
                progress.update(len(some))
        return entries, {**counts, "reasons": dict(reasons)}


def parts_of(piece: Piece, one: Training) -> dict[str, Any]:
    """The parts of a piece's key."""
    return {**piece.parts(), "trainer": one.encoding}


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the training that a study calls NAME."""
    some = variants(study, name)
    first = next(iter(some.values()))
    return Node(
        stage=STAGE,
        entry=name,
        settings={**study.entry("training", name), first.role: first.base.entry},
        study=study.study,
        total=len(some),
        plan=plan(some, outputs),
        worker=Trainings(some),
    )


def main(name: str) -> None:
    """Train as the entry that params.yaml calls NAME says."""
    study = read_study()
    found = node(study, name)
    held = list(found.plan)
    if len(held) < found.total:
        there = {task.inputs.training for _, tasks in held for task in tasks}
        empty = next(one for one in variants(study, name) if one not in there)
        raise ValueError(
            f"{empty} has nothing to learn from: its captions of the corpus are none, or all failed; look at what "
            f"`captions` of training.{name} names."
        )
    execute(replace(found, plan=held))


if __name__ == "__main__":
    command(main)
