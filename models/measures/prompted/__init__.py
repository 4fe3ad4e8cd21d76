"""Judges of painters: how well a picture shows what its prompt asked for.

A judge is a method over requests (:mod:`models.adapters.requests`), as recaptioners are: its ``judge`` is a generator
that asks the models that play its roles about one painting, and returns the values of its metrics, with what led to
them. A value is None where the prompt has nothing of the kind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from models.adapters.requests import Conversation, Pictured
from models.measures import Metric

YES_NO = ("Yes", "No")
"""How most chat models say yes and no; the pocket ones were taught "yes" and "no"."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a picture to which the prompt's answer is yes."""

    name: str
    """Unique within its prompt."""
    text: str
    parents: tuple[str, ...] = ()
    """The questions without whose yes this one makes no sense, by name."""
    category: str = ""
    """What it is about, as releases group it: entity, attribute, relation, global, other."""
    detail: str = ""
    """The same more finely: color, spatial, count, …"""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A sample of a prompt corpus: what is to be painted, and what will be asked of the painting."""

    sample: str
    """Unique within its corpus."""
    text: str
    category: str = ""
    """The part of the benchmark that it belongs to."""
    questions: tuple[Question, ...] = ()
    graph: Mapping[str, Any] = field(default_factory=dict)
    """What it says of a scene, where that is known exactly (:func:`models.worlds.grammar.parse`)."""

    def annotations(self) -> dict[str, Any]:
        """What it is beside sample and text, JSON-able.

        >>> Prompt.told("a", "a cat", Prompt("a", "a cat", "cats", (Question("1", "a cat?"),)).annotations()).category
        'cats'
        """
        return {name: value for name, value in asdict(self).items() if name not in ("sample", "text")}

    @classmethod
    def told(cls, sample: str, text: str, annotations: Mapping[str, Any]) -> Prompt:
        """The prompt that has these annotations."""
        asked = [Question(**{**one, "parents": tuple(one["parents"])}) for one in annotations["questions"]]
        return cls(sample, text, annotations["category"], tuple(asked), annotations["graph"])


@dataclass(frozen=True, slots=True)
class Painting:
    """A picture painted of a prompt."""

    prompt: Prompt
    picture: Pictured


class PaintingJudge(Protocol):
    """Judges paintings one by one. What it returns are the columns of an item: its metrics, and ``steps``."""

    VERSION: ClassVar[int]
    METRICS: ClassVar[tuple[Metric, ...]]
    """All that the class can give, in the order of its columns."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that this one gives, as it is set."""
        return self.METRICS

    @property
    def Settings(self) -> type[BaseModel]:
        """The pydantic model of its settings in ``params.yaml``."""

    ROLES: ClassVar[Mapping[str, str]]
    """The roles of the models that it may ask, each with the role of the catalogue whose models can play it."""

    @property
    def asks(self) -> frozenset[str]:
        """The roles of the models that it asks as it is set."""

    def identity(self) -> dict[str, Any]:
        """JSON-able parts of the key: its settings."""

    def judge(self, painting: Painting) -> Conversation:
        """The requests about one painting, and in the end its values; raises ``ValueError`` where it has none."""
