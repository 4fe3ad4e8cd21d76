"""An entry of ``params.yaml`` with its adapter: what a stage asks, and under which identity."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import Field

from models.adapters import catalogue
from models.adapters.settings import Settings, unknown, validated
from registry.store.dag import SECTIONS
from stages.engine.shards import Outputs
from stages.engine.study import swept

if TYPE_CHECKING:
    from stages.engine.node import Plan
from stages.engine.tasks import Task

ROLES = {section: stage.role for section, stage in SECTIONS.items() if stage.role}
"""The sections of ``params.yaml`` whose entries are adapters, and their roles in the catalogue."""

DEFAULT_BATCH = 16

CANDIDATES = ("first", "mean", "best")
"""Which of a captioner's candidates a measure of captions counts (:mod:`models.measures.captions.several`)."""


class Handling(Settings):
    """How stages handle an entry. This is their business, and enters no key of the adapter's own items, but for the
    ``candidates`` that a measure of captions counts where they are not the first."""

    batch_size: int = Field(DEFAULT_BATCH, ge=1, strict=True)
    corpora: list[str] | None = None
    """Those that a measure or an encoder is for; all where absent."""
    projection: dict[str, Any] = {}
    """How an encoder's embeddings are brought into the plane."""
    candidates: str = "first"
    """Those of a captioner that a measure of captions counts."""


def handling(name: str, entry: Mapping[str, Any], *what: str) -> tuple[Handling, dict[str, Any]]:
    """How an entry is handled, and the settings of its adapter; ``what`` can be said of its handling.

    >>> handling("blip", {"adapter": "blip", "batch_size": 0}, "batch_size")
    Traceback (most recent call last):
    ValueError: The setting "batch_size" of blip should be greater than or equal to 1, but is 0.
    """
    said = validated(name, Handling, {key: entry[key] for key in what if key in entry})
    return said, {key: value for key, value in entry.items() if key not in what}


def identity_of(kind: str, adapter: Any) -> dict[str, Any]:
    """Part of the key of every item of an adapter, beside the item's inputs; ``kind`` is its name in the catalogue."""
    return {"adapter": kind, "version": adapter.VERSION, **adapter.identity()}


def loaded(adapter: Any) -> str:
    """Load an adapter's model and say on which device it is."""
    adapter.load()
    if torch := sys.modules.get("torch"):
        torch.backends.cudnn.allow_tf32 = False  # what a study calls float32 is float32 on a GPU too
    return getattr(adapter, "device", "cpu")


class Adapted:
    """A model or measure as a study names it."""

    def __init__(self, name: str, entry: Mapping[str, Any], section: str) -> None:
        own = ["batch_size"] + ["corpora"] * SECTIONS[section].measures + ["projection"] * (section == "encoders")
        own += ["candidates"] * (section == "quality")
        said, settings = handling(name, entry, *own)
        self.name = name
        self.batch_size, self.corpora, self.projection = said.batch_size, said.corpora, said.projection
        self.candidates = said.candidates
        if self.candidates not in CANDIDATES:
            raise ValueError(unknown(f"choice of candidates (entry {name})", self.candidates, CANDIDATES))
        self.adapter = catalogue.build(ROLES[section], name, settings)
        self.kind = settings["adapter"]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Part of the key of every item of this adapter, beside the item's inputs."""
        return identity_of(self.kind, self.adapter)

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
        models: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self.name, self.section, self.entries = name, section, swept(name, entry, models)
        self.names = list(self.entries)
        self.batch_size = self._made(self.names[0]).batch_size
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

    def load(self) -> str:
        """Load the first variant and say on which device it is."""
        self.ready(self.names[0])
        return self._device
