"""Why a stage ran again, and how many items each cause cost.

DVC knows what changed: its lock file as it is, against that of the last commit in which the stage had run with
something else. What that cost is read off the items that the stage's last execution computed, each beside the one that
stood at its place before: in the output that the same commit names, where DVC's cache still has it, else in the
registry, which keeps every item but not where it once stood.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from models.adapters.settings import unknown
from registry.lineage.changes import changed, changed_since
from registry.lineage.locks import Locked, history, lock, read_link
from registry.store import places
from registry.store.axes import AXES
from registry.store.bulk import Row
from registry.store.database import connect, migrate_when_behind
from registry.store.items import OK
from registry.store.keys import differing_parts
from stages.engine.provenance import read_provenance

NEW_SAMPLE, NEW_CONFIGURATION = "new sample", "new configuration"
AGAIN = "tried again after a failure"
LOST = "known at that commit, but not to this registry"
UNKNOWN = "nothing earlier to compare with"

NOT_RUN = "has not run in this checkout"
NO_RECORD = "has run, and keeps no record of items, for it computes none"

HOW = {"modified": "changed", "deleted": "removed", "new": "added"}
"""DVC's words in those that are used here."""

Place = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Why:
    """Explanation of a stage's last execution."""

    stage: str
    since: str | None
    """The commit whose lock file it is compared with; None where no commit has another."""
    changes: tuple[str, ...]
    """What changed since then: parameters, dependencies, the command."""
    pending: tuple[str, ...]
    """What has changed after the execution, so that DVC would run the stage again."""
    link: Mapping[str, Any] | None
    """The run link; None where the stage leaves none, or has not run in this checkout."""
    absent: str = ""
    """Why there is no run link."""
    causes: Mapping[str, int] = field(default_factory=dict)
    """What the computed items differ in from those before them, and how many."""
    basis: str = ""
    """With what they were compared, and what cannot be known."""

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def text(self) -> str:
        """One sentence a line."""
        if self.link:
            lines = [f"{self.stage} ran at {self.link['started_at']}, as run {self.link['mlflow_run_id']}."]
        else:
            lines = [f"{self.stage} {self.absent}."]
        if self.absent == NOT_RUN:
            return "\n".join(lines) + "\n" + self._pending()
        if self.since:
            lines += [f"Since commit {self.since[:12]} there changed:", *(f"  {change}" for change in self.changes)]
        else:
            lines.append("No commit holds another lock of it, so what changed in its inputs cannot be known.")
        if self.link:
            items, recalled, computed, failed = (self.link[n] for n in ("items", "recalled", "computed", "failed"))
            counts = f"Of {items} items {recalled} were recalled, {computed} computed, {failed} failed"
            lines.append(f"{counts}: {self.link['seconds']} s.")
        if self.causes:
            lines += ["What the computed items differ in:", *(f"  {c}: {n} items" for c, n in self.causes.items())]
        if self.basis:
            lines.append(self.basis)
        return "\n".join(lines) + "\n" + self._pending()

    def _pending(self) -> str:
        if not self.pending:
            return "Nothing has changed after that: DVC would not run it now."
        return "\n".join(["DVC would run it now, because of:", *(f"  {change}" for change in self.pending)])


def why(stage: str) -> Why:
    """Explain what made a stage run again, what it computed for that, and whether it would run now.

    Raises ``ValueError`` with the nearest known name where ``dvc.yaml`` has no such stage, or where DVC cannot say.
    """
    pending = tuple(status(stage))
    locked, link = lock().get(stage), read_link(stage)
    since, changes = last_change(locked) if locked else (None, ())
    if link is None:
        ran = f"has run, but {locked.link} is not here; `dvc pull` gets it" if locked and locked.link else NO_RECORD
        return Why(stage, since, changes, pending, None, ran if locked else NOT_RUN)
    if not link["computed"]:
        return Why(stage, since, changes, pending, link)
    causes, basis = costs(stage, link["mlflow_run_id"], since)
    return Why(stage, since, changes, pending, link, causes=dict(causes.most_common()), basis=basis)


