"""Models that play the roles of a method."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from models.adapters import catalogue
from models.adapters.decoding import Decoding
from models.adapters.requests import Request
from models.adapters.settings import validated
from stages.engine.entries import handling, identity_of


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

    def parts(self, request: Request) -> dict[str, Any]:
        """The parts of a request's key."""
        parts = {**request.parts(), "model": self.identity}
        return parts | ({"decoding": self.decoding.decided()} if request.DECODED else {})
