"""Bring the registry to the study's outputs, log its cells, and leave what the report is built from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from registry.store import places
from registry.store.dag import DATA
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.keys import canonical, digest
from registry.store.objects import ObjectStore
from stages.engine.loop import command
from stages.engine.study import read_study
from stages.index import contents, sync
from stages.index.cells import log_cells, save_links

OUT = DATA / "index.json"


def outputs_digest(shards: Mapping[Path, str]) -> str:
    """One digest of all that was indexed, so that the report is built again when any value changes."""
    return digest(canonical([[str(path), content] for path, content in shards.items()]).encode())


def main() -> None:
    """Index the study's outputs."""
    study = read_study()
    shards = contents(study)
    counts = sync(shards)
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    log_cells(study, store)
    save_links(study, store.engine)
    content = {"study": study.study, "items": counts, "outputs": outputs_digest(shards)}
    OUT.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    command(main)
