"""Indiana University's chest X-rays (Demner-Fushman et al. 2016): radiographs with radiologists' reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from registry.store.tables import csv_rows
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, bad_record, file_samples
from stages.engine.shards import storable


class Indiana:
    """The two tables and the normalised pictures of the Kaggle edition: a sample is one picture.

    Its one reference is the report's Impression, as the paper takes it; pictures of one report share it. ``XXXX`` in a
    text stands for words that were removed to protect patients, and is left in.
    """

    SOURCE = Source(
        about="Indiana University chest X-rays: some 7,500 radiographs with reports, of which the Impression is taken",
        where="https://www.kaggle.com/datasets/raddar/chest-xrays-indiana-university, an edition in PNG and CSV;"
        " original: https://openi.nlm.nih.gov",
        licence="see https://openi.nlm.nih.gov/faq; redistributors name CC BY-NC-ND 4.0",
        files=("indiana_reports.csv", "indiana_projections.csv", "{images}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder with ``indiana_reports.csv`` and ``indiana_projections.csv``."""

        images: Path = Path("images/images_normalized")
        """The folder with the pictures."""

        projection: Literal["Frontal", "Lateral"] | None = "Frontal"
        """Which pictures of a report to take; null takes both kinds."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings)

    def _entries(self) -> Iterator[Entry | Problem]:
        impressions: dict[str, str] = {}
        for where, row in self._rows("indiana_reports.csv"):
            try:
                uid, impression = _fields(row, "uid", "impression")
            except (KeyError, ValueError) as error:
                yield bad_record(where, error)
                continue
            if uid in impressions:
                yield Problem(storable(uid), "duplicate_id", storable(f"{where} is a second report {uid}; not used."))
            impressions.setdefault(uid, impression)
        seen = set()
        for where, row in self._rows("indiana_projections.csv"):
            try:
                uid, file, projection = _fields(row, "uid", "filename", "projection")
            except (KeyError, ValueError) as error:
                yield bad_record(where, error)
                continue
            seen.add(uid)
            if self.settings.projection in (None, projection):
                yield Entry(
                    sample=file.removesuffix(".png").removesuffix(".dcm"),
                    split="all",
                    path=self.settings.path / self.settings.images / file,
                    captions=[impressions[uid]] if uid in impressions else [],
                )
        for uid in impressions:
            if uid not in seen:
                yield Problem(storable(uid), "missing_image", storable(f"Report {uid} has no picture; it is left out."))

    def _rows(self, name: str) -> Iterator[tuple[str, dict[str, Any] | str]]:
        for number, row in csv_rows(self.settings.path / name, "table of the Indiana chest X-rays"):
            yield f"{name}:{number}", row


def _fields(row: dict[str, Any] | str, *names: str) -> list[str]:
    """Read some columns of a row; raises KeyError and ValueError with what is wrong with it."""
    if isinstance(row, str):
        raise ValueError(row)
    return [row[name].strip() for name in names]
