"""The axes as reports show them: what makes a picture, what is then said of it, and which of them stand in tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from registry.store.axes import ALWAYS, AXES, NONE
from registry.store.dag import GRID, SECTIONS
from reports.statistics.points import representatives

PICTURE = GRID
"""The axes of repainted pictures."""

TEXT = tuple(axis for axis in AXES if axis not in PICTURE)
"""The axes of what comes after a picture: whose caption of it, rewritten by whom, and so on."""

WHERE = ["corpus", *PICTURE, *TEXT]
"""The columns that say what something stands for; an axis that does not apply is ""."""

FIRST = AXES[:ALWAYS]
"""The axes that every table shows; later ones stand where the study uses them."""

Names = tuple[str, str]
"""A degradation and an inpainter."""

Text = tuple[str, ...]
"""The names on the axes of ``TEXT``."""

Order = Mapping[str, Sequence[str]]
"""The names on each axis, in the order of the study's parameters."""

ORIGINAL: Names = ("", "")
UNSAID: Text = ("",) * len(TEXT)
"""Where nothing was said yet: the pictures themselves."""

_MADE = {section: stage.axis for section, stage in SECTIONS.items() if stage.axis}
LISTED = {"corpora": "corpus"} | _MADE | {f"{axis}s": axis for axis in AXES if axis not in _MADE.values()}
"""The sections of params.yaml that list the names of an axis, and the axis."""

CONTROL = "identity"
"""The adapter of an inpainter that leaves the degraded picture as it is."""


def label(text: Text) -> str:
    """Name of a text in tables and columns: its captioner, and the later axes that apply.

    >>> label(("blip", "", "", "")), label(("blip", "rico", "", "")), label(UNSAID)
    ('blip', 'blip/rico', '')
    """
    last = max((place for place, name in enumerate(text) if name), default=-1)
    return "/".join(name or NONE for name in text[: last + 1])


def cell_name(corpus: str, degradation: str, inpainter: str, said: str = "") -> str:
    """Name of a cell; ``said`` is the :func:`label` of its captions, "" for its pictures.

    >>> cell_name("scenes", "", "", "blip"), cell_name("scenes", "blur", "telea")
    ('scenes/none/none/blip', 'scenes/blur/telea')
    """
    return "/".join([corpus, degradation or NONE, inpainter or NONE, *([said] if said else [])])


def columns(rows: pd.DataFrame, always: Sequence[str] = FIRST) -> pd.DataFrame:
    """Rows as a CSV shows them: without the axes that apply to none of them, but for some that are always there.

    >>> rows = pd.DataFrame({"captioner": ["blip"], "recaptioner": ["rico"], "painter": [""], "n": [1]})
    >>> list(columns(rows))
    ['captioner', 'recaptioner', 'n']
    """
    later = [axis for axis in AXES if axis in rows and axis not in always]
    return rows.drop(columns=[axis for axis in later if (rows[axis].isna() | rows[axis].eq("")).all()])


def pictures(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that stand for pictures, not for what was said of them."""
    return rows[(rows[list(TEXT)] == "").all(axis=1)]


def ordered(params: Mapping[str, Any], rows: pd.DataFrame) -> dict[str, list[str]]:
    """The names on each axis, in the order of the study's parameters; what these lack, and controls, come last.

    >>> said = {"captioners": {"blip": {}}, "captions": {"set": {}}}
    >>> ordered(said, pd.DataFrame({axis: ["other"] for axis in WHERE}))["captioner"]
    ['blip', 'set', 'other']
    """
    order = {}
    last = controls(params)
    for axis in dict.fromkeys(LISTED.values()):
        listed = [name for section, on in LISTED.items() if on == axis for name in params.get(section) or {}]
        names = listed + sorted(set(rows[axis]) - set(listed) - {""})
        order[axis] = sorted(names, key=lambda name: axis == "inpainter" and name in last)
    return order


def controls(params: Mapping[str, Any]) -> list[str]:
    """The inpainters that leave the degraded picture as it is."""
    return [name for name, entry in (params.get("inpainters") or {}).items() if entry.get("adapter") == CONTROL]


def repaintings(order: Order) -> list[Names]:
    """Degradation × inpainter, in the order of the tables: those of one inpainter stand together."""
    return [(degradation, inpainter) for inpainter in order["inpainter"] for degradation in order["degradation"]]


def texts(rows: pd.DataFrame, order: Order) -> list[Text]:
    """Different texts among some rows, in the order of the study's parameters."""
    found = {text for text in rows[list(TEXT)].itertuples(index=False, name=None) if any(text)}
    places = {axis: {name: place for place, name in enumerate(["", *order[axis]])} for axis in TEXT}
    return sorted(found, key=lambda text: [places[axis][name] for axis, name in zip(TEXT, text, strict=True)])


def coincident(repainted: pd.DataFrame, corpus: str, order: Order) -> dict[Names, Names]:
    """For each configuration of a corpus the first one with the very same repainted items."""
    some = repainted[repainted["corpus"] == corpus]
    contents = {
        names: tuple(zip(group["sample"], group["item"], strict=True)) for names, group in some.groupby(list(PICTURE))
    }
    return representatives({names: contents[names] for names in repaintings(order) if names in contents})


def alike(names: Names, same: Mapping[Names, Names], order: Order) -> str:
    """The degradations under which an inpainter paints the very same pictures as under its first, "any" for all.

    >>> same = {("blur", "telea"): ("blur", "telea"), ("centre", "telea"): ("blur", "telea")}
    >>> alike(("blur", "telea"), same, {"degradation": ["blur", "centre"]}), alike(("blur", "sd"), {}, {})
    ('any', 'blur')
    """
    found = [degradation for (degradation, _), first in same.items() if first == names]
    if len(found) < 2:
        return names[0]
    return "any" if len(found) == len(order["degradation"]) else ", ".join(found)


def distinct(rows: pd.DataFrame, same: Mapping[str, Mapping[Names, Names]]) -> pd.DataFrame:
    """The rows of configurations that do not coincide with an earlier one (``same``: corpus -> :func:`coincident`).

    Whatever takes n of configurations goes through here: pictures that are the same count once.

    >>> rows = pd.DataFrame({"corpus": "one", "degradation": ["blur", "zero"], "inpainter": "telea", "mse": 0.1})
    >>> distinct(rows, {"one": {("blur", "telea"): ("blur", "telea"), ("zero", "telea"): ("blur", "telea")}})
      corpus degradation inpainter  mse
    0    one        blur     telea  0.1
    """
    first = {(corpus, *names) for corpus, found in same.items() for names, one in found.items() if names == one}
    where = rows[["corpus", *PICTURE]].itertuples(index=False, name=None)
    return rows[np.fromiter((one in first for one in where), bool, len(rows))]


def firsts(names: Iterable[str]) -> list[str]:
    """The first variant of each entry.

    >>> firsts(["telea", "sd/guidance=1", "sd/guidance=3"])
    ['telea', 'sd/guidance=1']
    """
    found: dict[str, str] = {}
    for name in names:
        found.setdefault(name.partition("/")[0], name)
    return list(found.values())
