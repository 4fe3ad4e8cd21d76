"""``paint@painter``: prompts painted by a painter as it is, and as trainings of the study have made it.

A prompt's noise is the same for all of them, so that what they paint can be looked at side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from models.adapters import catalogue
from models.adapters.lora import FILE
from models.adapters.roles import Trainer
from models.adapters.settings import unknown
from models.media.images import encode_png
from registry.store.dag import STAGES
from registry.store.keys import painting_seed
from stages.engine.entries import Adapted
from stages.engine.handling import loaded
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pictures import Picture, fetch
from stages.engine.shards import DISK, Outputs
from stages.engine.sheets import contact_sheet
from stages.engine.study import Study, read_study, swept
from stages.engine.tasks import Outcome, Task
from stages.engine.trained import Made, laid, trained
from stages.engine.trainings import Training, starting

STAGE = STAGES["paint"]
PROMPTED = STAGES["prompt"].folder()
READ = ("corpus", "sample", "key", "status", "prompt", "annotations")


class Painting:
    """A variant of an entry of ``painters``: the painter, and what it paints with which trainings.

    Raises ``ValueError``, in one sentence, for what is wrong in it.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], study: Study) -> None:
        self.name = name
        self.model = Adapted(name, entry, "painters", study.models)
        known = study.entries("prompts")
        self.prompts = list(known) if self.model.prompts is None else self.model.prompts
        for corpus in self.prompts:
            if corpus not in known:
                raise ValueError(unknown(f"corpus of prompts (entry {name})", corpus, known))
        both = "the same checkpoint, resolution and lengths of prompts"
        must = f"train the painter of {name}: let both name one model, with {both}"
        self.trainings = starting(study, name, self.model.trainings, self._starts, must)

    def _starts(self, one: Training) -> bool:
        """Whether a training starts from this painter, and read what it reads; none does where that has an adapter."""
        if one.base.role != "painters" or one.base.entry["adapter"] != self.model.kind or self.model.entry.get("lora"):
            return False
        own: Trainer = catalogue.target("trainers", str(one.kind))(one.settings, self.model.adapter)
        return own.encoding() == one.trainer.encoding()


NOTHING = Made("", {})
"""A painter as it is."""


class Shown(NamedTuple):
    """What is painted: by a variant, with the adapter at an address of the object store, or as it is where that is
    empty."""

    painter: str
    adapter: str
    text: str


def variants(study: Study, name: str) -> dict[str, Painting]:
    """The variants of an entry of ``painters``."""
    entry = study.entry("painters", name)
    return {one: Painting(one, said, study) for one, said in swept(name, entry, study.models).items()}


def plan(some: Mapping[str, Painting], outputs: Outputs) -> Iterator[tuple[str, list[Task]]]:
    """Every prompt, painted as the painter is and with every training, shard by shard."""
    for name, one in some.items():
        below = name.split("/")[1:]
        made: dict[str | None, Made | None] = {None: NOTHING}
        made |= {training: trained(its, outputs) for training, its in one.trainings.items()}
        for training, its in made.items():
            if its is None:
                continue
            for corpus in one.prompts:
                for path in outputs.shards(PROMPTED / corpus):
                    tasks = [task(one, training, its, row) for row in outputs.read(path, READ)]
                    yield "/".join([*below, training or "none", corpus, path.name]), tasks


def task(one: Painting, training: str | None, its: Made, row: Mapping[str, Any]) -> Task:
    """The task of one prompt."""
    columns = {"painter": one.name, "training": training}
    columns |= {"prompt": row["prompt"], "annotations": row["annotations"]}
    parts = {"text": row["prompt"], "model": one.model.identity}
    adapter = its.files.get(FILE, "")
    parts |= {"adapter": adapter} if adapter else {}
    parents = (row["key"], *([its.key] if its.key else []))
    return Task(row["corpus"], row["sample"], columns, parts, parents, Shown(one.name, adapter, row["prompt"]))


class Painters:
    """Paints with the variants of one entry and what was trained, one of them loaded at a time."""

    def __init__(self, some: Mapping[str, Painting]) -> None:
        self.some = some
        self._ready: tuple[str, str] | None = None

    def load(self) -> str:
        return self.ready(next(iter(self.some)), "")

    def ready(self, painter: str, adapter: str) -> str:
        """Load a painter, with the adapter at an address of the object store where one is named."""
        if self._ready != (painter, adapter):
            entry = self.some[painter].model.entry
            with laid({FILE: adapter} if adapter else {}) as place:
                self._model = catalogue.build("painters", painter, {**entry, "lora": str(place)} if adapter else entry)
                self._device = loaded(self._model)
            self._ready = painter, adapter
        return self._device

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        self.ready(tasks[0].inputs.painter, tasks[0].inputs.adapter)
        texts = [task.inputs.text for task in tasks]
        own = [painting_seed(self._model.settings.seed, text) for text in texts]
        return [Outcome(data=encode_png(picture)) for picture in self._model.paint(texts, own)]


def sheet(examples: Sequence[tuple[Task, Mapping[str, Any]]]) -> bytes:
    """Draw the contact sheet of one cell."""
    lines = [(task.sample, [fetch(Picture(row["image_digest"]))], [task.inputs.text]) for task, row in examples]
    return contact_sheet(["painting", "prompt"], lines)


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the painter that a study calls NAME."""
    some = variants(study, name)
    first = next(iter(some.values()))
    return Node(
        stage=STAGE,
        entry=name,
        settings=study.entry("painters", name),
        study=study.study,
        total=sum(
            outputs.count(outputs.shards(PROMPTED / corpus)) * (1 + len(one.trainings))
            for one in some.values()
            for corpus in one.prompts
        ),
        plan=plan(some, outputs),
        worker=Painters(some),
        batch_size=first.model.batch_size,
        sheet=sheet,
    )


def main(name: str) -> None:
    """Paint with the painter that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
