"""DetailCaps-4870 (Dong et al. 2024, arXiv 2405.19092): pictures with long captions by three models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, bad_record, file_samples, of_kind
from stages.corpora.released import pictured

Writer = Literal["gpt-4o", "gpt-4v", "gemini-1.5-pro"]

COLUMNS: dict[Writer, str] = {
    "gpt-4o": "GT_Caption_GPT4O",
    "gpt-4v": "GT_Caption_GPT4V",
    "gemini-1.5-pro": "GT_Caption_Gemini15Pro",
}
"""Whose captions are in which column; lmms-eval's task ``detailcaps`` takes all three for references."""


class DetailCaps:
    """The release's Parquet file, with pictures as bytes in ``binary``; no caption was written by people. Splits are
    where pictures are from, as the file has it: COCO, LAION, CC, SBU, SAM, Coyo, Flickr by its card."""

    SOURCE = Source(
        about="DetailCaps-4870: 4,870 pictures with long captions by GPT-4o, GPT-4V and Gemini 1.5 Pro",
        where="https://huggingface.co/datasets/foundation-multimodal-models/DetailCaps-4870 (DetailCaps-4870.parquet)",
        licence="CC BY-NC-SA 4.0; pictures each with a licence of its own",
        files=("{file}",),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder with the file."""

        file: Path = Path("DetailCaps-4870.parquet")
        references: tuple[Writer, ...] = tuple(COLUMNS)
        """Whose captions are references."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings)

    def _entries(self) -> Iterator[Entry | Problem]:
        path = self.settings.path / self.settings.file
        captions = [COLUMNS[writer] for writer in self.settings.references]
        for number, (row, read) in enumerate(pictured(path, "file of DetailCaps", "binary", ("source", *captions))):
            try:
                yield Entry(
                    sample=str(number),
                    split=of_kind(str, row["source"], "source"),
                    path=path / f"row {number}",
                    captions=[row[column] for column in captions if row[column] is not None],
                    read=read,
                )
            except ValueError as error:
                yield bad_record(f"{path.name}: row {number}", error)
