"""The study: what ``params.yaml`` asks for.

Everything listed there is in the study: each corpus is degraded in each way, repainted by each inpainter, and captioned
by each captioner. An entry's ``adapter`` names its class in the catalogue, the rest are that class's settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import StringConstraints

from models.settings import Settings, unknown, validated

PARAMS = Path("params.yaml")

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
"""Names become stage names, folders and DVC parameters, so they are letters, digits, ``-`` and ``_``."""

Entries = dict[Name, dict[str, Any]]


class Study(Settings):
    """The sections of ``params.yaml``; each maps names, chosen freely, to entries."""

    study: Name
    corpora: Entries
    degradations: Entries
    inpainters: Entries
    captioners: Entries
    encoders: Entries
    fidelity: Entries
    quality: Entries

    def entry(self, section: str, name: str) -> dict[str, Any]:
        """One entry of a section.

        Raises ``ValueError`` with the nearest known name where the section has no such entry.
        """
        entries = getattr(self, section)
        if name not in entries:
            raise ValueError(unknown(f"entry of {section} in {PARAMS}", name, entries))
        return entries[name]


def read_study() -> Study:
    """The study in the working directory.

    Raises ``FileNotFoundError`` without a ``params.yaml``, ``ValueError`` where a section is missing or unknown.
    """
    return validated(str(PARAMS), Study, yaml.safe_load(PARAMS.read_text()))
