"""``recaption@method``: the captions of a study rewritten by a method that asks several models.

Its cases are the captions of originals and, where an entry says ``repainted: true``, those of repainted pictures: first
captions of any captioner; or with ``references: true`` what a corpus says of its pictures itself. What it returns are
captions like others, on an axis of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from models.adapters import catalogue
from models.adapters.requests import Ask, Conversation
from models.adapters.settings import Settings, unknown, validated
from models.recaptioners import Case, Recaptioner, plain
from registry.store.dag import STAGES
from stages.engine.handling import identity_of
from stages.engine.loop import command, execute
from stages.engine.node import Again, Node
from stages.engine.pictures import Picture, fetch, picture_of
from stages.engine.players import identities, player
from stages.engine.shards import DISK, Outputs
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study, swept
from stages.engine.tasks import Task
from stages.engine.waves import Method

STAGE = STAGES["recaption"]
PREPARED, REPAINTED, CAPTIONED = (STAGES[name].folder() for name in ("prepare", "inpaint", "caption"))
PICTURED = ("sample", "key", "image_digest")
ANNOTATED = ("sample", "annotations")
READ = ("corpus", "sample", "key", "status", "caption", *STAGES["caption"].axes)


class Scope(Settings):
    """Which captions an entry rewrites: those of some captioners and corpora (all where absent), of originals alone or
    of ``repainted`` pictures too; or the first of each sample's ``references``.

    A picture without a reference is captioned first, with ``first_prompt``, by who plays ``captioner``. Where absent
    that is the method's own.
    """

    captioners: list[str] | None = None
    corpora: list[str] | None = None
    repainted: bool = False
    references: bool = False
    first_prompt: str | None = None

    def about(self, study: Study) -> list[str]:
        """The corpora whose captions are rewritten."""
        return self.corpora or list(study.entries("corpora"))

    def said_by(self, study: Study) -> list[str]:
        """The captioners whose captions are rewritten."""
        return self.captioners or list(study.variants("captioners"))


class Recaptioning:
    """A variant of an entry of ``recaptioners``: the method, who plays its roles, and what it is for.

    ``method`` names it; of its settings those named like its roles say which models play them, by their names in
    ``models`` or described in place. Files that its other settings name are among the stage's inputs.

    Raises ``ValueError``, in one sentence, for what is wrong or missing in it.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> None:
        settings = dict(entry)
        self.name = name
        self.scope = validated(name, Scope, {key: settings.pop(key) for key in settings.keys() & Scope.model_fields})
        known = catalogue.CATALOGUE["recaptioners"]
        self.kind = settings.pop("method", None)
        if self.kind not in known:
            raise ValueError(unknown(f"method of recaptioning (entry {name})", self.kind, known))
        method = catalogue.target("recaptioners", self.kind)
        played = {"captioner": "chat", **method.ROLES} if self.scope.references else method.ROLES
        roles = {role: settings.pop(role) for role in settings.keys() & played.keys()}
        own = validated(f"{self.kind} (entry {name})", method.Settings, settings)
        self.files = [value for _, value in own if isinstance(value, Path)]
        self.method: Recaptioner = method(own)
        self.first_prompt = self.scope.first_prompt or self.method.first_prompt
        for role in sorted(self.method.asks ^ roles.keys() - (played.keys() - method.ROLES.keys())):
            if role in roles:
                raise ValueError(f"{name} names a {role}, whom {self.kind} as it is set does not ask: leave it out.")
            raise ValueError(f"{name} names no {role}: {self.kind} asks one of the {method.ROLES[role]}.")
        self.players = {role: player(name, role, said, played[role], models) for role, said in roles.items()}

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Part of the key of every item, beside the picture and its first caption."""
        first = {"first_prompt": self.first_prompt} if self.scope.references else {}
        return {**identity_of(self.kind, self.method), "players": identities(self.players), **first}

    def run(self, case: Case) -> Conversation:
        """The method's requests, behind the one for a first caption where there is none; who asks nobody needs none.

        Raises ``ValueError`` where there is none to be had.
        """
        if not case.caption and self.method.asks and not self.method.describes:
            if "captioner" not in self.players:
                raise ValueError("the picture has no caption to rewrite: name a `captioner` who writes one")
            first = yield Ask("captioner", self.first_prompt, pictures=(case.picture,), read=plain)
            if not first:
                raise ValueError(f"the picture has no first caption: {first.reason}")
            case = replace(case, caption=first)
        value = yield from self.method.recaption(case)
        return {"first": case.caption, **value}


ANNOTATIONS = Path("annotations")
"""Where people's captions lie; DVC watches it for the stages of recaptioning."""


def check_watched(name: str, file: Path) -> None:
    """Raises ``ValueError`` for a file outside of what DVC watches."""
    if not file.resolve().is_relative_to(ANNOTATIONS.resolve()):
        raise ValueError(f"DVC does not watch {file}, which {name} reads: move it to {ANNOTATIONS}/.")


@dataclass(frozen=True)
class Stray:
    """A caption that belongs to nothing."""

    sample: str
    kind: ClassVar[str] = "caption of a sample that is not there"

    @property
    def message(self) -> str:
        return f"There is a {self.kind}: {self.sample}."


