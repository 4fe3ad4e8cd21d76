"""ROCOv2 (Rückert et al. 2024): radiological images from open-access papers with their captions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from registry.store.tables import csv_rows
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, bad_record, file_samples

SPLITS = ("train", "valid", "test")


class RocoV2:
    """The captions files of the Zenodo record and the folders of its archives; a split without its file is passed over.

    The images are looked for in ``train``, ``train_images/train`` and ``train_images``, whichever folder is there
    first: people unpack archives in each of these ways.
    """

    SOURCE = Source(
        about="ROCOv2: 79,789 radiological images with one caption each, from papers in PubMed Central",
        where="https://doi.org/10.5281/zenodo.10821435 (the captions files and the archives of images)",
        licence="per image, in the record's license_information.csv; redistributors name CC BY and CC BY-NC-SA 4.0",
        files=("*_captions.csv", "**/*.jpg", "{splits}_captions.csv", "{splits}*/**/*.jpg"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder with ``train_captions.csv`` and so on."""

        splits: tuple[Literal["train", "valid", "test"], ...] | None = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings)

    def _entries(self) -> Iterator[Entry | Problem]:
        tables = {split: self.settings.path / f"{split}_captions.csv" for split in self.settings.splits or SPLITS}
        if self.settings.splits is None:
            tables = {split: table for split, table in tables.items() if table.is_file()}
        if not tables:
            raise FileNotFoundError(
                f"There is no train_captions.csv, valid_captions.csv or test_captions.csv in {self.settings.path}."
                " Correct the path in the study."
            )
        for split, table in tables.items():
            images = self._images(split)
            for number, row in csv_rows(table, "ROCOv2 captions file"):
                try:
                    if isinstance(row, str):
                        raise ValueError(row)
                    if not row["id"].strip():
                        raise ValueError("has an empty ID")
                    name = row["id"].strip()
                    yield Entry(name, split, images / f"{name}.jpg", captions=[row["caption"].strip()])
                except (KeyError, ValueError) as error:
                    yield bad_record(f"{table.name}:{number}", error)

    def _images(self, split: str) -> Path:
        folders = [self.settings.path / name for name in (split, f"{split}_images/{split}", f"{split}_images")]
        return next((folder for folder in folders if folder.is_dir()), folders[0])
