"""Models that play the roles of a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, Protocol

from models.adapters import catalogue
from models.adapters.decoding import Decoding
from models.adapters.references import resolved
from models.adapters.roles import Pictured
from models.adapters.settings import validated
from stages.engine.handling import handling, identity_of


class Keyed(Protocol):
    """A request (:mod:`models.adapters.requests`, which stages that ask nobody do not depend on)."""

    DECODED: ClassVar[bool]

    def parts(self) -> dict[str, Any]: ...

    def size(self) -> tuple[int, ...]: ...

    def pictures_seen(self) -> tuple[Pictured, ...]: ...


class Player:
    """A model that plays a role: an adapter, and how it chooses words where it is asked a question.

    ``entry`` describes the model; ``batch_size`` and the settings of :class:`~models.adapters.decoding.Decoding` stand
    beside. Unless it says otherwise, the likeliest words are taken, and one candidate.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], role: str) -> None:
        said, settings = handling(name, entry, "batch_size")
        self.name, self.role, self.batch_size = name, role, said.batch_size
        chosen = {key: settings.pop(key) for key in settings.keys() & Decoding.model_fields.keys()}
        self.decoding = validated(f"{name}", Decoding, {"beams": 1, "candidates": 1, **chosen})
        self.entry = settings

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Part of the key of every request to this model."""
        adapter = catalogue.build(self.role, self.name, self.entry)
        return identity_of(self.entry["adapter"], adapter)

    def alike(self, request: Keyed) -> tuple[Any, ...]:
        """What requests share that are best answered beside each other: the pictures, where a server keeps what it has
        read of prompts; else about how much there is to read."""
        if getattr(catalogue.target(self.role, self.entry["adapter"]), "KEEPS_PROMPTS", False):
            return tuple(picture.digest for picture in request.pictures_seen())
        return request.size()

    @contextmanager
    def described(self) -> Iterator[Mapping[str, Any]]:
        """The entry of its model, whose files are there as long as it is looked at."""
        yield self.entry

    def parts(self, request: Keyed) -> dict[str, Any]:
        """The parts of a request's key."""
        parts = {**request.parts(), "model": self.identity}
        return parts | ({"decoding": self.decoding.decided()} if request.DECODED else {})


def player(name: str, role: str, said: Any, kind: str, models: Mapping[str, Mapping[str, Any]]) -> Player:
    """Who plays a role: ``said`` is the name of a model, or an entry that names or describes one."""
    entry = {"model": said} if isinstance(said, str) else said
    if not isinstance(entry, Mapping):
        raise ValueError(f"{name} has {said!r} for {role}: name a model of `models`, or describe one.")
    return Player(role, resolved(entry, models), kind)


def cast(
    name: str, settings: dict[str, Any], roles: Mapping[str, str], models: Mapping[str, Mapping[str, Any]]
) -> dict[str, Player]:
    """Take the players of these roles, as far as they are named, out of the settings of the entry ``name``."""
    named = {role: kind for role, kind in roles.items() if role in settings}
    return {role: player(name, role, settings.pop(role), kind, models) for role, kind in named.items()}


def identities(players: Mapping[str, Player]) -> dict[str, Any]:
    """Part of the key of what players were asked for: the models, and how those that speak choose their words."""
    return {
        role: {"model": one.identity} | ({"decoding": one.decoding.decided()} if one.role == "chat" else {})
        for role, one in players.items()
    }
