"""The records that measures of captions get, and what a score depends on: both follow from what a measure needs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from models.measures.captions.candidates import Candidate, Corpus, Need
from models.media.images import decode_png
from registry.store.keys import canonical, digest
from registry.store.shelved import pictures
from stages.engine.shards import read_rows, read_shard, shards

PREPARED, DEGRADED, REPAINTED = Path("data/prepare"), Path("data/degrade"), Path("data/inpaint")

Axes = Mapping[str, str | None]


@dataclass(frozen=True)
class InShard:
    """A picture in a stage's output, by its place there."""

    digest: str
    shard: Path
    row: int

    def pixels(self) -> np.ndarray:
        """The picture (H, W, 3) uint8."""
        return decode_png(pictures(self.shard)[self.row]["bytes"].as_py())


class Records:
    """What is known of the samples of one corpus; what nobody needs is not read."""

    def __init__(self, corpus: str, needs: Collection[Need]) -> None:
        self.corpus = corpus
        self.needs = needs

    def record(self, sample: str, text: str, axes: Axes) -> Candidate:
        """A caption with what the measure needs of its sample."""
        return Candidate(
            sample,
            text,
            self.references[sample] if "references" in self.needs else (),
            self.annotations[sample] if "annotations" in self.needs else {},
            self.mask(sample, axes["degradation"]) if "mask" in self.needs else None,
            self.picture(sample, axes) if "picture" in self.needs else None,
        )

    def fitted_to(self, texts: Iterable[str]) -> Corpus:
        """What a measure is fitted to before it scores some texts."""
        return Corpus(self.references, self.annotations if "annotations" in self.needs else {}, texts)

    def parts(self, sample: str, text: str, axes: Axes) -> dict[str, Any]:
        """What the score of a caption depends on beside the measure.

        Where words are weighed by the whole corpus (CIDEr), these are all its references, and the sample.
        """
        whole = "corpus_references" in self.needs
        parts: dict[str, Any] = {"caption": text, "sample": sample if whole else None}
        parts["references"] = self._all_references if whole else self._own_references(sample)
        if "picture" in self.needs:
            parts["picture"] = self.picture(sample, axes).digest
        return parts | self._grounds([sample], axes)

    def whole_parts(self, captions: Mapping[str, str], axes: Axes) -> dict[str, Any]:
        """What the scores of a cell as a whole depend on; its captions are given by sample."""
        parts = {"captions": _digest(captions), "references": self._all_references}
        if "picture" in self.needs:
            parts["pictures"] = _digest([self.picture(sample, axes).digest for sample in sorted(captions)])
        return parts | self._grounds(captions, axes)

    @cached_property
    def references(self) -> dict[str, list[str]]:
        """By sample."""
        rows = read_rows(PREPARED / self.corpus, ("sample", "status", "references"))
        return {row["sample"]: row["references"] for row in rows if row["status"] == "ok"}

    @cached_property
    def annotations(self) -> dict[str, dict[str, Any]]:
        """By sample."""
        rows = read_rows(PREPARED / self.corpus, ("sample", "status", "annotations"))
        return {row["sample"]: json.loads(row["annotations"]) for row in rows if row["status"] == "ok"}

    def mask(self, sample: str, degradation: str | None) -> bytes | None:
        """The mask of a sample under a degradation as PNG; None where it has none.

        An original (None) has that of all its degradations, if it is one: its caption too is looked at where the
        picture will be repainted, so that before and after are compared.
        """
        return self._masks.get((sample, degradation))

    def picture(self, sample: str, axes: Axes) -> InShard:
        """The picture that was captioned: the original, or what an inpainter made of it."""
        return self._pictures[sample, axes["degradation"], axes["inpainter"]]

    @cached_property
    def _masks(self) -> dict[tuple[str, str | None], bytes]:
        masks: dict[tuple[str, str | None], bytes] = {}
        own: dict[str, dict[bytes, bytes]] = defaultdict(dict)  # equal masks are held once
        for row in read_rows(DEGRADED / self.corpus, ("sample", "degradation", "mask")):
            if row["mask"]:
                png = row["mask"]["bytes"]
                masks[row["sample"], row["degradation"]] = own[row["sample"]].setdefault(png, png)
        return masks | {(sample, None): next(iter(pngs)) for sample, pngs in own.items() if len(pngs) == 1}

    @cached_property
    def _pictures(self) -> dict[tuple[str, str | None, str | None], InShard]:
        repainted = (path for path in shards(REPAINTED) if path.parent.name == self.corpus)
        return {
            (row["sample"], row.get("degradation"), row.get("inpainter")): InShard(
                digest(row["image"]["bytes"]), path.absolute(), place
            )
            for path in (*shards(PREPARED / self.corpus), *repainted)
            for place, row in enumerate(read_shard(path))
            if row["status"] == "ok"
        }

    @cached_property
    def _all_references(self) -> str:
        return _digest(self.references)

    def _own_references(self, sample: str) -> str | None:
        return _digest(self.references[sample]) if "references" in self.needs else None

    def _grounds(self, samples: Iterable[str], axes: Axes) -> dict[str, str]:
        """What annotations and masks of some samples add to a key."""
        samples, parts = sorted(samples), {}
        if "annotations" in self.needs:
            parts["annotations"] = _digest([self.annotations[sample] for sample in samples])
        if "mask" in self.needs:
            masks = [self.mask(sample, axes["degradation"]) for sample in samples]
            parts["masks"] = _digest([mask and digest(mask) for mask in masks])
        return parts


def _digest(value: Any) -> str:
    return digest(canonical(value).encode())
