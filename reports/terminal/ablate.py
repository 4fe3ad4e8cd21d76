"""``palimpsest ablate``: the factors of a CSV file, or of a study in the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from registry.store.axes import AXES
from reports.asking.axes import FIRST
from reports.asking.factors import ITEM, entering, left_out, study_rows
from reports.asking.sources import is_table, opened_study, study_values
from reports.statistics.effects import Effect, Interaction, interactions, paired_effects, together
from reports.terminal.tables import read_table


class Ablation(NamedTuple):
    """Effects of each factor and interactions of all of them; Holm's p is over all of it."""

    value: str
    item: str
    effects: dict[str, list[Effect]]
    interactions: list[Interaction]
    left_out: list[str]
    """Inpainters that paint the same pictures whatever the degradation was: not where degradations are compared."""
    not_compared: dict[str, str]
    """Why factors that vary are left out, by name; where factors were asked for, this is an error."""

    @property
    def tests(self) -> int:
        return sum(map(len, self.effects.values())) + len(self.interactions)


def ablate_source(
    source: str, factors: Sequence[str], value: str, item: str = "", axes: Sequence[str] = ()
) -> Ablation:
    """Effects of the factors on a value, over items, and with two factors or more their interactions.

    A source is a file where it ends in .csv or is one; else it names a study, whose item is its sample and whose axes
    are all of the grid; its factors are those that vary and can be compared where none are given. Of a table
    the axes are the factors and what is given besides. Raises ``ValueError`` and ``FileNotFoundError``.
    """
    not_compared: dict[str, str] = {}
    if is_table(source):
        frame = read_table(Path(source))
        for option, given in (("--factor", factors), ("--item", item)):
            if not given:
                raise ValueError(f"A table needs {option}; its columns are {', '.join(map(str, frame.columns))}.")
        rows: Mapping[str, pd.DataFrame] = dict.fromkeys(factors, frame)
        axes = list(dict.fromkeys([*factors, *axes]))
        combined, blind = frame, []
    else:
        with opened_study(source) as study:
            frame = study_rows(study, study_values(study, [value]), [value])
        item, axes = item or ITEM, list(axes or AXES)
        varied = list(factors) or [axis for axis in AXES if frame[axis].nunique() > 1]
        if not varied:
            raise ValueError(f"Nothing varies in study {source!r}: it has one value on each of {', '.join(FIRST)}.")
        rows = {factor: entering(frame, factor) for factor in varied}
        not_compared = {factor: reason for factor in varied if (reason := unseen(frame, factor))}
        if not_compared and (factors or len(not_compared) == len(varied)):
            raise ValueError(" ".join(not_compared.values()))
        factors = [factor for factor in varied if factor not in not_compared]
        combined = entering(frame, *factors)
        blind = left_out(frame) if "degradation" in factors else []
    effects = [paired_effects(rows[factor], factor, value, item, axes) for factor in factors]
    several = len(factors) > 1
    effects, (joint,) = together(effects, [interactions(combined, factors, value, item) if several else []])
    return Ablation(value, item, dict(zip(factors, effects, strict=True)), joint, blind, not_compared)


def unseen(frame: pd.DataFrame, factor: str) -> str:
    """Why a factor that varies has no effect to take: no inpainter, but for controls, sees it; empty where one does."""
    blind = left_out(frame)
    if not blind or factor not in frame or frame[factor].nunique() < 2 or entering(frame, factor)[factor].nunique() > 1:
        return ""
    return (
        f"{factor} is no factor here: whatever it is, {', '.join(blind)} paint{'s' * (len(blind) == 1)} the same "
        "pictures, and no other inpainter but controls is there."
    )


def as_json(found: Ablation) -> dict[str, Any]:
    """Plain values: every effect with its factor, every interaction with its levels by factor."""
    return {
        "value": found.value,
        "item": found.item,
        "tests": found.tests,
        "left_out": found.left_out,
        "not_compared": found.not_compared,
        "effects": [{"factor": factor, **asdict(one)} for factor, some in found.effects.items() for one in some],
        "interactions": [
            asdict(one) | {"levels": dict(zip(found.effects, one.levels, strict=True))} for one in found.interactions
        ],
    }
