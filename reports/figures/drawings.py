"""Figures as files of their own: what ``dvc plots show`` shows, without a script and without the network."""

from __future__ import annotations

import re

from reports.figures.plane import WIDTH, Scatter
from reports.site.pages import SITE, templates

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"{rest}>'


def drawing(plot: Scatter, title: str) -> str:
    """A scatter plot as SVG, with the pages' style."""
    macros = templates().get_template("macros.html.j2").module
    [(attributes, inside)] = re.findall(r"<svg([^>]*)>(.*)</svg>", str(macros.scatter(plot, title)), re.S)  # type: ignore[attr-defined]
    style = (SITE / "style.css").read_text(encoding="utf-8").replace("<", "&lt;").replace(">", "&gt;")
    rest = f'{attributes} style="background: var(--paper)"'
    head = SVG.format(width=plot.frame["width"], height=plot.frame["height"], rest=rest)
    return f"{head}<style>{style}</style>{inside}</svg>"


def said(text: str) -> str:
    """A sentence in place of a figure.

    >>> said("Nothing.").endswith('<text x="300" y="60" text-anchor="middle">Nothing.</text></svg>')
    True
    """
    head = SVG.format(width=WIDTH, height=120, rest=' font-family="sans-serif" fill="gray"')
    return f'{head}<text x="{WIDTH // 2}" y="60" text-anchor="middle">{text}</text></svg>'
