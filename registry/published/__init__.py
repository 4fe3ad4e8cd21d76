"""What papers report: every number of their tables, as data beside our own.

One tidy CSV a paper, a line a number, in the paper's order. ``row`` is the paper's own label, with the model or the
part of the table before it where a label comes twice. What was measured on has the names of ``studies/<paper>.yaml``,
so that a study's results find their published ones by name; empty is what does not apply or what the paper does not
say. ``change`` is what is printed in brackets beside a value (:data:`CHANGES`). Not there: numbers that only figures
show, and what is blank in the text that was transcribed.

- ``inpainting.csv``: tables 1 to 9 of *How Do Inpainting Artifacts Propagate to Language?*; of table 1 only three
  counts of sign flips can be read. ``bleu`` is BLEU of an order that is not reported. The unit of MSE says on which
  scale intensities are: 0-1, and 0-255 for ROCOv2.
- ``precision_recall.csv``: tables 1 to 4 of *Precision or Recall?*; table 1 can be read for 1 and 3 submasks only.
  A cell of table 2 is the training that ``studies/precision-recall.yaml`` calls so, but for its seed.
- ``rico.csv``: tables 1 to 11 of *RICO*; 7 and 10 hold prompts and no numbers. A pair "before / after" is two rows.
- ``scalecap.csv``: tables 1 to 7 of *ScaleCap*. Most values lost their decimal point in the text ("462"); all have one
  place, which the printed averages confirm wherever there is one. A corpus that ends in ``-subset`` is the paper's
  sample, ``mean-of-5`` the mean of as many others.
"""

from __future__ import annotations

import csv
import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, delete, insert, select

from registry.store.axes import AXES, Point
from registry.store.database import migrate_when_behind, take_turns
from registry.store.schema import Published

FILES = Path(__file__).parent

CHANGES = {
    "inpainting": "percent against the original pictures",
    "rico": "in brackets the gain over the first captions",
}
"""What the papers print beside their values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Number(Point):
    """A row of ``published``: a number where it stands in a paper, printed with so many ``decimals``."""

    paper: str
    table: str
    row: str
    corpus: str
    region: str = ""
    metric: str
    value: float
    decimals: int
    change: float | None = None
    unit: str = ""

    def as_json(self) -> dict[str, Any]:
        """The row, column by column."""
        return {name: getattr(self, name) for name in COLUMNS}

    @property
    def text(self) -> str:
        """The value as the paper prints it."""
        return f"{self.value:.{self.decimals}f}"

    @property
    def change_text(self) -> str:
        """The change as the paper prints it: of percentages two places, of gains those of the value."""
        return "" if self.change is None else f"{self.change:+.{min(self.decimals, 2)}f}"

    @property
    def rounding(self) -> float:
        """Largest distance of the value from what was rounded to it."""
        return 0.5 * 10**-self.decimals


WHERE = ("paper", "table", "row", "corpus", *AXES)
COLUMNS = (*WHERE, *(field.name for field in fields(Number) if field.name not in WHERE))
"""The columns of ``published``, in their order."""


def shipped() -> list[Number]:
    """The numbers in the files, in the papers' order.

    >>> number = next(n for n in shipped() if n.table == "8" and n.metric == "mse")
    >>> number.row, number.corpus, number.text, number.unit
    ('SD1.5-cm', 'rocov2', '2217.34', '0-255')
    """
    return [number for path in sorted(FILES.glob("*.csv")) for number in read(path)]


def read(path: Path) -> Iterator[Number]:
    with path.open(newline="", encoding="utf-8") as file:
        for line in csv.DictReader(file):
            axes = {axis: line.get(axis) or None for axis in AXES}
            numeric = {
                "value": float(line["value"]),
                "decimals": len(line["value"].partition(".")[2]),
                "change": float(line["change"]) if line["change"] else None,
            }
            yield Number(**line | axes | numeric)


def stored(connection: Connection) -> list[Number]:
    """The numbers in the registry, in the papers' order."""
    columns = [getattr(Published, name) for name in COLUMNS]
    return [Number.of(row) for row in connection.execute(select(*columns).order_by(Published.id)).mappings()]


def publish(connection: Connection) -> list[Number]:
    """Bring the ``published`` table to the files, and return what it holds then; an equal one is only read."""
    current = shipped()
    if stored(connection) != current:
        take_turns(connection, "publish")
        connection.execute(delete(Published))
        connection.execute(insert(Published), [number.as_json() for number in current])
    return current


def numbers(engine: Engine, **wanted: str | None) -> list[Number]:
    """The published numbers with the wanted ``paper``, ``table``, ``metric`` or ``corpus``; None asks for all.

    Raises ``ValueError`` with the nearest known name where there are none.
    """
    migrate_when_behind(engine)
    with engine.begin() as connection:
        found = publish(connection)
    for column, name in wanted.items():
        if name is not None:
            found = narrowed(found, column, name)
    return found


def narrowed(among: list[Number], column: str, name: str) -> list[Number]:
    """Select the numbers whose ``column`` is ``name``.

    >>> narrowed(shipped(), "paper", "scale-cap")
    Traceback (most recent call last):
    ...
    ValueError: No published number has paper 'scale-cap'. Did you mean 'scalecap'? There are: inpainting, \
precision-recall, rico, scalecap.
    """
    found = [number for number in among if getattr(number, column) == name]
    if found:
        return found
    known = sorted({getattr(number, column) for number in among})
    nearest = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {nearest[0]!r}? " if nearest else ""
    raise ValueError(f"No published number has {column} {name!r}. {hint}There are: {', '.join(known)}.")


def listing(some: Iterable[Number]) -> str:
    """The numbers as tables of text, rows and columns as the papers have them.

    >>> print(listing(n for n in shipped() if n.table == "5" and n.inpainter == "sd3" and n.metric != "meteor"))
    inpainting, table 5: refcocog
               bleu  sbert
      SD3-cm  0.642  0.657
      SD3-gc  0.638  0.718
      SD3-ld  0.640  0.707
    """
    tables = groupby(some, key=lambda number: (number.paper, number.table))
    return "\n\n".join(table(f"{paper}, table {name}", list(held)) for (paper, name), held in tables)


def table(title: str, held: list[Number]) -> str:
    titles = {n.metric: n.metric + (f" [{n.unit}]" if n.unit else "") for n in held}
    rows: dict[str, dict[str, str]] = {}
    for number in held:
        change = f" ({number.change_text})" if number.change_text else ""
        rows.setdefault(number.row, {})[number.metric] = number.text + change
    lines = [["", *titles.values()], *([row, *(cells.get(m, "") for m in titles)] for row, cells in rows.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    corpora = {number.corpus for number in held}
    where = (": " + held[0].corpus if len(corpora) == 1 else "") + (", inside the mask" if held[0].region else "")
    beside = f"; {CHANGES[held[0].paper]}" if any(n.change is not None for n in held) else ""
    lines = [[f"  {line[0]:<{widths[0]}}", *map(str.rjust, line[1:], widths[1:])] for line in lines]
    return "\n".join([f"{title}{where}{beside}", *("  ".join(line).rstrip() for line in lines)])
