"""Whether files are what ``dvc.lock`` and the names in DVC's cache say: DVC itself looks at times and sizes only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from registry.lineage.locks import Locked
from registry.store import places


def differing(locked: Locked) -> Iterator[str]:
    """The outputs of a stage that are here and are not what ``dvc.lock`` says of them."""
    for name, wanted in locked.outputs.items():
        path = places.root() / name
        if wanted and path.exists() and md5_of(path) != wanted:
            yield name


def md5_of(path: Path) -> str:
    """DVC's MD5 of a file; of a folder that of the list of its files, with ``.dir`` behind it."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "md5").hexdigest()
    files = sorted((one.relative_to(path).as_posix(), one) for one in path.rglob("*") if one.is_file())
    listed = [{"md5": md5_of(one), "relpath": name} for name, one in files]
    return f"{hashlib.md5(json.dumps(listed).encode()).hexdigest()}.dir"


def misnamed(cache: Path) -> Iterator[Path]:
    """The files in a DVC cache that are not what their names say."""
    for path in sorted(cache.glob("files/md5/??/*")):
        if md5_of(path) != f"{path.parent.name}{path.name}".removesuffix(".dir"):
            yield path
