"""Stages whose failed items are to be tried again, which DVC would skip: nothing that it looks at has changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from registry.lineage.locks import read_link
from stages.engine.study import Study


def links(study: Study) -> Iterator[dict[str, Any]]:
    """The run links of a study's stages, parents before children."""
    found = (read_link(stage.addressed(entry)) for stage, entry in study.stages())
    return (link for link in found if link)


def due(study: Study, targets: Collection[str], began: datetime, every: bool) -> list[str]:
    """The stages, parents before children, that hold items to be tried again: of all failures, or those that may pass.

    What has run since ``began`` has tried already. With ``targets`` only stages among these.
    """
    count = "failed" if every else "passing"
    return [
        link["stage"]
        for link in links(study)
        if link.get(count) and datetime.fromisoformat(link["started_at"]) < began.replace(microsecond=0)
        if not targets or {link["stage"], link["stage"].partition("@")[0]} & {*targets}
    ]
