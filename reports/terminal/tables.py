"""Tables that people bring, read strictly."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from registry.store.tables import read_csv


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a CSV file, all as text; raises ``FileNotFoundError`` or ``ValueError`` with one sentence.

    What is called None or NA is called so: nothing but an empty place is absent, except where numbers are expected.
    """
    names, rows = read_csv(path, "table", "Give a CSV file, or the name of a study in the registry.")
    if not rows:
        raise ValueError(f"{path} has no rows below its header; there is nothing to correlate.")
    for line, cells in rows:
        if isinstance(cells, str):
            raise ValueError(f"{path}: line {line} {cells}.")
        if any("\0" in cell for cell in cells):
            raise ValueError(f"{path} is no text: it has NUL bytes in line {line}. Save it as CSV in UTF-8.")
    return pd.DataFrame([[cell.strip() for cell in cells] for _, cells in rows], columns=names, dtype=str)
