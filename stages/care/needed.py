"""Which items the outputs of branches, tags and worktrees hold, and whether a stage is running: what ``gc`` asks."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import psutil
import pyarrow.parquet as pq

from registry.garbage import Waste, shelve, sweep
from registry.health import gigabytes
from registry.lineage.locks import read_lock
from registry.store import git, places
from registry.store.dag import HOLDING
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.objects import ObjectStore
from stages.care.ground import RWLOCK, holders
from stages.engine.provenance import FOLDER
from stages.engine.shards import DISK
from stages.engine.study import Study, read_study
from stages.train import folder_of


def collect(grace: timedelta, remove: bool, shards: bool = False) -> list[Waste]:
    """Count what of the stores nothing needs, and remove it if asked to; then no stage may be running here.

    With ``shards`` also the objects that DVC's cache holds in shards, which are read there from then on.

    Raises ``ValueError`` where a stage is running, where it is not known what a branch needs, and with ``shards`` where
    the object store is not this checkout's own: whoever else reads it may not have this cache.
    """
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    if shards and not (store.objects.local and Path(store.objects.base).resolve().is_relative_to(places.root())):
        raise ValueError(
            "The object store is outside this checkout, where others read it and not this checkout's DVC cache; run "
            "`palimpsest gc` without --shards."
        )
    if remove and (busy := running()):
        raise ValueError(f"{', '.join(busy)} is running here; wait until it is done, and run again.")
    left = left_over(read_study(), remove)
    swept = [left, given_up(grace, remove), *sweep(store, needed_keys(), grace, remove)]
    return [*swept, shelve(store.objects, cache(), remove)] if shards else swept


LEFT_OVER = "outputs left over"


def left_over(study: Study, remove: bool) -> Waste:
    """Count the rows of outputs in ``data/`` whose entries the study does not have, and remove these if asked to.

    Another study, or an entry of before, left them; their items stay in the registry as long as others need them, and
    their files in DVC's cache.
    """
    found = []
    for stage in HOLDING:
        known = study.entries(stage.section) if stage.section and stage.each else None
        if known is not None and stage.folder().is_dir():
            found += [
                (stage, path.name) for path in stage.folder().iterdir() if path.is_dir() and path.name not in known
            ]
    paths = [path for stage, entry in found for path in sorted(stage.folder(entry).rglob("*")) if path.is_file()]
    rows = DISK.count(path for path in paths if path.suffix == ".parquet")
    waste = Waste(LEFT_OVER, rows, 0, sum(path.stat().st_size for path in paths))
    if remove:
        for stage, entry in found:
            shutil.rmtree(stage.folder(entry))
            name = stage.addressed(entry)
            (FOLDER / f"{name}.parquet").unlink(missing_ok=True)
            (places.RUN_LINKS / f"{name}.json").unlink(missing_ok=True)
    return waste


def given_up(grace: timedelta, remove: bool) -> Waste:
    """Count the trainings that ended before they were done and that nobody went on with for so long, by the files of
    their checkpoints; and remove these if asked to. Who trains so again begins anew."""
    before = time.time() - grace.total_seconds()
    old, files = [], list[Path]()
    for folder in folder_of("").glob("*"):
        own = [path for path in folder.rglob("*") if path.is_file()]
        if all(path.stat().st_mtime < before for path in (folder, *own)):
            old.append(folder)
            files += own
    waste = Waste("trainings given up", len(old), len(files), sum(path.stat().st_size for path in files))
    for folder in old if remove else ():
        shutil.rmtree(folder)
    return waste


def listing(found: Sequence[Waste], removed: bool) -> str:
    """Format what is not needed, by kind."""
    found = [waste for waste in found if waste.items or waste.objects]
    if not found:
        return "Nothing that is old enough is without use."
    lines = [f"{w.kind:<24} {w.items:>9} items {w.objects:>9} objects {gigabytes(w.bytes):>10}" for w in found]
    total = gigabytes(sum(waste.bytes for waste in found))
    lines.append(f"Removed: {total}." if removed else f"{total} would go; add --yes to remove all this.")
    return "\n".join(lines)


def cache() -> Path:
    """The folder of DVC's cache."""
    return Path(
        subprocess.run(
            [sys.executable, "-m", "dvc", "cache", "dir"], capture_output=True, text=True, check=True
        ).stdout.strip()
    )


def worktrees() -> list[Path]:
    """The checkouts of this repository on this machine, this one first."""
    listed = git.answer("worktree", "list", "--porcelain").splitlines()
    others = [Path(line.removeprefix("worktree ")) for line in listed if line.startswith("worktree ")]
    return list(dict.fromkeys([Path.cwd(), *(path for path in others if (path / "dvc.yaml").is_file())]))


def running() -> list[str]:
    """The stages that run now in a worktree, by their markers and by DVC's own lock; what was killed does not count."""
    found = set()
    for worktree in worktrees():
        for marker in (worktree / ".palimpsest/running").glob("*"):
            _, _, process = marker.read_text().partition(" ")
            if process and is_alive(int(process), marker.stat().st_mtime):
                found.add(marker.name)
        lock = worktree / RWLOCK
        found |= {f"`{one['cmd']}`" for one in holders(lock) if is_alive(one["pid"], lock.stat().st_mtime)}
    return sorted(found)


def is_alive(process: int, since: float) -> bool:
    """Whether a process runs that was there at a time; a later one has only inherited its number."""
    try:
        return psutil.Process(process).create_time() <= since + 1
    except psutil.NoSuchProcess:
        return False


def needed_keys() -> set[str]:
    """The keys of all items in the outputs of every worktree, branch, tag and experiment of this repository, and of
    the folders that were captioned there.

    Raises ``ValueError`` where a commit's outputs are not in DVC's cache, so that nobody can tell.
    """
    places_of = (place for one in worktrees() for place in (one, *(one / ".palimpsest/folders").glob("*")))
    files = {path for place in places_of for path in (place / FOLDER).glob("*.parquet")}
    folder = cache()
    for ref, text in locks():
        for path, md5 in outputs(text):
            cached = folder / "files/md5" / md5[:2] / md5[2:]
            if not cached.is_file():
                raise ValueError(
                    f"{path} as {ref} has it is not in DVC's cache, so what that needs is not known; run `dvc fetch "
                    "--all-branches --all-tags`, or remove that branch or tag, and run again."
                )
            files.add(cached)
    return {key for file in files for key in pq.read_table(file, columns=["key"])["key"].to_pylist()}


def locks() -> Iterator[tuple[str, str]]:
    """The different lock files of all refs, each with the first ref that has it."""
    seen = set()
    for ref in ["HEAD", *git.answer("for-each-ref", "--format=%(refname)").splitlines()]:
        blob = git.answer("rev-parse", "--verify", "--quiet", f"{ref}:./dvc.lock").strip()
        if blob and blob not in seen:
            seen.add(blob)
            yield ref, git.answer("cat-file", "blob", blob)


def outputs(lock: str) -> Iterator[tuple[str, str]]:
    """The provenance files that a lock file names, with their MD5; empty where it says none.

    >>> list(outputs("stages: {degrade: {cmd: a, outs: [{path: data/provenance/degrade.parquet, md5: 0a1b}]}}"))
    [('data/provenance/degrade.parquet', '0a1b')]
    """
    for stage in read_lock(lock).values():
        yield from ((path, md5 or "") for path, md5 in stage.outputs.items() if Path(path).parent == FOLDER)
