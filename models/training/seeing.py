"""Training targets of vision towers: every patch's object where there are shapes, and marks of the whole elsewhere.

The same lessons teach every tower of the family: as in practice, it is trained first and supervised, and a captioner
then learns to read it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from models.training.data import Examples, dense_labels
from models.worlds.grammar import BACKGROUNDS, WORDS

CLASSES = [len(values) + 1 for values in WORDS.values()]
PATCHWISE = [*CLASSES, 2, len(BACKGROUNDS)]
"""What is read off each patch: the object's attributes, where its centre is, and the ground. A captioner sees patches
alone, and what they were not asked it could not know: not the ground, and not how objects lie to each other."""
SHAPES = ("scenes", "referring")
"""The worlds of which every patch's object is known."""
COUNT = 12
"""Values of a series."""


class Heads(nn.Module):
    """Linear readings of a tower's patches (N, P, width) and of its view of the whole (N, width)."""

    def __init__(self, width: int, marks: int) -> None:
        super().__init__()
        self.patches = nn.Linear(width, sum(PATCHWISE))
        self.whole = nn.Linear(width, len(BACKGROUNDS) + COUNT + marks)


class Views(NamedTuple):
    """A batch: pictures, and per world the rows that are of it and their numbers in its examples."""

    pictures: np.ndarray
    rows: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]


class Lessons:
    """The examples of several worlds with what there is to see in them.

    ``marks`` are the facts that hold or do not hold of a whole picture: findings of a radiograph, the kind of a clip,
    the course of a series. Unseen examples are given the ``known`` marks of those that were learnt from.
    """

    def __init__(self, sources: Mapping[str, Examples], known: Sequence[str] = ()) -> None:
        self.sources = sources
        self.dense = {name: dense_labels(self.sources[name].annotations) for name in SHAPES if name in self.sources}
        said = {name: [marks(graph) for graph in one.annotations] for name, one in self.sources.items()}
        self.marks = list(known) or sorted({mark for of_world in said.values() for some in of_world for mark in some})
        place = {mark: number for number, mark in enumerate(self.marks)}
        self.truth = {}
        for name, of_world in said.items():
            if any(of_world):
                table = np.zeros((len(of_world), len(self.marks)), np.float32)
                for row, some in zip(table, of_world, strict=True):
                    row[[place[mark] for mark in some]] = 1
                self.truth[name] = (table, sorted({place[mark] for some in of_world for mark in some}))
        self.heights = {
            name: np.array([[y / 64 for _, y in graph["series"]["points"]] for graph in one.annotations], np.float32)
            for name, one in self.sources.items() if "series" in one.annotations[0]
        }  # fmt: skip

    def draw(self, rng: np.random.Generator, shares: Mapping[str, int]) -> Views:
        """A batch of ``shares[world]`` pictures of each world that is there."""
        numbers = {name: rng.integers(len(self.sources[name]), size=count) for name, count in shares.items()
                   if name in self.sources}  # fmt: skip
        ends = np.cumsum([0, *map(len, numbers.values())])
        rows = {name: np.arange(ends[k], ends[k + 1]) for k, name in enumerate(numbers)}
        pictures = np.concatenate([self.sources[name].pictures[some] for name, some in numbers.items()])
        return Views(pictures, rows, numbers)

    def loss(self, heads: Heads, views: Views, patches: Tensor, whole: Tensor) -> Tensor:
        """Cross-entropies of patches and marks, distances of centres and heights; ``patches`` in raster order."""
        device, total = patches.device, patches.new_zeros((), dtype=torch.float32)

        def put(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array)).to(device)

        grounds, heights, flags = heads.whole(whole).float().split([len(BACKGROUNDS), COUNT, len(self.marks)], 1)
        for name, rows in views.rows.items():
            some, weight = views.numbers[name], len(rows) / len(views.pictures)
            if name in self.dense:
                labels, centres, backgrounds = (put(table[some]) for table in self.dense[name])
                *classes, places, around = heads.patches(patches[rows]).float().split(PATCHWISE, -1)
                labels, covered = labels.long(), (labels[..., :1] > 0).float()
                dense = sum(cross_entropy(c.flatten(0, 1), labels[..., k].flatten()) for k, c in enumerate(classes))
                dense = dense + 2 * ((places - centres).abs() * covered).sum() / covered.sum()
                dense = dense + cross_entropy(grounds[rows], backgrounds.long())
                dense = dense + cross_entropy(around.mean(1), backgrounds.long())
                total = total + weight * dense
            if name in self.truth:
                table, known = self.truth[name]
                total = total + 4 * weight * binary_cross_entropy_with_logits(
                    flags[rows][:, known], put(table[some][:, known])
                )
            if name in self.heights:
                total = total + 8 * weight * (heights[rows] - put(self.heights[name][some])).abs().mean()
        return total


def marks(graph: Mapping[str, Any]) -> set[str]:
    """Facts of a whole picture, in words.

    >>> sorted(marks({"kind": "bell"})), sorted(marks({"facts": {"trend": "rises", "peak": None}}))
    (['bell'], ['trend rises'])
    """
    found = {" ".join(str(one[name]) for name in ("side", "zone", "label") if one.get(name))
             for one in graph.get("findings", ())}  # fmt: skip
    found |= {f"{name} {value}" for name, value in graph.get("facts", {}).items() if value is not None}
    return found | ({graph["kind"]} if "kind" in graph else set())


@torch.no_grad()
def seen(heads: Heads, lessons: Lessons, name: str, patches: Tensor, whole: Tensor) -> dict[str, float]:
    """Accuracy of the heads on the first examples of a world: shares, and the heights' mean error."""
    count, figures = len(whole), {}
    grounds, heights, flags = heads.whole(whole).float().split([len(BACKGROUNDS), COUNT, len(lessons.marks)], 1)
    if name in lessons.dense:
        labels, centres, backgrounds = (torch.from_numpy(table[:count]) for table in lessons.dense[name])
        covered = labels[..., 0] > 0
        *classes, places, around = heads.patches(patches).float().split(PATCHWISE, -1)
        for k, (attribute, one) in enumerate(zip(WORDS, classes, strict=True)):
            right = one.argmax(-1) == labels[..., k]
            figures[f"{name} patches' {attribute}"] = right[covered].float().mean().item()
        figures[f"{name} centres' error in pixels"] = 32 * (places - centres)[covered].norm(dim=-1).mean().item()
        figures[f"{name} background"] = (grounds.argmax(1) == backgrounds).float().mean().item()
        figures[f"{name} patches' background"] = (around.mean(1).argmax(1) == backgrounds).float().mean().item()
    if name in lessons.truth:
        table, known = lessons.truth[name]
        said, truth = flags[:, known] > 0, torch.from_numpy(table[:count][:, known]) > 0
        hits = (said & truth).sum().item()
        figures[f"{name} marks' recall"] = hits / max(1, truth.sum().item())
        figures[f"{name} marks' precision"] = hits / max(1, said.sum().item())
    if name in lessons.heights:
        figures[f"{name} heights' error"] = (
            (heights - torch.from_numpy(lessons.heights[name][:count])).abs().mean().item()
        )
    return figures
