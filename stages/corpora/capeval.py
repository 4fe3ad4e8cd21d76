"""CAPEval (Liu et al. 2026): pictures with a human caption and a checklist of what a caption should say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry.store.tables import json_lines
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, asked, bad_record, file_samples, identified, of_kind

CHECKLIST = "_checklist"


class CapEval:
    """The release's ``data``: the human caption is the reference, and the checklist the ``questions``, all answered by
    yes; a question's category is its tag. Splits are the prefixes of ids: SO scenes and objects, PA people and
    activities, TI text and interfaces, DK design and knowledge."""

    SOURCE = Source(
        about="CAPEval: 300 pictures with a human caption and 14,965 questions of a checklist",
        where="https://github.com/liuzhipenggg/CAPEval (data)",
        licence="Apache-2.0; pictures each with a licence of its own",
        files=("{checklist}", "{captions}", "{images}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder in which the following lie."""

        checklist: Path = Path("checklist.jsonl")
        captions: Path = Path("gt_caption.jsonl")
        images: Path = Path("image")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings)

    def _entries(self) -> Iterator[Entry | Problem]:
        captions: dict[str, list[Any]] = {}
        for where, row in self._rows(self.settings.captions):
            try:
                captions[_row(row)["img_path"]] = [row["gt_caption"]]
            except (KeyError, TypeError, ValueError) as error:
                yield bad_record(where, error)
        for where, row in self._rows(self.settings.checklist):
            try:
                sample, image = identified(_row(row)["id"], "id"), of_kind(str, row["img_path"], "img_path")
                lists = [of_kind(list, some, name) for name, some in row.items() if name.endswith(CHECKLIST)]
                questions = [asked(one["Question"], "yes", one["Tags"]) for some in lists for one in some]
                yield Entry(
                    sample=sample,
                    split=sample.rstrip("0123456789"),
                    path=self.settings.path / self.settings.images / image,
                    captions=captions.get(image, ()),
                    annotations={"questions": questions},
                )
            except (KeyError, TypeError, ValueError) as error:
                yield bad_record(where, error)

    def _rows(self, file: Path) -> Iterator[tuple[str, Any]]:
        for number, row in json_lines(self.settings.path / file, "file of CAPEval"):
            yield f"{file.name}:{number}", row


def _row(row: Any) -> dict[str, Any]:
    if isinstance(row, str):
        raise ValueError(row)
    return row
