"""Pages: one file each, as the navigation names it, made of a template and what that is given."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from registry.tracking.asking import UI
from reports.asking.axes import cell_name
from reports.asking.models import worded

SITE = Path(__file__).parent
TEMPLATES = [SITE, SITE.parent / "chapters", SITE.parent / "figures"]


class Page(NamedTuple):
    """One file of the report."""

    file: str
    title: str
    template: str
    given: Mapping[str, Any]
    """What the template is given; all have the study's name, the pages, and which of them they are."""
    latex: Mapping[str, str] = {}
    """The tables of the page as LaTeX, by file name."""


def slugs(names: Iterable[str]) -> list[str]:
    """Names as parts of file names, different ones even where capitals do not count.

    >>> slugs(["scenes", "Flickr 30k", "flickr-30k"])
    ['scenes', 'flickr-30k', 'flickr-30k-2']
    """
    taken: list[str] = []
    for name in names:
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
        numbered = (slug if number == 1 else f"{slug}-{number}" for number in itertools.count(1))
        taken.append(next(one for one in numbered if one not in taken))
    return taken


def templates() -> Environment:
    """The environment of all templates."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = lambda value: json.dumps(value, indent=2, ensure_ascii=False)
    environment.filters["worded"] = worded
    return environment


def render(study: str, pages: Sequence[Page]) -> dict[str, str]:
    """The text of each page, by file. Nothing in them is fetched, and no script runs but their own."""
    environment = templates()
    style, script = ((SITE / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {
        "study": study,
        "pages": pages,
        "style": Markup(style),  # ours, not a caption
        "script": Markup(script),
        "script_hash": allowed,
        "cell_name": cell_name,
        "ui": UI,
    }
    return {page.file: environment.get_template(page.template).render(current=page, **page.given) for page in pages}
