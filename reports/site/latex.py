"""The tables of the pages as LaTeX, with booktabs' rules and in bold what the pages have in bold."""

from __future__ import annotations

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
    style = texts.style.hide(axis="index").format(escape="latex").format_index(escape="latex", axis="columns")
    if bold is not None:
        wraps = bold.reset_index(drop=True).map(lambda yes: "textbf:--rwrap;" if yes else "")
        style = style.apply(lambda _: wraps.reindex(columns=texts.columns, fill_value=""), axis=None)
    columns = "l" * rows.index.nlevels + "r" * len(rows.columns)
    return style.to_latex(column_format=columns, hrules=True).translate(SYMBOLS)


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
