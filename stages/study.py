"""The study: what ``params.yaml`` asks for.

Everything listed there is in the study: each corpus is degraded in each way, repainted by each inpainter, and captioned
by each captioner. An entry's ``adapter`` names its class in the catalogue, the rest are that class's settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from models import catalogue

PARAMS = Path("params.yaml")
DEFAULT_BATCH = 16

Entry = Mapping[str, Any]


class Study(BaseModel):
    """The sections of ``params.yaml``; each maps names, chosen freely, to entries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    corpora: dict[str, dict[str, Any]]
    degradations: dict[str, dict[str, Any]]
    inpainters: dict[str, dict[str, Any]]
    captioners: dict[str, dict[str, Any]]
    fidelity: dict[str, dict[str, Any]]
    quality: dict[str, dict[str, Any]]

    def entry(self, section: str, name: str) -> dict[str, Any]:
        """One entry of a section.

        Raises ``ValueError`` with the nearest known name where the section has no such entry.
        """
        entries = getattr(self, section)
        if name not in entries:
            raise ValueError(catalogue.unknown(f"entry of {section} in {PARAMS}", name, entries))
        return entries[name]


def read_study() -> Study:
    """The study in the working directory.

    Raises ``FileNotFoundError`` without a ``params.yaml``, ``ValueError`` where a section is missing or unknown.
    """
    try:
        return Study(**yaml.safe_load(PARAMS.read_text()))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise ValueError(catalogue.unknown(f"section of {PARAMS}", name, Study.model_fields)) from None
        raise ValueError(f"Section {name} of {PARAMS} is wrong: {first['msg']}.") from None


class Adapted:
    """An entry of ``params.yaml`` with its adapter: what a stage asks, and under which identity."""

    def __init__(self, section: str, name: str, entry: Entry, role: str | None = None) -> None:
        settings = dict(entry)
        self.name = name
        self.batch_size: int = settings.pop("batch_size", DEFAULT_BATCH)
        self.adapter = catalogue.build(role or section, name, settings)
        self.kind = settings["adapter"]

    def identity(self) -> dict[str, Any]:
        """What enters the key of every item of this adapter, beside the item's inputs."""
        return {"adapter": self.kind, "version": self.adapter.VERSION, **self.adapter.identity()}

    def load(self) -> str:
        """Load the model and say on which device it is."""
        self.adapter.load()
        return getattr(self.adapter, "device", "cpu")
