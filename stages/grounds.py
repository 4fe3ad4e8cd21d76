"""What grounded measures of captions read beside references: annotations, and where pictures are repainted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any

from registry.store.keys import canonical, digest
from stages.engine.shards import read_rows

PREPARED, DEGRADED = Path("data/prepare"), Path("data/degrade")


class Grounds:
    """The annotations and masks of one corpus."""

    def __init__(self, corpus: str) -> None:
        self.corpus = corpus

    @cached_property
    def annotations(self) -> dict[str, dict[str, Any]]:
        """By sample."""
        rows = read_rows(PREPARED / self.corpus, ("sample", "status", "annotations"))
        return {row["sample"]: json.loads(row["annotations"]) for row in rows if row["status"] == "ok"}

    @cached_property
    def _masks(self) -> dict[tuple[str, str | None], bytes]:
        """By sample and degradation; under None the one that a sample has under all of them, if it is one."""
        masks: dict[tuple[str, str | None], bytes] = {}
        own: dict[str, dict[bytes, bytes]] = defaultdict(dict)  # equal masks are held once
        for row in read_rows(DEGRADED / self.corpus, ("sample", "degradation", "mask")):
            if row["mask"]:
                png = row["mask"]["bytes"]
                masks[row["sample"], row["degradation"]] = own[row["sample"]].setdefault(png, png)
        return masks | {(sample, None): next(iter(pngs)) for sample, pngs in own.items() if len(pngs) == 1}

    def masks(self, samples: Iterable[str], degradation: str | None) -> dict[str, bytes]:
        """PNG by sample, of those that have a mask under a degradation.

        An original (None) has that of all its degradations, if it is one: its caption too is looked at where the
        picture will be repainted, so that before and after are compared.
        """
        found = ((sample, self._masks.get((sample, degradation))) for sample in samples)
        return {sample: png for sample, png in found if png}

    def parts(self, samples: Iterable[str], degradation: str | None) -> dict[str, str]:
        """What the annotations and masks of some samples add to a key."""
        samples = sorted(samples)
        annotations = canonical([self.annotations[sample] for sample in samples])
        masks = self.masks(samples, degradation)
        digests = [digest(masks[sample]) if sample in masks else None for sample in samples]
        return {"annotations": digest(annotations.encode()), "masks": digest(canonical(digests).encode())}
