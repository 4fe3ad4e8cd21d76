"""What changed between two pinned versions, item by item.

Only files that differ are read. Items are told apart by where they stand (corpus, sample, configuration) and compared
by their key, their value and the bytes of their picture.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from registry.pins.content import Content, committed, content_at, repository
from registry.pins.fetching import pinned_in
from registry.store import places
from registry.store.axes import AXES
from registry.store.keys import differing_parts

EXAMPLES = 5
ROWS = 256
KEPT = ("key", "parts", "value", "status", "reason")


class Item(NamedTuple):
    """An item of one version: what its row says, and a digest of its picture."""

    row: Mapping[str, Any]
    image: str | None

    @property
    def text(self) -> str | None:
        """Its caption, with ✗ before sentences that are known to be false; or why it failed."""
        value = json.loads(self.row["value"] or "{}")
        told = (f"✗ {one['text']}" if one["negative"] else one["text"] for one in value.get("sentences") or ())
        return " ".join(told) or value.get("caption") or self.row["reason"]


class Change(NamedTuple):
    """One item that was added, removed or changed."""

    item: str
    before: str | None
    after: str | None
    parts: Sequence[tuple[str, Any, Any]]
    """In which parts the keys differ, with both values."""


@dataclass
class Kind:
    """Number of items, or of files without items, that were added, removed or changed, with a few examples."""

    count: int = 0
    examples: list[Change] = field(default_factory=list)

    def add(self, change: Change) -> None:
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(change)


@dataclass
class Differences:
    """Changes from one version to another."""

    before: str
    after: str
    added: Kind = field(default_factory=Kind)
    removed: Kind = field(default_factory=Kind)
    changed: Kind = field(default_factory=Kind)

    def as_json(self) -> dict[str, Any]:
        found = asdict(self)
        for name in ("added", "removed", "changed"):
            found[name]["examples"] = [change._asdict() for change in getattr(self, name).examples]
        return found

    def text(self) -> str:
        """The counts, and below them the examples; texts are quoted, so that they can only be read."""
        kinds = {"added": self.added, "removed": self.removed, "changed": self.changed}
        counts = ", ".join(f"{kind.count} {name}" for name, kind in kinds.items())
        lines = [f"{self.before} -> {self.after}: {counts}"]
        for name, kind in kinds.items():
            for change in kind.examples:
                texts = [repr(text) for text in (change.before, change.after) if text is not None]
                lines.append(f"{name:<8} {change.item}  {' -> '.join(dict.fromkeys(texts))}".rstrip())
                lines += [
                    f"{'':<8}   {part}: {json.dumps(old)} -> {json.dumps(new)}" for part, old, new in change.parts
                ]
            if kind.count > len(kind.examples):
                lines.append(f"{name:<8} … and {kind.count - len(kind.examples)} more")
        return "\n".join(lines)


def difference(before: str, after: str) -> Differences:
    """Compare two pinned versions, each ``NAME@VERSION``, of this checkout's git.

    Raises ``ValueError`` where one of them is not pinned, or its content cannot be had.
    """
    found = Differences(before, after)
    with ExitStack() as opened:
        old, new = (opened.enter_context(version(label)) for label in (before, after))
        common = old.files.keys() & new.files.keys()
        same = {name for name in common if fingerprint(old, name) == fingerprint(new, name)}
        ours, theirs = (dict(items(content, same)) for content in (old, new))
    for where in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(where), theirs.get(where)
        if one and other is None:
            found.removed.add(Change(shown(where), one.text, None, []))
        elif other and one is None:
            found.added.add(Change(shown(where), None, other.text, []))
        elif one and other and one != other:
            parts = [json.loads(item.row["parts"] or "{}") for item in (one, other)]
            found.changed.add(Change(shown(where), one.text, other.text, differing_parts(*parts)))
    return found


@contextmanager
def version(label: str) -> Iterator[Content]:
    with repository(str(places.root())) as repo:
        pinned = pinned_in(repo, label, None)
        with committed(repo, pinned.git_commit) as files:
            yield content_at(files, pinned.path)


def fingerprint(content: Content, name: str) -> str:
    """DVC's digest of a file, or where git holds it ours."""
    if md5 := content.files[name].get("md5"):
        return md5
    with content.open(name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def items(content: Content, but: set[str]) -> Iterator[tuple[tuple[str, ...], Item]]:
    """The items of the files that are not in ``but``, by where they stand; a file that holds none is an item itself."""
    for name in content.files.keys() - but:
        with content.open(name) as opened:
            file = pq.ParquetFile(opened) if name.endswith(".parquet") else None
            if file is None or not {"sample", "key"} <= set(file.schema_arrow.names):
                yield (name,), Item(dict.fromkeys(KEPT) | {"key": fingerprint(content, name)}, None)
                continue
            columns = [c for c in ("corpus", "sample", *AXES, *KEPT, "image") if c in file.schema_arrow.names]
            for batch in file.iter_batches(ROWS, columns=columns):
                for row in batch.to_pylist():
                    where = [row.get(axis) or "" for axis in ("corpus", "sample", *AXES)]
                    image = row["image"]["bytes"] if row.get("image") else None
                    kept = {column: row.get(column) for column in KEPT}
                    digest = image and hashlib.sha256(image).hexdigest()
                    yield (str(PurePosixPath(name).parent), *where), Item(kept, digest)


def shown(where: Sequence[str]) -> str:
    """Format the place of an item.

    >>> shown((".", "scenes", "00001", "centre-mask", "telea", "blip")), shown(("config.json",))
    ('scenes/00001 centre-mask telea blip', 'config.json')
    """
    if len(where) == 1:
        return where[0]
    _, corpus, sample, *axes = where
    return " ".join(filter(None, [f"{corpus}/{sample}", *axes]))
