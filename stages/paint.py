"""``paint@painter``: prompts painted by a painter as it is, and as trainings of the study have made it.

A prompt's noise is the same for all of them, so that what they paint can be looked at side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from models.adapters import catalogue
from models.adapters.lora import FILE
from models.adapters.settings import Settings, unknown, validated
from models.media.images import encode_png
from registry.store import places
from registry.store.dag import STAGES
from registry.store.keys import digest, item_seed
from stages.engine.handling import identity_of, loaded
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pictures import Picture, fetch, store
from stages.engine.players import Player, player
from stages.engine.shards import DISK, WHOLE, Outputs
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study, swept
from stages.engine.tasks import Outcome, Task
from stages.prompt import named
from stages.train import Training
from stages.train import variants as trainings_of

STAGE = STAGES["paint"]
PROMPTED, TRAINED = (STAGES[name].folder() for name in STAGE.inputs)
READ = ("corpus", "sample", "key", "status", "prompt", "annotations")


class Scope(Settings):
    """What an entry paints: which corpora of ``prompts`` (all where absent), and with which entries of ``trainings``,
    beside the painter as it is; where absent, with all that start from it."""

    prompts: list[str] | None = None
    trainings: list[str] | None = None


class Painting:
    """A variant of an entry of ``painters``: the painter, and what it paints with which trainings.

    Raises ``ValueError``, in one sentence, for what is wrong in it.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], study: Study) -> None:
        settings = dict(entry)
        self.name = name
        scope = validated(name, Scope, {key: settings.pop(key) for key in settings.keys() & Scope.model_fields})
        self.player: Player = player(name, name, settings, "painters", study.models)
        self.adapter = catalogue.build("painters", name, self.player.entry)
        self.prompts = named(study, scope.prompts or list(study.entries("prompts")), name)
        self.trainings = self._trainings(scope.trainings, study)

    def _trainings(self, names: list[str] | None, study: Study) -> dict[str, Training]:
        known = study.entries("training")
        found: dict[str, Training] = {}
        for entry in known if names is None else names:
            if entry not in known:
                raise ValueError(unknown(f"training (entry {self.name})", entry, known))
            some = trainings_of(study, entry)
            if self._starts(next(iter(some.values()))):
                found |= some
            elif names is not None:
                raise ValueError(
                    f"{entry} does not train the painter of {self.name}: let both name one model, with the same "
                    "checkpoint, resolution and lengths of prompts."
                )
        return found

    def _starts(self, one: Training) -> bool:
        """Whether a training starts from this painter, and read what it reads."""
        if one.base.role != "painters" or one.base.entry["adapter"] != self.player.entry["adapter"]:
            return False
        own = type(one.trainer)(one.settings, self.adapter)
        return own.encoding() == one.trainer.encoding()


class Shown(NamedTuple):
    """What is painted: by a variant, with the adapter at an address of the object store, or as it is."""

    painter: str
    adapter: str | None
    text: str


def variants(study: Study, name: str) -> dict[str, Painting]:
    """The variants of an entry of ``painters``."""
    entry = study.entry("painters", name)
    return {one: Painting(one, said, study) for one, said in swept(name, entry, study.models).items()}


def plan(some: Mapping[str, Painting], outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """Every prompt, painted as the painter is and with every training, shard by shard."""
    for name, one in some.items():
        below = name.split("/")[1:]
        known = {training: trained(made, outputs) for training, made in one.trainings.items()}
        for training, made in {None: ("", ""), **known}.items():
            if made is None:
                continue
            for corpus in one.prompts:
                for path in outputs.shards(PROMPTED / corpus):
                    tasks = [task(one, training, *made, row) for row in outputs.read(path, READ)]
                    yield "/".join([*below, training or "none", corpus, path.name]), tasks


def trained(one: Training, outputs: Outputs) -> tuple[str, str] | None:
    """Key and adapter of a training that is done; None where it failed, or is not done yet."""
    below = one.name.split("/")
    path = TRAINED.joinpath(*below, one.corpus, WHOLE)
    for row in outputs.read(path, ("key", "status", "files", "training")):
        if row["status"] == "ok" and row["training"] == one.name:
            return row["key"], dict(row["files"])[FILE]
    return None


def task(one: Painting, training: str | None, key: str, adapter: str, row: Mapping[str, Any]) -> Task:
    """The task of one prompt."""
    columns = {"painter": one.name, "training": training}
    columns |= {"prompt": row["prompt"], "annotations": row["annotations"]}
    parts = {"text": row["prompt"], "model": identity_of(one.player.entry["adapter"], one.adapter)}
    parts |= {"adapter": adapter} if adapter else {}
    parents = (row["key"], *([key] if key else []))
    return Task(row["corpus"], row["sample"], columns, parts, parents, Shown(one.name, adapter or None, row["prompt"]))


class Painters:
    """Paints with the variants of one entry and what was trained, one of them loaded at a time."""

    def __init__(self, some: Mapping[str, Painting]) -> None:
        self.some = some
        self._ready: tuple[str, str | None] | None = None

    def load(self) -> str:
        return self.ready(next(iter(self.some)), None)

    def ready(self, painter: str, adapter: str | None) -> str:
        """Load a painter, with the adapter at an address of the object store where one is named."""
        if self._ready != (painter, adapter):
            entry = self.some[painter].player.entry
            with TemporaryDirectory() as place:
                if adapter:
                    (Path(place) / FILE).write_bytes(store(places.objects_url()).get(adapter))
                    entry = {**entry, "lora": place}
                self._model = catalogue.build("painters", painter, entry)
                self._device = loaded(self._model)
            self._ready = painter, adapter
        return self._device

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        self.ready(tasks[0].inputs.painter, tasks[0].inputs.adapter)
        texts = [task.inputs.text for task in tasks]
        own = [item_seed(digest(f"{self._model.settings.seed} {text}".encode())) for text in texts]
        return [Outcome(data=encode_png(picture)) for picture in self._model.paint(texts, own)]


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    """Draw the contact sheet of one cell."""
    lines = [(task.sample, [fetch(Picture(row["image_digest"]))], [task.inputs.text]) for task, row in examples]
    return contact_sheet(["painting", "prompt"], lines)


def total(study: Study, name: str, outputs: Outputs) -> int:
    """Number of paintings of an entry, if no training fails."""
    return sum(
        outputs.count(outputs.shards(PROMPTED / corpus)) * (1 + len(one.trainings))
        for one in variants(study, name).values() for corpus in one.prompts
    )  # fmt: skip


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the painter that a study calls NAME."""
    some = variants(study, name)
    first = next(iter(some.values()))
    return Node(
        stage=STAGE,
        entry=name,
        settings={**study.entry("painters", name), **first.player.entry},
        study=study.study,
        total=total(study, name, outputs),
        plan=plan(some, outputs),
        worker=Painters(some),
        batch_size=first.player.batch_size,
        sheet=sheet,
    )


def main(name: str) -> None:
    """Paint with the painter that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
