"""An entry of ``params.yaml`` with its adapter: what a stage asks, and under which identity."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from models.adapters import catalogue
from models.adapters.settings import unknown
from registry.store.dag import SECTIONS
from stages.engine.handling import batched, handling, identity_of, loaded, prepares, served
from stages.engine.players import cast, identities
from stages.engine.shards import Outputs
from stages.engine.study import swept

if TYPE_CHECKING:
    from stages.engine.node import Plan
from stages.engine.tasks import Task

ROLES = {section: stage.role for section, stage in SECTIONS.items() if stage.role}
"""The sections of ``params.yaml`` whose entries are adapters, and their roles in the catalogue."""

CANDIDATES = ("first", "mean", "best")
"""Which of a captioner's candidates a measure of captions counts (:mod:`models.measures.captions.several`)."""

Models = Mapping[str, Mapping[str, Any]]
"""Models that entries refer to by name."""
NO_MODELS: Models = MappingProxyType({})


class Adapted:
    """A model or measure as a study names it; and who plays the roles of a measure that asks."""

    def __init__(self, name: str, entry: Mapping[str, Any], section: str, models: Models = NO_MODELS) -> None:
        own = ["batch_size"] + ["corpora"] * SECTIONS[section].measures + ["projection"] * (section == "encoders")
        own += ["candidates"] * (section == "quality") + ["prompts", "trainings"] * (section == "painters")
        said, settings = handling(name, entry, *own)
        self.name = name
        self.batch_size, self.corpora, self.projection = said.batch_size, said.corpora, said.projection
        self.candidates, self.prompts, self.trainings = said.candidates, said.prompts, said.trainings
        if self.candidates not in CANDIDATES:
            raise ValueError(unknown(f"choice of candidates (entry {name})", self.candidates, CANDIDATES))
        self.kind = settings.get("adapter")
        of_paintings = section == "quality" and str(self.kind) in catalogue.CATALOGUE["prompted"]
        self.role = "prompted" if of_paintings else ROLES[section]
        roles = catalogue.roles_of(self.role, self.kind)
        self.players = cast(name, settings, roles, models)
        self.entry = settings
        self.adapter = catalogue.build(self.role, name, settings)
        for role in sorted(getattr(self.adapter, "asks", roles.keys()) - self.players.keys()):
            raise ValueError(f"{name} names no {role}: {self.kind} asks one of {roles[role]}.")

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Part of the key of every item of this adapter, beside the item's inputs."""
        identity = identity_of(str(self.kind), self.adapter)
        return identity | ({"players": identities(self.players)} if self.players else {})

    @property
    def counted(self) -> dict[str, str]:
        """Part of the key of a measure's items, beside its identity: which candidates count, where not the first."""
        return {} if self.candidates == "first" else {"candidates": self.candidates}

    def concerns(self, corpus: str) -> bool:
        """Whether anything of a corpus is to be measured."""
        return self.corpora is None or corpus in self.corpora

    def shards(self, outputs: Outputs, folder: Path) -> list[Path]:
        """The shards of a folder of corpora, but for those of no concern."""
        return [path for path in outputs.shards(folder) if self.concerns(path.relative_to(folder).parts[0])]

    @property
    def prepares(self) -> bool:
        """Whether what it is given is prepared ahead of the device."""
        return prepares(self.adapter)

    def load(self) -> str:
        """Load the model and say on which device it is."""
        return loaded(self.adapter)


class Variants:
    """Variants of an entry, of which one is loaded at a time; each has shards of its own."""

    def __init__(
        self,
        name: str,
        entry: Mapping[str, Any],
        section: str,
        models: Models = NO_MODELS,
    ) -> None:
        self.name, self.section, self.entries = name, section, swept(name, entry, models)
        self.names = list(self.entries)
        first = self._made(self.names[0])
        self.batch_size = first.batch_size
        self.served, self.batched = served(first.adapter), batched(first.adapter)
        self._ready: Adapted | None = None
        self._device = ""

    def _made(self, variant: str) -> Adapted:
        return Adapted(variant, self.entries[variant], self.section)

    def plan(self, plan: Callable[[Adapted], Iterator[tuple[str, list[Task]]]]) -> Plan:
        """The plans of all variants, one after the other, the shards of each in a folder below the entry's."""
        for variant in self.names:
            folder = Path(variant).relative_to(self.name)
            for shard, tasks in plan(self._made(variant)):
                yield str(folder / shard), tasks

    def ready(self, variant: str) -> Adapted:
        """Load a variant, and release the one before."""
        if self._ready is None or self._ready.name != variant:
            self._ready = None
            gc.collect()  # a pipeline whose forward was replaced refers to itself
            model = self._made(variant)
            self._device = model.load()
            self._ready = model
        return self._ready

    @property
    def prepares(self) -> bool:
        """Whether what its variants are given is prepared ahead of the device."""
        return self._ready is not None and self._ready.prepares

    def load(self) -> str:
        """Load the first variant and say on which device it is."""
        self.ready(self.names[0])
        return self._device
