"""Cells: rows of a table as units × items, with the errors that a table can have."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from reports.statistics.points import FEWEST

ABSENT = {"", "na", "n/a", "nan", "none", "null", "<na>"}
"""Texts, in small letters, that stand in a column of numbers for nothing measured."""

DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")

LARGEST = 1e100
"""Products of four such numbers are still numbers."""

MOST = 10_000
"""More units than this would take gigabytes to resample, and are usually items."""


@dataclass(frozen=True)
class Roles:
    """Which columns say what a row is: ``unit`` is what the correlation generalises over, such as a configuration."""

    unit: str
    item: str | None = None
    by: str | None = None
    family: str | None = None
    average: bool = False
    """Whether rows of one unit and item may be averaged."""


@dataclass(frozen=True)
class TableGroup:
    """Rows of one group, such as a corpus: ``cells[column]`` is units × items (one where none are named), or NaN."""

    name: str
    units: tuple[str, ...]
    items: int | None
    cells: Mapping[str, np.ndarray]

    def means(self, column: str) -> np.ndarray:
        """The mean of each unit over all items, as :func:`unit_means` has it; NaN where it has none."""
        return unit_means(self.cells[column])


def unit_means(values: np.ndarray) -> np.ndarray:
    """The mean of each unit (row) over all items (columns), those that it lacks filled in by an additive fit.

    Where cells are missing, a plain mean takes hard items for a bad unit. The least-squares fit of unit + item effects
    (a two-way analysis of variance, Yates 1933) does not; it is the plain mean where no cell is missing. Units that no
    chain of items links to all others have nothing to be compared by: then all means are plain.

    >>> unit_means(np.array([[1.0, 3.0], [2.0, 2.0], [5.0, np.nan]])).tolist()
    [2.0, 2.0, 5.5]
    >>> unit_means(np.array([[1.0, 3.0, np.nan], [np.nan, np.nan, 2.0]])).tolist()
    [2.0, 2.0]
    """
    there = np.isfinite(values)
    count = there.sum(axis=1)
    plain = np.divide(np.nansum(values, axis=1), count, out=np.full(len(count), np.nan), where=count > 0)
    has, seen = count > 0, there.any(axis=0)
    held, cells = there[np.ix_(has, seen)], values[np.ix_(has, seen)]
    if held.all() or connected_components(csr_array(held.astype(float) @ held.T))[0] > 1:
        return plain
    own, of_item = held.astype(float), held.sum(axis=0)
    filled = np.where(held, cells, 0.0)
    # Items are eliminated: what is left is a Laplacian over units, whose free constant is the mean of unit effects.
    laplacian = np.diag(own.sum(axis=1)) - (own / of_item) @ own.T
    rest = filled.sum(axis=1) - own @ (filled.sum(axis=0) / of_item)
    effects = np.linalg.solve(laplacian + 1 / len(own), rest)
    level = ((filled.sum(axis=0) - effects @ own) / of_item).mean()
    plain[has] = effects + level
    return plain


def known(frame: pd.DataFrame, column: str) -> str:
    """The column, if the table has it; raises ``ValueError`` with the nearest name."""
    if column in frame.columns:
        return column
    raise ValueError(f"The table has no column {column!r}; {hint(column, [str(name) for name in frame.columns])}")


ALIKE = 0.75
"""How like a name must be to be meant: four of five letters, not two of four."""


def hint(wrong: str, names: Sequence[str]) -> str:
    """The nearest of some names, or all of them.

    >>> hint("sbret", ["mse", "sbert"]), hint("x", ["mse", "sbert"])
    ("did you mean 'sbert'?", 'it has mse, sbert.')
    """
    nearest = difflib.get_close_matches(wrong, names, n=1, cutoff=ALIKE)
    return f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(names) or 'none'}."


def numbers(frame: pd.DataFrame, column: str) -> pd.Series:
    """A column as floats, NaN where empty or not finite; raises ``ValueError`` naming the first that is no number."""
    given = frame[known(frame, column)]
    given = given.mask(given.astype(str).str.strip().str.lower().isin(ABSENT))
    values = pd.to_numeric(given, errors="coerce")
    wrong = np.flatnonzero(values.isna() & given.notna())
    if len(wrong):
        first = str(given.iloc[wrong[0]])
        way = "write decimal points" if DECIMAL_COMMA.fullmatch(first) else "correct it"
        raise ValueError(
            f"Column {column!r} holds {first!r} in row {wrong[0] + 1}, where a number was expected; {way}, or leave "
            "the place empty where nothing was measured."
        )
    values = values.astype(float).where(np.isfinite(values))
    largest = values.abs().max()
    if largest > LARGEST or 0 < largest < 1 / LARGEST:
        raise ValueError(
            f"Column {column!r} holds numbers of the size of {largest:g}, whose squares no computer holds; "
            "give it in another unit."
        )
    return values


def labels(frame: pd.DataFrame, column: str) -> pd.Series:
    """A column as names; raises ``ValueError`` where a row has none."""
    given = frame[known(frame, column)]
    absent = given.isna() | (given.astype(str).str.strip() == "")
    if absent.any():
        row = int(np.flatnonzero(absent)[0]) + 1
        raise ValueError(f"Row {row} has nothing in column {column!r}; every row must say what it belongs to.")
    return given.astype(str)


def groups(frame: pd.DataFrame, columns: Sequence[str], roles: Roles) -> list[TableGroup]:
    """The table's groups in the order of their names.

    Raises ``ValueError`` for unknown or non-numeric columns, where fewer than three units are named, and for several
    rows of one unit and item unless ``roles.average`` says to average them.

    >>> frame = pd.DataFrame({"config": list("aabbcc"), "image": [1, 2] * 3, "mse": [1, 3, 2, 2, 5, None]})
    >>> [group] = groups(frame, ["mse"], Roles("config", "image"))
    >>> group.units, group.items, group.means("mse").tolist()
    (('a', 'b', 'c'), 2, [2.0, 2.0, 5.5])
    """
    frame = frame.reset_index(drop=True)
    keys = {"by": labels(frame, roles.by) if roles.by else "", "unit": labels(frame, roles.unit)}
    keys["item"] = labels(frame, roles.item) if roles.item else ""
    table = pd.DataFrame(keys | {("value", column): numbers(frame, column) for column in columns})
    count = table["unit"].nunique()
    if count < FEWEST:
        raise ValueError(
            f"Column {roles.unit!r} names {count} unit{'s' * (count != 1)}; a correlation needs {FEWEST} or more. "
            "A unit is what was varied, such as a configuration."
        )
    if count > MOST:
        raise ValueError(
            f"Column {roles.unit!r} names {count:,} units, more than {MOST:,}; give the column of what was varied, "
            "such as a configuration, as --unit, and that of pictures as --item."
        )
    if not roles.average:
        no_duplicates(frame, table, columns, roles)
    made = []
    for name, rows in table.groupby("by"):
        wide = rows.groupby(["unit", "item"])[[("value", column) for column in columns]].mean().unstack("item")
        items = wide.shape[1] // len(columns)
        blocks = np.split(wide.to_numpy(), len(columns), axis=1)
        made.append(
            TableGroup(
                str(name), tuple(wide.index), items if roles.item else None, dict(zip(columns, blocks, strict=True))
            )
        )
    return made


def no_duplicates(frame: pd.DataFrame, table: pd.DataFrame, columns: Sequence[str], roles: Roles) -> None:
    """Raise ``ValueError`` where a unit has an item twice, with the columns that tell these rows apart."""
    keys = table[["by", "unit", "item"]]
    again = keys.duplicated(keep=False)
    if not again.any():
        return
    first, second = np.flatnonzero((keys == keys[again].iloc[0]).all(axis=1))[:2]
    used = {roles.unit, roles.item, roles.by, roles.family, *columns}
    others = [name for name in frame.columns if name not in used]
    telling = [name for name in others if not keys.assign(other=frame[name].astype(str)).duplicated().any()]
    telling = telling or [name for name in others if frame[name].iloc[first] != frame[name].iloc[second]]
    of = f"unit {keys['unit'].iloc[first]!r}" + (f" and item {keys['item'].iloc[first]!r}" if roles.item else "")
    how = f"{telling[0]!r} tells them apart" if telling else "no other column tells them apart"
    instead = f"keep one {telling[0]!r} at a time or" if roles.item else "give it as --item, or"
    raise ValueError(
        f"Rows {first + 1} and {second + 1} are both of {of}: {how}; "
        f"{instead if telling else 'correct them, or'} average them with --average."
    )


def families(frame: pd.DataFrame, roles: Roles) -> dict[str, str] | None:
    """Each unit's family; None where no column names it. Raises ``ValueError`` where a unit has two families."""
    if roles.family is None:
        return None
    pairs = pd.DataFrame({"unit": labels(frame, roles.unit), "family": labels(frame, roles.family)}).drop_duplicates()
    twice = pairs[pairs["unit"].duplicated(keep=False)]
    if len(twice):
        unit, found = twice["unit"].iloc[0], ", ".join(twice.loc[twice["unit"] == twice["unit"].iloc[0], "family"])
        raise ValueError(
            f"Unit {unit!r} has several families in column {roles.family!r} ({found}); a unit belongs to one family."
        )
    return dict(zip(pairs["unit"], pairs["family"], strict=True))