class Shown(NamedTuple):
    """A case of one variant of an entry."""

    variant: str
    case: Case


def variants(study: Study, name: str) -> dict[str, Recaptioning]:
    """The variants of an entry of ``recaptioners``.

    Raises ``ValueError`` where the entry is wrong, or sweeps over who plays a role.
    """
    entry = study.entry("recaptioners", name)
    some = {one: Recaptioning(one, said, study.models) for one, said in swept(name, entry, study.models).items()}
    first = next(iter(some.values()))
    for one in some.values():
        if one.identity["players"] != first.identity["players"]:
            raise ValueError(f"{name} sweeps over who plays a role; make an entry for each.")
    for one in some.values():
        for file in one.files:
            check_watched(name, file)
    for corpus in first.scope.corpora or ():
        study.entry("corpora", corpus)
    for captioner in set(first.scope.captioners or ()) - study.variants("captioners").keys():
        raise ValueError(unknown(f"captioner (entry {name})", captioner, study.variants("captioners")))
    return some


def plan(some: Mapping[str, Recaptioning], study: Study, outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """The tasks of one entry, shard by shard."""
    for name, one in some.items():
        below = Path(*Path(name).parts[1:])
        for corpus in one.scope.about(study):
            for path in outputs.shards(PREPARED / corpus):
                shard = path.relative_to(PREPARED)
                yield str(below / shard), list(cases(one, study, shard, outputs))


def cases(one: Recaptioning, study: Study, shard: Path, outputs: Outputs) -> Iterator[Task]:
    """The tasks of one shard: each caption of an original, and where they are wanted of a repainted picture."""
    held = [PREPARED, *(REPAINTED / name for name in study.variants("inpainters") if one.scope.repainted)]
    rows = ((row, folder / shard) for folder in held for row in outputs.read(folder / shard, PICTURED))
    pictures = {row["key"]: picture_of(row, path) for row, path in rows}
    asked = questions(outputs, shard) if "answerer" in one.players else {}

    def cased(row: Mapping[str, Any], picture: Picture, caption: str, parents: tuple[str, ...]) -> Task:
        sample = row["sample"]
        case = Case(picture, caption, sample, asked.get(sample, ()))
        columns = {axis: row.get(axis) for axis in STAGES["caption"].axes} | {"recaptioner": one.name}
        parts: dict[str, Any] = {"picture": picture.digest, "caption": caption, "method": one.identity}
        parts |= {"questions": list(case.questions)} if case.questions else {}
        parts |= {"sample": sample} if one.method.samples is not None else {}
        return Task(row["corpus"], sample, columns, parts, parents, Shown(one.name, case))

    if one.scope.references:
        for row in outputs.read(PREPARED / shard, (*READ, "references")):
            if row["status"] == "ok":
                yield cased(row, pictures[row["key"]], next(iter(row["references"]), ""), (row["key"],))
        return
    for captioner in one.scope.said_by(study):
        for row in outputs.read(CAPTIONED / captioner / shard, (*READ, "parents")):
            parent = row["parents"][0]
            if row["status"] == "ok" and parent in pictures:
                yield cased(row, pictures[parent], row["caption"], (parent, row["key"]))


def questions(outputs: Outputs, shard: Path) -> dict[str, list[dict[str, str]]]:
    """What the corpus asks about its pictures, by sample."""
    rows = outputs.read(PREPARED / shard, ANNOTATED)
    return {row["sample"]: json.loads(row["annotations"] or "{}").get("questions", []) for row in rows}


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    """Draw the contact sheet of one cell: the picture, what was painted of its captions, the first and the new one."""
    lines = []
    for task, row in examples:
        value = json.loads(row["value"])
        steps = value["steps"] if isinstance(value["steps"], list) else []
        seen = [task.inputs.case.picture, *(Picture(step["painting"]) for step in steps if "painting" in step)]
        texts = [f"first: {value['first']}", f"new: {value['caption']}"]
        lines.append((task.sample, [fetch(picture) for picture in seen], texts))
    most = max(len(pictures) for _, pictures, _ in lines) - 1
    return contact_sheet(["picture", *(f"painting {number}" for number in range(1, most + 1)), "captions"], lines)


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the method that a study calls NAME."""
    some = variants(study, name)
    first = next(iter(some.values()))

    def run(shown: Shown, settings: None) -> Conversation:
        return some[shown.variant].run(shown.case)

    planned, total = Again(partial(plan, some, study, outputs)), 0
    strays = {sample for one in some.values() for sample in one.method.samples or ()}
    for _, tasks in planned:
        total += len(tasks)
        strays -= {task.sample for task in tasks}
    return Node(
        stage=STAGE,
        entry=name,
        settings={**study.entry("recaptioners", name), **{role: one.entry for role, one in first.players.items()}},
        study=study.study,
        total=total,
        plan=planned,
        worker=Method(run, None, first.players),
        problems=[Stray(sample) for sample in sorted(strays)],
        sheet=sheet,
    )


def main(name: str) -> None:
    """Rewrite captions by the method that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
