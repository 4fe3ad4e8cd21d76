"""The tables of the pages as LaTeX, with booktabs' rules and in bold what the pages have in bold."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from reports.site.tables import Table

SYMBOLS = str.maketrans(
    {
        "−": "$-$",
        "±": r"$\pm$",
        "×": r"$\times$",
        "–": "--",
        "…": r"\dots{}",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        "✓": r"\checkmark{}",
        "✗": r"$\times$",
        "’": "'",
    }
)
"""What a page writes and pdfTeX's fonts lack."""

NAMED = {"\\": r"\textbackslash ", "~": r"\textasciitilde ", "^": r"\textasciicircum "}
"""Characters that have a command each, which swallows the space behind it."""


def latex(rows: pd.DataFrame, bold: pd.DataFrame | None = None) -> str:
    r"""A table of texts as LaTeX; ``bold`` says of each cell whether it stands out. Any name is text.

    Needs ``\usepackage{booktabs}``, and ``amssymb`` for check marks.

    >>> rows = pd.DataFrame({"MSE ↓": ["0.1", "−0.2"]}, index=pd.Index(["a_b", "c"], name="inpainter"))
    >>> print(latex(rows, rows == "0.1"), end="")
    \begin{tabular}{lr}
    \toprule
    inpainter & MSE $\downarrow$ \\
    \midrule
    a\_b & \textbf{0.1} \\
    c & $-$0.2 \\
    \bottomrule
    \end{tabular}
    """
    labels = rows.index.to_frame(index=False)
    again = labels.eq(labels.shift()).cummin(axis=1)
    again.iloc[:, -1] = False  # the last label tells rows apart
    texts = pd.concat([labels.mask(again, ""), rows.reset_index(drop=True)], axis=1)
    stands_out = np.zeros(texts.shape, bool)
    if bold is not None:
        stands_out[:, rows.index.nlevels :] = bold.reindex(columns=rows.columns, fill_value=False)
    lines = [
        [rf"\textbf{{{written(text)}}}" if yes else written(text) for text, yes in zip(row, out, strict=True)]
        for row, out in zip(texts.to_numpy(object), stands_out, strict=True)
    ]
    head, *body = (" & ".join(line) + r" \\" for line in [map(written, texts.columns), *lines])
    columns = "l" * rows.index.nlevels + "r" * len(rows.columns)
    begin, end = rf"\begin{{tabular}}{{{columns}}}", r"\end{tabular}"
    return "\n".join([begin, r"\toprule", head, r"\midrule", *body, r"\bottomrule", end, ""]).translate(SYMBOLS)


def written(text: Any) -> str:
    r"""A text as LaTeX. pandas' ``Styler`` writes the same, at a hundred times the cost.

    >>> print(written(r"50 % of a_b \ c"))
    50 \% of a\_b \textbackslash \space c
    """

    def command(found: re.Match[str]) -> str:
        if found[1]:
            return NAMED[found[1]] + (r"\space " if found[2] else "")
        return "\\" + found[0]

    return re.sub(r"([\\~^])( ?)|[&%$#_{}]", command, str(text))


def table_latex(table: Table) -> str:
    """A table of configurations; captioners stand to the left where there are any."""
    rows = [(group.said, row) for group in table.groups for row in group.rows]
    names = [(c, "original pictures" if row.reference else row.inpainter, row.alike) for c, row in rows]
    full = pd.MultiIndex.from_tuples(names, names=["captioner", "inpainter", "degradation"])
    index = full if any(group.said for group in table.groups) else full.droplevel("captioner")
    columns = [f"{metric.title} {metric.arrow}" for metric in table.metrics]
    texts = pd.DataFrame([[cell.text for cell in row.values] for _, row in rows], index, columns)
    best = pd.DataFrame([[cell.best for cell in row.values] for _, row in rows], index, columns)
    return latex(texts, best)
