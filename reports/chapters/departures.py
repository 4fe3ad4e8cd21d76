"""Where we differ: every departure from the inpainting paper and every number that it leaves blank."""

from __future__ import annotations

import pandas as pd

from registry.published.departures import departures
from registry.published.papers import INPAINTING
from reports.asking.study import Study
from reports.site.pages import Page


def pages(study: Study) -> list[Page]:
    """One page, the same in every report of repainted pictures: it is about the project and not about the study."""
    if study.repainted.empty:
        return []
    given = {"departures": departures(), "paper": INPAINTING}
    return [Page("where-we-differ.html", "Where we differ", "departures.html.j2", given)]


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """None: the list is in the repository."""
    return {}
