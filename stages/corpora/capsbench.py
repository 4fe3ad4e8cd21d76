"""CapsBench (Liu et al. 2024, arXiv 2409.10695): pictures with questions that a caption should answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, asked, bad_record, file_samples, of_kind
from stages.corpora.released import pictured


class CapsBench:
    """The release's Parquet file. References are the captions of the model that ``references`` names, for people wrote
    none; categories of questions are as the file has them ("artifacts" is what its card calls "image artifacts")."""

    SOURCE = Source(
        about="CapsBench: 200 pictures with 2,471 questions of 17 categories and captions by three models",
        where="https://huggingface.co/datasets/playgroundai/CapsBench (data/train-00000-of-00001.parquet)",
        licence="as its card says; pictures each with a licence of its own",
        files=("{file}",),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder with the file."""

        file: Path = Path("train-00000-of-00001.parquet")
        references: Literal["sonnet", "pg-captioner", "gpt-4o"] | None = None
        """Whose captions are references; none where absent."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings)

    def _entries(self) -> Iterator[Entry | Problem]:
        path, captioner = self.settings.path / self.settings.file, self.settings.references
        columns = ("questions", *([captioner] if captioner else []))
        for number, (row, read) in enumerate(pictured(path, "file of CapsBench", "image", columns)):
            try:
                yield Entry(
                    sample=str(number),
                    split="train",
                    path=path / f"row {number}",
                    captions=[row[captioner]] if captioner else (),
                    annotations={"questions": _questions(row["questions"])},
                    read=read,
                )
            except (KeyError, TypeError, ValueError) as error:
                yield bad_record(f"{path.name}: row {number}", error)


def _questions(listed: Any) -> list[dict[str, str]]:
    return [asked(one["question"], one["answer"], one["category"]) for one in of_kind(list, listed, "questions")]
