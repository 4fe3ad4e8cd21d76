"""TRUCE (Jhamtani and Berg-Kirkpatrick 2021): time series with human captions, drawn as line plots."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from models.worlds.plots import draw_series
from registry.store.tables import read_json
from stages.corpora import Problem, Sample, Source
from stages.corpora.checks import Subset, checked_captions, in_order, up_to
from stages.engine.shards import storable


class Truce:
    """Both halves of the set, synthetic (``pilot13final``) and stock prices (``pilot16b``), with their own splits."""

    SOURCE = Source(
        about="TRUCE: 2,460 time series of 12 points, synthetic and of stock prices, with three captions each",
        where="https://github.com/harsh19/TRUCE (the folder processed_data)",
        licence="Apache-2.0",
        files=("{halves}{splits}.json",),
    )

    VERSION = 1

    class Settings(Subset):
        path: Path
        """The folder with ``pilot13finaltrain.json``, ``pilot16btest.json`` and so on."""

        halves: tuple[Literal["pilot13final", "pilot16b"], ...] = ("pilot13final", "pilot16b")
        splits: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")

        size: int = Field(64, ge=16, le=2048)
        """Width and height of the plot, in pixels."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        found = (
            each for half in self.settings.halves for split in self.settings.splits for each in self._file(half, split)
        )
        return up_to(self.settings.limit, in_order(found, self.settings.seed))

    def _file(self, half: str, split: str) -> Iterator[Sample | Problem]:
        path = self.settings.path / f"{half}{split}.json"
        repeated: list[str] = []
        records = read_json(path, "TRUCE file", partial(_first_of_each, repeated))
        if not isinstance(records, dict):
            raise ValueError(f"{path} is no TRUCE file: expected an object of records by id. Correct the path.")
        for key in repeated:
            yield Problem(storable(key), "duplicate_id", f"{path.name} has {storable(key)} twice; the first is kept.")
        for key, record in records.items():
            yield from self._sample(path.name, f"{half}/{split}", split, key, record)

    def _sample(self, file: str, prefix: str, split: str, key: str, record: Any) -> Iterator[Sample | Problem]:
        size = self.settings.size
        try:
            name = storable(f"{prefix}/{record.get('idx', key)}")
            values = list(record["series"])
            captions = [_caption(annotation) for annotation in record["annotations"]]
            if not all(isinstance(value, int | float) for value in values):
                raise ValueError("a series is a list of numbers")
            _, points = draw_series(values, size)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            reason = f"{file}: {storable(key)} is no record of a series and its annotations"
            yield Problem(f"{prefix}/{storable(key)}", "bad_record", f"{reason} ({error!r}); it is left out.")
            return
        references, problems = checked_captions(name, captions)
        yield from problems
        if references:
            yield Sample(
                sample=name,
                split=split,
                source={"world": "plots", "version": self.VERSION, "values": values, "size": size},
                references=references,
                annotations={"series": {"values": values, "points": points}},
                picture=partial(_picture, values, size),
            )


def _first_of_each(repeated: list[str], pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Keep the first value of each name in a JSON object, and add names that come again to ``repeated``."""
    first: dict[str, Any] = {}
    for name, value in pairs:
        if name in first:
            repeated.append(name)
        else:
            first[name] = value
    return first


def _caption(annotation: Any) -> Any:
    """The synthetic half wraps each caption in a list of one."""
    return annotation[0] if isinstance(annotation, list) and len(annotation) == 1 else annotation


def _picture(values: list[float], size: int) -> np.ndarray:
    return draw_series(values, size)[0]
