"""What a reader has to know before believing the numbers: what was missing, undefined, or not what its name says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import pandas as pd

from registry.store.keys import canonical, digest
from reports.asking.metrics import CONTROL, FIDELITY, GROUNDING, INSIDE, QUALITY

HEX = re.compile(r"\b[0-9a-f]{40,64}\b")
MAKES = {"degraded": "degradation", "repainted": "inpainter", "caption": "captioner"}
"""The axis that names the model of a kind of item; any other kind names itself."""

IDENTITIES = ("model", "measure", "degradation")
"""The parts of a key that name what made an item."""

MODELLED = ("lpips", "clap", "sbert", "simcse_sup", "simcse_unsup")
"""Metrics whose value depends on a checkpoint: their name alone does not say what was measured."""


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
    'adapter sbert, checkpoint sha256:abababababab…, layers [1,2]'
    """
    parts = (f"{k} {v if isinstance(v, str) else canonical(v)}" for k, v in settings.items() if v is not None)
    return HEX.sub(lambda match: match[0][:12] + "…", ", ".join(parts))


def models(identities: pd.DataFrame) -> list[Model]:
    """The different models among the parts of items' keys."""
    found = {model.key: model for row in identities.itertuples() if (model := model_of(row))}
    return [found[key] for key in sorted(found)]


def model_of(row: Any) -> Model | None:
    """The model that made an item, by its kind, axes and parts of the key; originals have none."""
    identity = next((row.parts[name] for name in IDENTITIES if isinstance(row.parts.get(name), Mapping)), None)
    role = MAKES.get(row.kind, row.kind)
    return Model(role, getattr(row, role, row.kind), identity) if identity else None


def notes(params: Mapping[str, Any], means: pd.DataFrame, items: pd.DataFrame, made: list[Model]) -> list[str]:
    """Plain sentences, the most important first."""
    said = []
    failed, total = int(items["failed"].sum()), int(items["items"].sum())
    if failed:
        said.append(f"{failed:,} of {total:,} items failed; they are listed below and enter no mean.")
    titles = {metric.name: metric for metric in (*FIDELITY, *QUALITY)}
    values = means.groupby("metric")["n"].sum()
    for name in (name for name, count in values.items() if not count and name in titles):
        why = " (it needs Java)" if name == "meteor" else ""
        said.append(f"{titles[name].title} has no value in this study{why}, and nothing stands in for it.")
    behind = []
    for name in (name for name in MODELLED if values.get(name, 0)):
        kind = means.loc[means["metric"] == name, "kind"].iloc[0]
        entry = (params.get(kind.split(".")[0]) or {}).get(kind.partition(".")[2]) or {}
        identity = next((model.identity for model in made if model.name == kind), {})
        text = described({key: value for key, value in entry.items() if key != "adapter"} or identity)
        if text:
            behind.append(f"{titles[name].title} ({text})")
    if behind:
        said.append(
            "As good as the network behind it, and to be compared with published values only where they name the same "
            f"one: {'; '.join(behind)}."
        )
    inside = means[means["region"].isin([INSIDE, ""])]
    undefined = inside.assign(gone=inside["items"] - inside["n"]).groupby("metric")["gone"].sum()
    for name, gone in undefined.items():
        if gone and values.get(name, 0) and name in titles:
            said.append(
                f"{titles[name].title} is undefined for {gone:,} measurements (equal pixels, for example); its means "
                "leave them out, and small type in a cell says over how many items such a mean is."
            )
    for name, kinds in means.groupby("metric")["kind"].unique().items():
        if len(kinds) > 1:
            first, *others = sorted(kinds)
            said.append(f"{name} was measured in several ways: shown is {first}, not {', '.join(others)}.")
    unknown = sorted(set(means["metric"]) - set(titles) - {metric.name for metric in GROUNDING})
    if unknown:
        said.append(f"Also measured, but not shown here: {', '.join(unknown)}.")
    named = [name for name, entry in (params.get("inpainters") or {}).items() if entry.get("adapter") == CONTROL]
    if named:
        said.append(
            f"{', '.join(named)} is a control: it leaves the degraded picture as it is. It stands in the tables and, "
            "hollow, in the scatter plots; correlations and the gallery leave it out."
        )
    return said
