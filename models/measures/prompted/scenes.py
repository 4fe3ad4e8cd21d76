"""The exact judge of painted scenes: how much of what a prompt says stands in its painting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import Any, ClassVar

from models.adapters import roles
from models.adapters.requests import Conversation, Detect
from models.detectors.scenes import GROUND, graph_of
from models.measures import Metric
from models.measures.prompted import Painting, PaintingJudge
from models.worlds.grammar import WORDS, Graph, relation


def kept(said: Graph, painted: Graph) -> dict[str, list[bool]]:
    """Which named attributes and relations a painted graph has, and the ground.

    Objects are paired so that most of the attributes agree, and then most of the relations. An object that was not
    painted has none of what was said of it.

    >>> box = {"box": (0, 0, 9, 9)}
    >>> said = {"objects": [{"color": "red", "shape": "ring"}], "relations": [], "background": None}
    >>> kept(said, {"objects": [{"color": "red", "shape": "star"} | box], "background": "sky"})["attributes"]
    [True, False]
    """
    wanted, there = said["objects"], [*painted["objects"], *[{}] * len(said["objects"])]

    def hits(order: Sequence[int]) -> tuple[list[bool], list[bool]]:
        things = [there[k] for k in order]
        attributes = [thing.get(name) == value
                      for thing, one in zip(things, wanted, strict=True) for name, value in one.items()]  # fmt: skip
        relations = [
            bool(things[one["subject"]] and things[one["object"]])
            and relation({"objects": things}, one["subject"], one["object"]) == one["predicate"]
            for one in said["relations"]
        ]
        return attributes, relations

    attributes, relations = max(
        map(hits, permutations(range(len(there)), len(wanted))), key=lambda found: (sum(found[0]), sum(found[1]))
    )
    ground = [painted["background"] == said["background"]] if said["background"] else []
    return {"attributes": attributes, "relations": relations, "background": ground}


class Scenes(PaintingJudge):
    """Holds what a detector of scenes finds against the graph that the prompt says; None of what it does not say."""

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"detector": "detectors"}
    asks: ClassVar[frozenset[str]] = frozenset(ROLES)
    METRICS: ClassVar[tuple[Metric, ...]] = tuple(
        Metric(f"painted_{name}", f"Painted {name}", 671 + n, "other",
               f"share of the {what} that a prompt names and the probe finds in its painting", high=1.0)
        for n, (name, what) in enumerate(
            {"attributes": "attributes of objects", "relations": "relations", "background": "grounds"}.items()
        )
    )  # fmt: skip

    class Settings(roles.Settings):
        pass

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return {}

    def judge(self, painting: Painting) -> Conversation:
        if not painting.prompt.graph:
            raise ValueError(f"of the prompt {painting.prompt.sample!r} no graph is known: take prompts of `scenes`")
        found = yield Detect("detector", painting.picture, (*WORDS["shape"], GROUND))
        if not found:
            raise ValueError(f"the detector gave nothing: {found.reason}")
        hits = kept(dict(painting.prompt.graph), graph_of(found.detections))
        values = {f"painted_{name}": sum(some) / len(some) if some else None for name, some in hits.items()}
        return {**values, "steps": {"found": [one.label for one in found.detections]}}
