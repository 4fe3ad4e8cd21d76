"""Stages to run again that DVC would skip, since nothing that it looks at has changed: those with failed items, and
those of whose models other files lie under the same name."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from models.adapters.checkpoints import identify
from registry.lineage.locks import read_link
from stages.engine.study import Study


def links(study: Study) -> Iterator[dict[str, Any]]:
    """The run links of a study's stages, parents before children."""
    found = (read_link(stage.addressed(entry)) for stage, entry in study.stages())
    return (link for link in found if link)


def replaced(study: Study, targets: Collection[str]) -> list[str]:
    """The stages, parents before children, that read files of a model in whose place others lie now.

    DVC watches the weights that come with this project; a checkpoint or an adapter may lie anywhere.
    """
    return [
        link["stage"]
        for link in links(study)
        if meant(link, targets) and any(changed(*each) for each in link.get("digests", {}).items())
    ]


def changed(name: str, digest: str) -> bool:
    """Whether files are others than they were; of what is gone, ``check`` has said so if it is still asked for."""
    try:
        return identify(name)["checkpoint"] != digest
    except (FileNotFoundError, ValueError):
        return False


def meant(link: Mapping[str, Any], targets: Collection[str]) -> bool:
    """Whether a stage is among the targets, which name stages or nodes; where there are none, all are meant."""
    return not targets or bool({link["stage"], link["stage"].partition("@")[0]} & {*targets})


def due(study: Study, targets: Collection[str], began: datetime, every: bool) -> list[str]:
    """The stages, parents before children, that hold items to be tried again: of all failures, or those that may pass.

    What has run since ``began`` has tried already. With ``targets`` only stages among these.
    """
    count = "failed" if every else "passing"
    return [
        link["stage"]
        for link in links(study)
        if link.get(count) and datetime.fromisoformat(link["started_at"]) < began.replace(microsecond=0)
        if meant(link, targets)
    ]
