"""What trainings made: their files, by name and address in the object store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from models.adapters.checkpoints import DIGESTED
from registry.store import places
from registry.store.dag import STAGES
from stages.engine.pictures import store
from stages.engine.shards import WHOLE, Outputs
from stages.engine.trainings import Training

TRAINED = STAGES["train"].folder()


class Made(NamedTuple):
    """The key of a training, and the addresses of its files by name."""

    key: str
    files: Mapping[str, str]


def trained(one: Training, outputs: Outputs) -> Made | None:
    """What a training made; None where it failed, or is not done yet."""
    path = TRAINED.joinpath(*one.name.split("/"), one.corpus, WHOLE)
    for row in outputs.read(path, ("key", "status", "files", "training")):
        if row["status"] == "ok" and row["training"] == one.name:
            return Made(row["key"], dict(row["files"]))
    return None


@contextmanager
def laid(files: Mapping[str, str]) -> Iterator[Path]:
    """A folder that holds files of the object store, as long as it is looked at; no run link names it."""
    with TemporaryDirectory() as place:
        for name, address in files.items():
            (Path(place) / name).write_bytes(store(places.objects_url()).get(address))
        yield Path(place)
        for name in [name for name in DIGESTED if Path(name).is_relative_to(place)]:
            del DIGESTED[name]
