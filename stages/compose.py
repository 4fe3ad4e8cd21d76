"""``compose@set``: sets of (picture, caption) to train on, one for each variant of an entry of ``captions``.

The captions of a set are composed of true and false sentences, so that their precision and recall are known, or are
those of a captioner or recaptioner of the study (:mod:`models.compositions`). To what measures captions they are
captions like others, of the originals, and the set stands where their captioner would. All sets of an entry are about
the same pictures: one that has too little to tell for the fullest of them fails in each.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from models.adapters.settings import unknown
from models.compositions import Composition, Said, Told, composed, composition, false_at
from registry.store.dag import STAGES
from registry.store.keys import digest
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pictures import Picture, fetch, picture_of
from stages.engine.shards import DISK, Outputs
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study, swept
from stages.engine.tasks import Outcome, Task

STAGE = STAGES["compose"]
PREPARED, CAPTIONED, RECAPTIONED = (STAGES[name].folder() for name in STAGE.inputs)
READ = ("corpus", "sample", "key", "status", "image_digest", "annotations")
SAID = ("sample", "key", "status", "reason", "caption", "parents", *STAGES["recaption"].axes)


class Shown(NamedTuple):
    """What one caption is made of, beside its picture."""

    picture: Picture
    told: Sequence[Told] = ()
    false: Sequence[bool] = ()
    of: int = 0
    """The number of the picture's parts."""
    caption: str = ""
    """The caption itself, where it is not composed."""
    reason: str | None = None
    """Why there is none."""


class CaptionSet:
    """A variant of an entry of ``captions``: how its captions come about, and of which corpora they are.

    Raises ``ValueError``, in one sentence, for what is wrong in it.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], study: Study) -> None:
        settings = dict(entry)
        self.name, self.study = name, study
        self.corpora: list[str] = settings.pop("corpora", None) or list(study.entries("corpora"))
        for corpus in self.corpora:
            study.entry("corpora", corpus)
        self.how = composition(name, settings)
        if isinstance(self.how, Said):
            for section, by in (("captioners", self.how.captioner), ("recaptioners", self.how.recaptioner)):
                if by is not None and by not in study.variants(section):
                    raise ValueError(unknown(f"entry of {section} (captions of {name})", by, study.variants(section)))


def sets(study: Study, name: str) -> dict[str, CaptionSet]:
    """The variants of an entry of ``captions``."""
    entry = study.entry("captions", name)
    return {one: CaptionSet(one, said, study) for one, said in swept(name, entry, study.models).items()}


def plan(some: Mapping[str, CaptionSet], outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """The tasks of one entry, shard by shard: every picture in every set."""
    most = max((one.how.recall for one in some.values() if isinstance(one.how, Composition)), default=0)

    @cache
    def rows(corpus: str) -> dict[Path, list[dict[str, Any]]]:
        shards = outputs.shards(PREPARED / corpus)
        return {path: [row for row in outputs.read(path, READ) if row["status"] == "ok"] for path in shards}

    @cache
    def parts(corpus: str, how: Composition) -> dict[str, list[Told]]:
        return {row["sample"]: of_row(row, how) for some in rows(corpus).values() for row in some}

    for name, one in some.items():
        below = Path(*Path(name).parts[1:])
        for corpus in one.corpora:
            if isinstance(one.how, Composition):
                first = one.how.model_copy(update={"precision": 100.0, "recall": 0})  # the same parts are told in all
                tasks = told(one, one.how, rows(corpus), parts(corpus, first), most)
            else:
                tasks = said(one, one.how, rows(corpus), outputs)
            for path, some_tasks in tasks:
                yield str(below / path.relative_to(PREPARED)), some_tasks


def of_row(row: Mapping[str, Any], how: Composition) -> list[Told]:
    """The parts of a picture that can be told; raises ``ValueError`` where its corpus knows of none."""
    try:
        return how.told(json.loads(row["annotations"]), row["image_digest"])
    except ValueError as error:
        raise ValueError(f"captions of kind {how.kind} cannot be made of corpus {row['corpus']}: {error}") from None


Rows = Mapping[Path, Sequence[Mapping[str, Any]]]


def told(
    one: CaptionSet, how: Composition, rows: Rows, parts: Mapping[str, list[Told]], most: int
) -> Iterator[tuple[Path, list[Task]]]:
    """The tasks of a set of composed captions of one corpus."""
    enough = [sample for sample, found in parts.items() if len(found) > most]
    false = list(false_at(enough, how))
    for path, some in rows.items():
        tasks = []
        for row in some:
            found, picture = parts[row["sample"]], picture_of(row, path)
            wrong = [row["sample"] in samples for samples in false]
            reason = lacking(found, how, most) if len(found) <= most else None
            shown = Shown(picture, found[: how.recall + 1], wrong, len(found), reason=reason)
            annotations = digest(row["annotations"].encode())
            tasks.append(task(one, row, {"annotations": annotations, "false": wrong}, shown))
        yield path, tasks


def lacking(found: Sequence[Told], how: Composition, most: int) -> str:
    """Why a picture is in no set."""
    kind = "" if how.negatives == "any" else f" of kind {how.negatives}"
    if not found:
        return f"there is no false base caption{kind} of the picture"
    return f"the picture has {len(found) - 1} sub-caption(s) with a false one{kind}, and the fullest set tells {most}"


def said(one: CaptionSet, how: Said, rows: Rows, outputs: Outputs) -> Iterator[tuple[Path, list[Task]]]:
    """The tasks of a set of a captioner's captions of one corpus."""
    folder = CAPTIONED / how.captioner if how.recaptioner is None else RECAPTIONED / how.recaptioner
    for path, some in rows.items():
        originals = {row["key"] for row in some}
        captions = {
            row["sample"]: row for row in outputs.read(folder / path.relative_to(PREPARED), SAID)
            if row["parents"][0] in originals and row["captioner"] == how.captioner
        }  # fmt: skip
        tasks = []
        for row in some:
            found = captions.get(row["sample"], {"status": "failed", "reason": "it was not asked"})
            if found["status"] == "ok":
                shown = Shown(picture_of(row, path), caption=found["caption"])
                tasks.append(task(one, row, {"caption": found["caption"]}, shown, found["key"]))
            else:
                by = how.recaptioner or how.captioner
                shown = Shown(picture_of(row, path), reason=f"{by} has no caption of the picture: {found['reason']}")
                tasks.append(task(one, row, {"caption": None}, shown))
        yield path, tasks


