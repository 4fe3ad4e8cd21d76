"""``index``: bring the registry to what the stage outputs hold, and log each finished cell to MLflow.

The same function is ``palimpsest registry sync``: a lost or empty registry is rebuilt from outputs and provenance,
item for item.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from models.measures.declared import declared
from registry.indexing import Index
from registry.lineage.locks import lock
from registry.lineage.outputs import differing
from registry.published import publish
from registry.store import places
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.keys import digest
from registry.store.objects import ObjectStore
from stages.engine.answering import variants as answerers_of
from stages.engine.entries import ROLES, Adapted
from stages.engine.provenance import read_provenance
from stages.engine.shards import DISK
from stages.engine.study import Study, read_study
from stages.engine.trainings import variants as trainings_of
from stages.index.placing import index_corpus, index_items, index_prompts
from stages.index.remembering import remember_all, unchanged
from stages.recaption import variants


def contents(study: Study) -> dict[Path, str]:
    """The digest of each shard of the study."""
    files = sorted(path for stage, entry in study.stages() for path in stage.folder(entry).rglob("*.parquet"))
    return {path: digest(path.read_bytes()) for path in files}


def check_whole(study: Study) -> None:
    """Check that every output is complete, for what is missing would be lost to all, and that none is damaged.

    Raises ``FileNotFoundError`` where something is missing, ``ValueError`` where an output is not what ``dvc.lock``
    says; a stage that DVC has not run yet has nothing to be held against.
    """
    locked = lock()
    for stage, entry in study.stages():
        folder, name = stage.folder(entry), stage.addressed(entry)
        for output in differing(locked[name]) if name in locked else ():
            raise ValueError(
                f"{output} is not what dvc.lock says {name} made: it was damaged or changed afterwards, or is still to "
                "be checked out. Delete it and run `palimpsest repro`; `palimpsest doctor --full` says what else is so."
            )
        missing = set(read_provenance(name))
        for path in folder.rglob("*.parquet"):
            missing.difference_update(row["key"] for row in DISK.read(path, ("key",)))
        if not folder.is_dir() or missing:
            raise FileNotFoundError(
                f"{folder} is not there as {name} made it, and whoever uses this registry would lose what is missing; "
                "run `dvc pull` or `palimpsest repro` first."
            )


def sync(shards: Mapping[Path, str] | None = None) -> dict[str, int]:
    """Bring the registry to the stage outputs in this checkout, and return how many items of each kind it places.

    Where their ``shards`` are given, as :func:`contents` finds them, those that were indexed as they are, are not read.

    Raises ``FileNotFoundError`` or ``ValueError``, before anything is written, where an output is not whole, and
    ``ValueError`` where one holds other values than the registry.
    """
    study = read_study()
    check_whole(study)
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    there = store.objects.sizes()
    same = set() if shards is None else unchanged(store, shards, there)
    shards = contents(study) if shards is None else shards
    for stage, entry in study.stages():
        remember_all(store, stage.addressed(entry), stage.kind_of(entry), stage.folder(entry), there, same)
    counts = Counter[str]()
    with store.engine.begin() as connection:
        index = Index(connection, study.axes())
        for name, settings in study.entries("corpora").items():
            index_corpus(index, name, settings)
        for name, settings in study.entries("prompts").items():
            index_prompts(index, name, settings)
        for section in ROLES:
            for name, settings in study.variants(section).items():
                adapted = Adapted(name, settings, section, study.models)
                index.model(section, name, adapted.identity | adapted.counted)
        for entry in study.entries("recaptioners"):
            for name, method in variants(study, entry).items():
                index.model("recaptioners", name, method.identity)
        for entry in study.entries("training"):
            for name, training in trainings_of(study, entry).items():
                index.model("training", name, training.identity)
        for entry in study.entries("answerers"):
            for name, one in answerers_of(study, entry).items():
                index.model("answerers", name, one.identity(one.player))
        index.metrics(metric.record() for metric in declared().values())
        for stage, entry in study.stages():
            counts[stage.kind_of(entry)] += index_items(index, stage, entry, shards, same)
        index.study(study.study, study.params())
        publish(connection)
    return dict(counts)
