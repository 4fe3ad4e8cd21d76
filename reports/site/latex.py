"""The tables of the pages as LaTeX, with booktabs' rules and in bold what the pages have in bold."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from reports.chapters.corpora import Section
from reports.figures.plane import HeatMap
from reports.site.tables import Table, number
from reports.statistics.findings import Finding

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
    rows = [(group.captioner, row) for group in table.groups for row in group.rows]
    names = [(c, "original pictures" if row.reference else row.inpainter, row.degradation) for c, row in rows]
    index = pd.MultiIndex.from_tuples(names, names=["captioner", "inpainter", "degradation"])
    if not any(group.captioner for group in table.groups):
        index = index.droplevel("captioner")
    columns = [f"{metric.title} {metric.arrow}" for metric in table.metrics]
    texts = pd.DataFrame([[cell.text for cell in row.cells] for _, row in rows], index, columns)
    best = pd.DataFrame([[cell.best for cell in row.cells] for _, row in rows], index, columns)
    return latex(texts, best)


def map_latex(found: HeatMap) -> str:
    """A heat map as a table."""
    index = pd.Index([f"{line.metric.title} {line.metric.arrow}" for line in found.lines], name="")
    columns = [metric.title for metric in found.columns]
    squares = [line.squares for line in found.lines]
    texts = pd.DataFrame([[s.text if s else "–" for s in line] for line in squares], index, columns)
    beyond = pd.DataFrame([[bool(s and s.beyond) for s in line] for line in squares], index, columns)
    return latex(texts, beyond)


def findings_latex(findings: Sequence[Finding]) -> str:
    """The paper's claims, one row for each corpus and captioner."""

    def text(value: float | None) -> str:
        return "–" if value is None else number(value, 2)

    names = [(one.claim, one.corpus or "over all", one.judge) for one in findings]
    rows = [
        (one.verdict, text(e.value), "–" if e.low is None else f"[{text(e.low)}, {text(e.high)}]", str(e.n))
        for one in findings
        for e in [one.estimate]
    ]
    index = pd.MultiIndex.from_tuples(names, names=["claim", "corpus", "captioner"])
    return latex(pd.DataFrame(rows, index, ["verdict", "value", "95 % interval", "n"]))


def failures_latex(failures: pd.DataFrame) -> str:
    """What failed: a row for each place and reason, and how many items."""
    labels = [name for name in failures if name != "items"]
    return latex(failures.fillna("").set_index(labels).astype(str))


def section_latex(section: Section) -> dict[tuple[str, ...], str]:
    """The tables of a corpus, by kind, captioner where a table is of one, and view."""
    found: dict[tuple[str, ...], str] = {}
    for kind in ("fidelity", "quality", "grounding"):
        found |= {(kind, view): table_latex(table) for view, table in getattr(section, kind).items()}
    for link in section.links:
        if link.found.pairs:
            found |= {("correlations", link.captioner, view): map_latex(map) for view, map in link.maps.items()}
    return found
