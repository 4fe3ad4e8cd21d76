"""The records that measures of captions get, and what a score depends on: both follow from what a measure needs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from models.measures.captions.candidates import Candidate, Corpus, Need
from registry.store.dag import GRID, STAGES
from registry.store.keys import canonical, digest
from stages.engine.pictures import Picture, fetch, picture_of
from stages.engine.shards import DISK, Outputs

PREPARED, DEGRADED, REPAINTED, CAPTIONED = (
    STAGES[name].folder() for name in ("prepare", "degrade", "inpaint", "caption")
)

Axes = Mapping[str, str | None]


class Records:
    """Records of the samples of one corpus; what a measure does not need is not read."""

    def __init__(self, corpus: str, needs: Collection[Need], outputs: Outputs = DISK) -> None:
        self.corpus = corpus
        self.needs = needs
        self.outputs = outputs
        self._own: dict[str, dict[str, str]] = {}

    def record(self, sample: str, text: str, axes: Axes) -> Candidate:
        """A caption with what the measure needs of its sample."""
        mask = self.mask(sample, axes["degradation"]) if "mask" in self.needs else None
        return Candidate(
            sample,
            text,
            self.references[sample] if "references" in self.needs else (),
            self.annotations[sample] if "annotations" in self.needs else {},
            fetch(mask) if mask else None,
            self.picture(sample, axes) if "picture" in self.needs else None,
            self.own(sample, axes) if "own" in self.needs else None,
        )

    def concerns(self, sample: str, axes: Axes) -> bool:
        """Whether a sample has what the measure compares captions with."""
        if {"references", "corpus_references"} & set(self.needs) and sample not in self.references:
            return False
        return "own" not in self.needs or self.own(sample, axes) is not None

    def fitted_to(self, texts: Iterable[str]) -> Corpus:
        """The corpus that a measure is fitted to before it scores some texts."""
        return Corpus(self.references, self.annotations if "annotations" in self.needs else {}, texts)

    def parts(self, sample: str, text: str, axes: Axes) -> dict[str, Any]:
        """Parts of the key of a caption's score, beside the measure.

        Where words are weighed by the whole corpus (CIDEr), these are all its references, and the sample.
        """
        whole = "corpus_references" in self.needs
        parts: dict[str, Any] = {"caption": text, "sample": sample if whole else None}
        parts["references"] = self._all_references if whole else self._own_references(sample)
        if "picture" in self.needs:
            parts["picture"] = self.picture(sample, axes).digest
        if "own" in self.needs:
            parts["own"] = self.own(sample, axes)
        return parts | self._grounds([sample], axes)

    def whole_parts(self, captions: Mapping[str, str | list[str]], axes: Axes) -> dict[str, Any]:
        """Parts of the key of a cell's scores as a whole; its captions are given by sample."""
        parts = {"captions": _digest(captions), "references": self._all_references}
        if "picture" in self.needs:
            parts["pictures"] = _digest([self.picture(sample, axes).digest for sample in sorted(captions)])
        if "own" in self.needs:
            parts["own"] = _digest({sample: self.own(sample, axes) for sample in captions})
        return parts | self._grounds(captions, axes)

    @cached_property
    def references(self) -> dict[str, list[str]]:
        """References by sample, of those that have any."""
        rows = self.outputs.rows(PREPARED / self.corpus, ("sample", "status", "references"))
        return {row["sample"]: row["references"] for row in rows if row["status"] == "ok" and row["references"]}

    @cached_property
    def annotations(self) -> dict[str, dict[str, Any]]:
        """Annotations by sample."""
        rows = self.outputs.rows(PREPARED / self.corpus, ("sample", "status", "annotations"))
        return {row["sample"]: json.loads(row["annotations"]) for row in rows if row["status"] == "ok"}

    def mask(self, sample: str, degradation: str | None) -> Picture | None:
        """The mask of a sample under a degradation; None where it has none.

        An original (None) has that of all its degradations, if it is one: its caption too is looked at where the
        picture will be repainted, so that before and after are compared.
        """
        return self._masks.get((sample, degradation))

    def picture(self, sample: str, axes: Axes) -> Picture:
        """The picture that was captioned: the original, or what an inpainter made of it."""
        return self._pictures[sample, axes["degradation"], axes["inpainter"]]

    def own(self, sample: str, axes: Axes) -> str | None:
        """What the captioner of a caption said of the original; None where that failed."""
        captioner = axes["captioner"] or ""
        if captioner not in self._own:
            self._own[captioner] = self._said_of_originals(captioner)
        return self._own[captioner].get(sample)

    def _said_of_originals(self, captioner: str) -> dict[str, str]:
        rows = self.outputs.rows(CAPTIONED / captioner / self.corpus, ("sample", "status", "caption", "inpainter"))
        return {row["sample"]: row["caption"] for row in rows if row["status"] == "ok" and row["inpainter"] is None}

    @cached_property
    def _masks(self) -> dict[tuple[str, str | None], Picture]:
        masks: dict[tuple[str, str | None], Picture] = {}
        own: dict[str, dict[str, Picture]] = defaultdict(dict)
        for path in self.outputs.shards(DEGRADED / self.corpus):
            for row in self.outputs.read(path, ("sample", "degradation", "mask_digest")):
                if row["mask_digest"]:
                    mask = picture_of(row, path, "mask")
                    masks[row["sample"], row["degradation"]] = own[row["sample"]].setdefault(mask.digest, mask)
        return masks | {(sample, None): next(iter(some.values())) for sample, some in own.items() if len(some) == 1}

    @cached_property
    def _pictures(self) -> dict[tuple[str, str | None, str | None], Picture]:
        common = ("sample", "status", "image_digest")
        originals = [(path, common) for path in self.outputs.shards(PREPARED / self.corpus)]
        repainted = [path for path in self.outputs.shards(REPAINTED) if path.parent.name == self.corpus]
        return {
            (row["sample"], row.get("degradation"), row.get("inpainter")): picture_of(row, path)
            for path, columns in (*originals, *((path, (*common, *GRID)) for path in repainted))
            for row in self.outputs.read(path, columns)
            if row["status"] == "ok"
        }

    @cached_property
    def _all_references(self) -> str:
        return _digest(self.references)

    def _own_references(self, sample: str) -> str | None:
        return _digest(self.references[sample]) if "references" in self.needs else None

    def _grounds(self, samples: Iterable[str], axes: Axes) -> dict[str, str]:
        """Parts of a key that are the annotations and masks of some samples."""
        samples, parts = sorted(samples), {}
        if "annotations" in self.needs:
            parts["annotations"] = _digest([self.annotations[sample] for sample in samples])
        if "mask" in self.needs:
            masks = [self.mask(sample, axes["degradation"]) for sample in samples]
            parts["masks"] = _digest([mask and mask.digest for mask in masks])
        return parts


def _digest(value: Any) -> str:
    return digest(canonical(value).encode())
