"""Pins as git tags and as rows: each tag holds all that its row says, so that a lost registry gets its pins back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, false, select

from registry.store.bulk import upsert
from registry.store.keys import canonical
from registry.store.schema import Pin, PinEvent

FACTS = ("kind", "path", "digest", "md5", "study", "runs")
"""What a tag's message says; the rest is the tag itself."""


COLUMNS = (*FACTS, "name", "version", "git_commit", "author", "pinned_at")
EVENT = ("tag", "stage", "author", "happened_at")


@dataclass(frozen=True)
class Pinned:
    """A pinned version, with the stages it is in now, whether it was deprecated, and whether git has its tag here."""

    name: str
    version: str
    kind: str
    path: str
    digest: str
    md5: str | None
    study: str | None
    runs: Sequence[str]
    git_commit: str
    author: str
    pinned_at: datetime
    stages: tuple[str, ...] = ()
    deprecated: bool = False
    tagged: bool = True

    @property
    def label(self) -> str:
        return f"{self.name}@{self.version}"

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"pinned_at": self.pinned_at.isoformat()}


@dataclass(frozen=True)
class Event:
    """A tag that gives a version a stage, or, where it names none, deprecates it."""

    label: str
    tag: str
    stage: str | None
    author: str
    happened_at: datetime


def message(label: str, facts: Mapping[str, Any]) -> str:
    """The text of a pin's tag: what was pinned, for people, and the facts as one line of JSON.

    >>> print(message("captions@v1.0.0", {"digest": "ab", "path": "data/caption/blip"}))
    Pin captions@v1.0.0
    <BLANKLINE>
    {"digest":"ab","path":"data/caption/blip"}
    """
    return f"Pin {label}\n\n{canonical(facts)}"


def from_tag(tag: Any) -> Pinned | None:
    """Read the pin in a tag of GTO's; None where it was not made by ``palimpsest pin``."""
    try:
        facts = json.loads(tag.message.strip().rpartition("\n")[2])
        given = {name: facts[name] for name in FACTS}
    except (ValueError, KeyError, TypeError):
        return None
    name, _, version = tag.name.partition("@")
    return Pinned(
        name,
        version,
        **given,
        git_commit=tag.target,
        author=tag.tagger_name,
        pinned_at=tag.tag_datetime.astimezone(UTC),
    )


def in_git(scm: Any) -> tuple[dict[str, Pinned], list[Event]]:
    """The pins in the tags of a repository, by name@version, and the events that followed."""
    from gto.constants import Action
    from gto.tag import find, parse_tag

    pins, by_commit, events = {}, {}, []
    tags = [(parse_tag(tag), tag) for tag in find(scm=scm)]
    for parsed, tag in tags:
        if parsed.action == Action.REGISTER and (pinned := from_tag(tag)):
            pins[pinned.label] = by_commit[pinned.name, tag.target] = pinned
    for parsed, tag in tags:
        pinned = by_commit.get((parsed.name, tag.target))
        if pinned and parsed.action in (Action.ASSIGN, Action.DEREGISTER):
            when = tag.tag_datetime.astimezone(UTC)
            events.append(Event(pinned.label, tag.name, parsed.stage, tag.tagger_name, when))
    return pins, events


def adopt(engine: Engine, scm: Any) -> list[str]:
    """Copy to the registry the pins in git that it lacks; returns the tags on which the two disagree."""
    pins, events = in_git(scm)
    with engine.begin() as connection:
        rows = [{name: getattr(pinned, name) for name in COLUMNS} for pinned in pins.values()]
        upsert(connection, Pin.__table__, rows, ("name", "version"), where=false())
        found = connection.execute(select(Pin.id, Pin.name, Pin.version, Pin.path, Pin.digest))
        known = {f"{pin.name}@{pin.version}": pin for pin in found}
        rows = [{"pin_id": known[event.label].id, **{name: getattr(event, name) for name in EVENT}} for event in events]
        upsert(connection, PinEvent.__table__, rows, ("tag",), where=false())
        owners = dict(connection.execute(select(PinEvent.tag, PinEvent.pin_id)).all())
    others = [
        label for label, pin in pins.items() if (known[label].path, known[label].digest) != (pin.path, pin.digest)
    ]
    return others + [event.tag for event in events if owners[event.tag] != known[event.label].id]


def pinned_versions(connection: Connection, name: str | None = None) -> list[Pinned]:
    """Pinned versions by name, then in the order of pinning. A stage belongs to the version it was assigned to last.

    Tags hold times to the second; within one, GTO's counter in ``NAME#STAGE#N`` decides.
    """
    from gto.tag import parse_name

    wanted = [] if name is None else [Pin.name == name]
    rows = connection.execute(select(Pin).where(*wanted).order_by(Pin.name, Pin.pinned_at, Pin.id)).all()
    found = connection.execute(
        select(PinEvent.pin_id, PinEvent.stage, PinEvent.tag, PinEvent.happened_at, Pin.name).join(Pin)
    )
    events = sorted(found, key=lambda event: (event.happened_at, parse_name(event.tag).get("counter", 0)))
    held = {(event.name, event.stage): event.pin_id for event in events if event.stage}
    deprecated = {event.pin_id for event in events if not event.stage}
    return [
        Pinned(
            **{column: getattr(row, column) for column in COLUMNS},
            stages=tuple(sorted(stage for (_, stage), pin in held.items() if pin == row.id)),
            deprecated=row.id in deprecated,
        )
        for row in rows
    ]