def task(one: CaptionSet, row: Mapping[str, Any], parts: Mapping[str, Any], shown: Shown, *parents: str) -> Task:
    """The task of one caption; ``row`` is that of its picture."""
    known = {"picture": shown.picture.digest, "composition": one.how.identity(), **parts}
    return Task(row["corpus"], row["sample"], {"captioner": one.name}, known, (row["key"], *parents), shown)


class Composer:
    """Puts captions together."""

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return [caption(task.inputs) for task in tasks]


def caption(shown: Shown) -> Outcome:
    """One caption with its sentences, or why there is none."""
    if shown.reason:
        return Outcome(reason=shown.reason)
    if shown.told:
        return Outcome(composed(shown.told, shown.false, shown.of))
    return Outcome({"caption": shown.caption, "sentences": []})


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    """Draw the contact sheet of one set: pictures with their captions, false sentences marked."""
    lines = []
    for task, row in examples:
        sentences = [f"✗ {one['text']}" if one["negative"] else one["text"] for one in row["sentences"]]
        lines.append((task.sample, [fetch(task.inputs.picture)], sentences or [row["caption"]]))
    return contact_sheet(["picture", "caption"], lines)


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the caption sets that a study calls NAME."""
    some = sets(study, name)
    shards = (path for one in some.values() for corpus in one.corpora for path in outputs.shards(PREPARED / corpus))
    return Node(
        stage=STAGE,
        entry=name,
        settings=study.entry("captions", name),
        study=study.study,
        total=outputs.count(shards),
        plan=plan(some, outputs),
        worker=Composer(),
        sheet=sheet,
    )


def main(name: str) -> None:
    """Make the caption sets that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
