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

from models.settings import unknown
from registry import git, places
from registry.database import connect, migrate_when_behind
from registry.indexing import AXES
from registry.items import OK
from registry.keys import differing_parts
from registry.lineage.changes import changed, changed_since
from stages.loop import RUN_LINKS
from stages.provenance import read_provenance

COMMITS = 50
"""How many commits of ``dvc.lock`` are looked at, from the newest back."""

NEW_SAMPLE, NEW_CONFIGURATION = "new sample", "new configuration"
AGAIN = "tried again after a failure"
LOST = "known at that commit, but not to this registry"
UNKNOWN = "nothing earlier to compare with"

Place = tuple[str, ...]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Why:
    """What is known of a stage's last execution."""

    stage: str
    since: str | None
    """The commit whose lock file it is compared with; None where no commit has another."""
    changes: tuple[str, ...]
    """What changed since then: parameters, dependencies, the command."""
    pending: tuple[str, ...]
    """What has changed after the execution, so that DVC would run the stage again."""
    link: Mapping[str, Any] | None
    """The run link; None where the stage has not run in this checkout."""
    causes: Mapping[str, int] = field(default_factory=dict)
    """What the computed items differ in from those before them, and how many."""
    basis: str = ""
    """With what they were compared, and what cannot be known."""

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    def text(self) -> str:
        """One sentence a line."""
        if self.link is None:
            return f"{self.stage} has not run in this checkout.\n" + self._pending()
        lines = [f"{self.stage} ran at {self.link['started_at']}, as run {self.link['mlflow_run_id']}."]
        if self.since:
            lines += [f"Since commit {self.since[:12]} there changed:", *(f"  {change}" for change in self.changes)]
        else:
            lines.append("No commit holds another lock of it, so what changed in its inputs cannot be known.")
        items, recalled, computed, failed = (self.link[n] for n in ("items", "recalled", "computed", "failed"))
        seconds = self.link["seconds"]
        lines.append(f"Of {items} items {recalled} were recalled, {computed} computed, {failed} failed: {seconds} s.")
        if self.causes:
            lines += ["What the computed items differ in:", *(f"  {c}: {n} items" for c, n in self.causes.items())]
            lines.append(self.basis)
        return "\n".join(lines) + "\n" + self._pending()

    def _pending(self) -> str:
        if not self.pending:
            return "Nothing has changed after that: DVC would not run it now."
        return "\n".join(["DVC would run it now, because of:", *(f"  {change}" for change in self.pending)])


def why(stage: str) -> Why:
    """What made a stage run again, what it computed for that, and whether it would run now.

    Raises ``ValueError`` with the nearest known name where ``dvc.yaml`` has no such stage, or where DVC cannot say.
    """
    pending = tuple(status(stage))
    path = RUN_LINKS / f"{stage}.json"
    link = json.loads(path.read_text()) if path.exists() else None
    since, changes = last_change(stage)
    if link is None or not link["computed"]:
        return Why(stage, since, changes, pending, link)
    causes, basis = costs(stage, link["mlflow_run_id"], since)
    return Why(stage, since, changes, pending, link, dict(causes.most_common()), basis)


def status(stage: str) -> Iterator[str]:
    """What DVC says has changed since the stage ran."""
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
            yield one
            continue
        for what, found in one.items():
            for name, how in found.items():
                if isinstance(how, dict):
                    yield from (f"parameter {key}: {change}" for key, change in how.items())
                else:
                    yield f"{what.removeprefix('changed ').removesuffix('s')} {name}: {how}"


def last_change(stage: str) -> tuple[str | None, tuple[str, ...]]:
    """The newest commit whose lock of the stage has another cause than the present one, and what changed since."""
    now = lock_of(Path("dvc.lock").read_text() if Path("dvc.lock").exists() else "", stage)
    if now is None:
        return None, ()
    for commit in git.answer("log", f"-{COMMITS}", "--format=%H", "--", "dvc.lock").split():
        then = lock_of(git.answer("show", f"{commit}:./dvc.lock"), stage)
        if then is not None and then != now:
            return commit, tuple(changes(then, now))
    return None, ()


def lock_of(text: str, stage: str) -> Row | None:
    """What a lock file says that a stage ran with: its command, the digests of its dependencies, its parameters."""
    import yaml

    found = (yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {}).get("stages", {}).get(stage)
    if found is None:
        return None
    deps = {dep["path"]: dep.get("md5") for dep in found.get("deps", ())}
    params = {name: value for values in found.get("params", {}).values() for name, value in values.items()}
    return {"command": found["cmd"], "dependency": deps, "parameter": params}


def changes(then: Row, now: Row) -> Iterator[str]:
    """What differs between two locks of a stage.

    >>> list(changes({"parameter": {"radius": 3}, "dependency": {"a": "1"}}, {"parameter": {"radius": 7}}))
    ['dependency a: removed', 'parameter radius: 3 -> 7']
    """
    for section in ("command", "dependency", "parameter"):
        one, other = ({section: lock.get(section, {})} for lock in (then, now))
        for name, before, after in differing_parts(one, other):
            called = name.replace(".", " ", 1)
            if section == "dependency":
                yield f"{called}: {'added' if before is None else 'removed' if after is None else 'changed'}"
            else:
                yield f"{called}: {json.dumps(before)} -> {json.dumps(after)}"


def costs(stage: str, run: str, since: str | None) -> tuple[Counter[str], str]:
    """What the items of a run differ in from those before them, with how many; and how that was found out."""
    made = {key for key, execution in read_provenance(stage).items() if execution.id == run}
    folder = Path("data", *stage.split("@"))
    rows = {row["key"]: row for row in rows_of(path.open("rb") for path in sorted(folder.rglob("*.parquet")))}
    new = {key: rows[key] for key in sorted(made & rows.keys())}
    before = earlier_rows(folder, since) if since else None
    if before:
        samples = {place[:2] for place in before}
        causes = Counter(cause(row, before.get(place_of(row)), place_of(row)[:2] in samples) for row in new.values())
        return causes, f"Compared with what stood at the same place in the output of commit {since[:12]}."
    engine = connect(places.registry_url())
    migrate_when_behind(engine)
    found = changed_since(engine, run, new)
    basis = (
        "Compared with the nearest item that the stage computed earlier from the same original: DVC's cache has no "
        "earlier output of it that a commit names, and the registry does not keep where items once stood, so a new "
        "configuration looks like a changed one."
    )
    return Counter(names or UNKNOWN for names in found.values()), basis


def cause(row: Row, before: Row | None, known: bool) -> str:
    """Why an item was computed, from what stood at its place before and whether its sample was known."""
    if before is None:
        return NEW_CONFIGURATION if known else NEW_SAMPLE
    if row["key"] == before["key"]:
        return LOST if before["status"] == OK else AGAIN
    return changed(json.loads(row["parts"]), [json.loads(before["parts"])])


def place_of(row: Row) -> Place:
    """Where a row stands: its corpus, its sample and its axes."""
    return tuple(row.get(name) or "" for name in ("corpus", "sample", *AXES))


def rows_of(files: Iterable[IO[bytes]]) -> Iterator[Row]:
    """What the rows of some shards say of their items; each file is closed behind its last row."""
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
