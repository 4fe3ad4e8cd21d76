"""Captions that are as right and as complete as one wants them: the truth about a generated picture, edited.

They are no captioner's work. They stand beside captioners because what is measured of captions, and what rewrites them,
takes captions from there: a study of judges knows then what is wrong with a caption, and one of rewriting what to mend.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from models.adapters import roles
from models.worlds.edits import VERSION, parts


class Informed(roles.Settings):
    """Settings of a captioner that is told what is known of a picture (its annotations, as JSON) in place of a prompt.

    What an item was told is in its key, as every prompt is. Of a repainted picture that is what its original shows.
    """


class EditedTruth:
    """Tells a scene sentence by sentence: its main object, the ground, the others and their places.

    With nothing set, everything is said and right: precision and recall of objects and attributes are 1.
    """

    VERSION: ClassVar[int] = 1

    class Settings(Informed):
        wrong: Literal["any", "object", "color", "texture", "shape", "size", "relation", "background"] = "any"
        """What errors are about (:data:`models.worlds.edits.EDITS`)."""
        errors: int = Field(0, ge=0)
        """How many sentences are made wrong, each by one edit; as many as the scene allows, where these are fewer."""
        left_out: int = Field(0, ge=0)
        """How many sentences are left out; the first one always stays."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """The settings, and the version of the edits."""
        return {**self.settings.model_dump(), "edits": VERSION}

    def load(self) -> None:
        """Nothing to load."""

    def caption(self, pictures: Sequence[np.ndarray], prompts: Sequence[str], seeds: Sequence[int]) -> list[list[str]]:
        """One caption each, by what a scene's annotations (``prompts``) and a seed say; no picture is looked at.

        Raises ValueError where annotations are of no scene.
        """
        return [[self._told(json.loads(known), np.random.default_rng(seed))]
                for known, seed in zip(prompts, seeds, strict=True)]  # fmt: skip

    def _told(self, graph: Mapping[str, Any], rng: np.random.Generator) -> str:
        if not {"background", "objects"} <= graph.keys() or "target" in graph:
            raise ValueError("the truth can be edited of scenes only: name corpora of `adapter: scenes`")
        said = self.settings
        first, *others = parts(dict(graph), rng)
        kept = sorted(rng.permutation(len(others))[said.left_out :])
        told = [first, *(others[place] for place in kept)]
        edits = [[one for one in part.false if said.wrong in ("any", one)] for part in told]
        able = [place for place, some in enumerate(edits) if some]
        texts = [part.true.text for part in told]
        for place in rng.permutation(able)[: said.errors]:
            texts[place] = told[place].false[edits[place][rng.integers(len(edits[place]))]].text
        return " ".join(texts)
