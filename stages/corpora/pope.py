"""POPE (Li et al. 2023): yes/no questions about objects in photographs of COCO."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from registry.store.tables import json_lines
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, asked, bad_record, file_samples, of_kind


class Pope:
    """A file of the release: JSON lines with ``image``, ``text`` and ``label``. A sample is a photograph with its
    ``questions``, whose category is how the objects asked about were chosen: random, popular, adversarial. There are no
    captions."""

    SOURCE = Source(
        about="POPE: 3,000 questions about objects in 500 photographs, for each way of choosing the objects",
        where="https://github.com/AoiDragon/POPE (output/coco); photographs: COCO's 2014 Val images",
        licence="MIT; photographs under Flickr's terms of use, each with a licence of its own",
        files=("{questions}", "{images}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder in which the following lie."""

        questions: Path = Path("coco_pope_adversarial.json")
        images: Path = Path("val2014")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings)

    def _entries(self) -> Iterator[Entry | Problem]:
        file = self.settings.questions
        category = file.stem.rpartition("_")[2]
        found: dict[str, list[dict[str, str]]] = defaultdict(list)
        for number, row in json_lines(self.settings.path / file, "file of POPE"):
            try:
                if isinstance(row, str):
                    raise ValueError(row)
                question = asked(row["text"], row["label"], category)
                found[of_kind(str, row["image"], "image")].append(question)
            except (KeyError, ValueError) as error:
                yield bad_record(f"{file.name}:{number}", error)
        for image, questions in found.items():
            path = self.settings.path / self.settings.images / image
            yield Entry(Path(image).stem, category, path, (), annotations={"questions": questions})
