"""CapsBench (Liu et al. 2024, arXiv 2409.10695): pictures with questions that a caption should answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, asked, bad_record, file_samples, of_kind

COLUMNS = ("image", "questions")


@lru_cache(1)
def images(path: Path) -> pa.ChunkedArray:
    """The column of pictures."""
    return pq.read_table(path, columns=["image"])["image"]


def picture(path: Path, row: int) -> bytes:
    """The picture in a row of a Parquet file, as it was encoded."""
    return images(path)[row].as_py()["bytes"]


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
        if not path.is_file():
            raise FileNotFoundError(f"There is no file of CapsBench at {path}. Correct the path in the study.")
        try:
            schema = pq.read_schema(path)
        except pa.ArrowInvalid as error:
            raise ValueError(f"{path} is not a Parquet file ({error}). Download it again.") from error
        if missing := [name for name in (*COLUMNS, *([captioner] if captioner else [])) if name not in schema.names]:
            raise ValueError(f"{path} is no file of CapsBench: it has no column {missing[0]!r}.")
        rows = pq.read_table(path, columns=[name for name in schema.names if name != "image"]).to_pylist()
        for number, row in enumerate(rows):
            try:
                yield Entry(
                    sample=str(number),
                    split="train",
                    path=path / f"row {number}",
                    captions=[row[captioner]] if captioner else (),
                    annotations={"questions": _questions(row["questions"])},
                    read=partial(picture, path, number),
                )
            except (KeyError, TypeError, ValueError) as error:
                yield bad_record(f"{path.name}: row {number}", error)


def _questions(listed: Any) -> list[dict[str, str]]:
    return [asked(one["question"], one["answer"], one["category"]) for one in of_kind(list, listed, "questions")]
