"""How good captioners' descriptions and answers are, by the worlds' own accounts of the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from models.pocket.data import Examples
from models.pocket.instructions import KINDS, full_name, only_name, yes_or_no
from models.pocket.worlds import expressions, grammar, radiographs, spectrograms, trends

if TYPE_CHECKING:
    from models.pocket.talking import Talking


def said_right(world: str, texts: Sequence[str], graphs: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Means over the captions of one world: what the world's parser finds in them, against the truth.

    >>> said_right("spectrograms", ["wind", "a bell sound"], [{"kind": "wind"}, {"kind": "drum"}])["kind"]
    0.5
    """
    return {name: float(np.mean(values)) for name, values in _scores(world, texts, graphs).items()}


def _scores(world: str, texts: Sequence[str], graphs: Sequence[dict[str, Any]]) -> dict[str, list[float]]:
    pairs = list(zip(texts, graphs, strict=True))
    if world == "scenes":
        each = [grammar.agreement(grammar.parse(text), graph) for text, graph in pairs]
        told = [relations(text, graph) for text, graph in pairs]
        found = {name: [one[name] for one in each] for name in each[0]}
        return found | {
            "relations": [right for one in told for right in one["said"]],
            "relations told": [share for one in told for share in one["told"]],
        }
    if world == "referring":
        return {"singled out": [float(expressions.resolve(text, graph) == [graph["target"]]) for text, graph in pairs]}
    if world == "series":
        return {"claims": [trends.agreement(trends.parse(text), graph["facts"]) for text, graph in pairs]}
    module = {"radiographs": radiographs, "spectrograms": spectrograms}[world]
    each = [module.agreement(module.parse(text), graph) for text, graph in pairs]
    return {name: [one[name] for one in each] for name in each[0]}


def relations(text: str, graph: dict[str, Any]) -> dict[str, list[float]]:
    """Whether each relation that a caption states holds between objects of those shapes and colours (``said``), and
    for each neighbouring pair of objects whether a relation of the two is stated (``told``).

    >>> a, b = ({"shape": s, "color": "red", "box": [x, 0, 9, 9]} for s, x in (("ring", 0), ("star", 30)))
    >>> relations("a red ring to the left of a red star", {"objects": [a, b]})
    {'said': [1.0], 'told': [1.0]}
    >>> relations("a red ring above a red star", {"objects": [a, b]})
    {'said': [0.0], 'told': [0.0]}
    """
    found = grammar.parse(text)
    objects, said, pairs = graph["objects"], [], set()

    def meant(thing: dict[str, Any]) -> list[int]:
        return [k for k, one in enumerate(objects) if all(one[name] == thing.get(name) for name in ("shape", "color"))]

    for one in found["relations"]:
        subjects, others = meant(found["objects"][one["subject"]]), meant(found["objects"][one["object"]])
        right = [{i, j} for i in subjects for j in others
                 if i != j and grammar.relation(graph, i, j) == one["predicate"]]  # fmt: skip
        said.append(float(bool(right)))
        pairs |= {tuple(sorted(pair)) for pair in right}
    return {"said": said, "told": [float((k, k + 1) in pairs) for k in range(len(objects) - 1)]}


@torch.no_grad()
def judged(recipe: Talking, captioner: nn.Module, scenes: Examples, count: int = 200) -> dict[str, float]:
    """Shares of yes/no questions answered rightly, by kind, and of objects described with every attribute right."""
    rng, figures = np.random.default_rng(0), {}
    right: dict[str, list[float]] = {kind: [] for kind in KINDS}
    yes, no = recipe.tokenizer.convert_tokens_to_ids(["yes", "no"])
    for k in range(0, count, 25):
        graphs = scenes.annotations[k : k + 25]
        _, read = recipe.look(captioner, recipe.pixels(scenes.pictures[k : k + 25]))
        asked = [[turn for kind in KINDS for answer in (True, False)
                  if (turn := yes_or_no(graph, kind, answer, rng))] for graph in graphs]  # fmt: skip
        logits, labels, closed = recipe.logits(captioner, read, asked)
        chosen = (logits[closed][:, yes] > logits[closed][:, no]) == (labels[closed] == yes)
        for turn, hit in zip([turn for row in asked for turn in row], chosen.tolist(), strict=True):
            right[turn.kind].append(hit)
    figures |= {f"yes or no: {kind}": float(np.mean(hits)) for kind, hits in right.items()}
    figures["yes or no"] = float(np.mean([hit for hits in right.values() for hit in hits]))
    hits = []
    for picture, graph in list(zip(scenes.pictures, scenes.annotations, strict=True))[:60]:
        thing = graph["objects"][0]
        if name := only_name(graph, thing, rng):
            hits.append(recipe.say(captioner, picture[None], f"Describe the {name}.")[0] == f"a {full_name(thing)}")
    return figures | {"one object": float(np.mean(hits))}
