"""The models and measures that made a study's items, as they stand in the items' keys."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from registry.store.dag import HOLDING
from registry.store.keys import canonical, digest

HEX = re.compile(r"\b[0-9a-f]{40,64}\b")

MAKES = {stage.kind: stage.axis for stage in HOLDING if stage.axis}
"""The axis that names the model of a kind of item; any other kind names itself."""

IDENTITIES = ("model", "measure", "degradation")
"""The parts of a key that name what made an item."""


class Model(NamedTuple):
    """A model that made items of the study, as it stands in their keys."""

    role: str
    name: str
    identity: Mapping[str, Any]

    @property
    def text(self) -> str:
        return described(self.identity)

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.role, self.name, canonical(self.identity)

    @property
    def short(self) -> str:
        """The identity as the beginning of a digest."""
        return digest(canonical(self.identity).encode())[:8]


def described(settings: Mapping[str, Any]) -> str:
    """Settings in one line, long digests cut short.

    >>> described({"adapter": "sbert", "checkpoint": "sha256:" + "ab" * 32, "layers": [1, 2]})
    'adapter sbert, checkpoint sha256:abababababab…, layers (1, 2)'
    """
    parts = (f"{name} {worded(value)}" for name, value in settings.items() if value is not None)
    return HEX.sub(lambda match: match[0][:12] + "…", ", ".join(parts))


def worded(value: Any) -> str:
    """A setting as a sentence has it.

    >>> worded({"bins": 64, "range": [0.5, 1e-05], "log": True, "seed": None})
    '(bins 64, range (0.5, 1e-05), log yes, seed none)'
    """
    if isinstance(value, Mapping):
        return f"({', '.join(f'{name} {worded(one)}' for name, one in value.items())})"
    if isinstance(value, list | tuple):
        return f"({', '.join(map(worded, value))})"
    return {True: "yes", False: "no", None: "none"}[value] if value is None or isinstance(value, bool) else str(value)


def models(identities: pd.DataFrame) -> list[Model]:
    """The different models among the parts of items' keys."""
    found = {model.key: model for row in identities.itertuples() if (model := model_of(row))}
    return [found[key] for key in sorted(found)]


def model_of(row: Any) -> Model | None:
    """The model that made an item, by its kind, axes and parts of the key; originals have none."""
    identity = next((row.parts[name] for name in IDENTITIES if isinstance(row.parts.get(name), Mapping)), None)
    role = MAKES.get(row.kind, row.kind)
    return Model(role, getattr(row, role, row.kind), identity) if identity else None