def status(stage: str) -> Iterator[str]:
    """Changes since the stage ran, as DVC sees them."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(places.root())) as repo:
            known = [found.addressing for found in repo.index.stages]
            if stage not in known:
                raise ValueError(unknown("stage of dvc.yaml", stage, known))
            said = repo.status(targets=[stage]).get(stage, [])
    except DvcException as error:
        raise ValueError(f"DVC cannot say whether {stage} has changed: {error}") from None
    for one in said:
        if isinstance(one, str):
            yield "command: changed" if one == "changed command" else one
            continue
        for what, found in one.items():
            called = "output" if what == "changed outs" else "dependency"
            for name, how in found.items():
                if isinstance(how, dict):
                    yield from (f"parameter {key}: {HOW.get(change, change)}" for key, change in how.items())
                else:
                    yield f"{called} {name}: {HOW.get(how, how)}"


def last_change(now: Locked) -> tuple[str | None, tuple[str, ...]]:
    """The newest commit whose lock of the stage has another cause than the present one, and what changed since."""
    for commit, then in history(now.stage):
        if found := tuple(changes(then, now)):
            return commit, found
    return None, ()


def changes(then: Locked, now: Locked) -> Iterator[str]:
    """Differences of command, dependencies and parameters between two locks of a stage.

    >>> list(changes(Locked("a", "", {"x": "1"}, {"radius": 3}, {}), Locked("a", "", {}, {"radius": 7}, {})))
    ['dependency x: removed', 'parameter radius: 3 -> 7']
    """
    for name, before, after in differing_parts({"command": then.command}, {"command": now.command}):
        yield f"{name}: {json.dumps(before)} -> {json.dumps(after)}"
    for name, before, after in differing_parts(then.dependencies, now.dependencies):
        yield f"dependency {name}: {'added' if before is None else 'removed' if after is None else 'changed'}"
    for name, before, after in differing_parts(then.parameters, now.parameters):
        yield f"parameter {name}: {json.dumps(before)} -> {json.dumps(after)}"


def costs(stage: str, run: str, since: str | None) -> tuple[Counter[str], str]:
    """Count the parts in which a run's items differ from those before them; and say how they were compared."""
    made = {key for key, execution in read_provenance(stage).items() if execution.id == run}
    folder = Path("data", *stage.split("@"))
    rows = {row["key"]: row for row in rows_of(path.open("rb") for path in sorted(folder.rglob("*.parquet")))}
    new = {key: rows[key] for key in sorted(made & rows.keys())}
    if since and (before := earlier_rows(folder, since)):
        samples = {place[:2] for place in before}
        causes = Counter(cause(row, before.get(place_of(row)), place_of(row)[:2] in samples) for row in new.values())
        return causes, f"Compared with what stood at the same place in the output of commit {since[:12]}."
    engine = connect(places.registry_url())
    migrate_when_behind(engine)
    found = changed_since(engine, run, new)
    causes = Counter(names or UNKNOWN for names in found.values())
    basis = (
        "Compared with the nearest item that the stage computed earlier from the same original: DVC's cache has no "
        "earlier output of it that a commit names, and the registry does not keep where items once stood, so a new "
        "configuration looks like a changed one."
    )
    return causes, basis if causes.keys() - {UNKNOWN} else ""


def cause(row: Row, before: Row | None, known: bool) -> str:
    """Reason for which an item was computed, from the row before at its place and whether its sample was known."""
    if before is None:
        return NEW_CONFIGURATION if known else NEW_SAMPLE
    if row["key"] == before["key"]:
        return LOST if before["status"] == OK else AGAIN
    return changed(json.loads(row["parts"]), [json.loads(before["parts"])])


def place_of(row: Row) -> Place:
    """Place of a row: its corpus, its sample and its axes."""
    return tuple(row.get(name) or "" for name in ("corpus", "sample", *AXES))


def rows_of(files: Iterable[IO[bytes]]) -> Iterator[Row]:
    """Read the rows of some shards, but for values and pictures; each file is closed behind its last row."""
    import pyarrow.parquet as pq

    wanted = ("corpus", "sample", *AXES, "key", "parts", "status")
    for file in files:
        with file:
            shard = pq.ParquetFile(file)
            columns = [name for name in wanted if name in shard.schema_arrow.names]
            yield from shard.read(columns=columns).to_pylist()


def earlier_rows(folder: Path, commit: str) -> dict[Place, Row] | None:
    """The rows of a stage's output as a commit names it, by place; None where DVC's cache lacks any of it."""
    from dvc.api import DVCFileSystem

    files = DVCFileSystem(str(places.root()), rev=commit)
    try:
        paths = sorted(path for path in files.find(str(folder)) if path.endswith(".parquet"))
        return {place_of(row): row for row in rows_of(files.open(path) for path in paths)}
    except OSError:
        return None
