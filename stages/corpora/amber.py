"""AMBER (Wang et al. 2023): pictures with what they show, what people would expect there in vain, and questions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry.store.tables import read_json
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, asked, bad_record, file_samples, identified, of_kind


class Amber:
    """The release's ``data`` and its pictures. Annotations are the lists ``truth`` and ``hallu`` of a picture and, with
    ``discriminative``, its ``questions``, by the release's names for their kinds. There are no captions."""

    SOURCE = Source(
        about="AMBER: 1,004 pictures with their objects, what models make up of them, and 14,216 questions",
        where="https://github.com/junyangwang0410/AMBER (data; the pictures: AMBER.zip, into `image`)",
        licence="Apache-2.0; pictures from MS COCO and Unsplash, each with a licence of its own",
        files=("{annotations}", "{generative}", "{discriminative}", "{images}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder in which the following lie."""

        annotations: Path = Path("annotations.json")
        generative: Path = Path("query/query_generative.json")
        """Which pictures are to be described."""

        discriminative: Path | None = None
        """``query/query_discriminative.json``, the questions; none where absent."""

        images: Path = Path("image")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings)

    def _entries(self) -> Iterator[Entry | Problem]:
        said, problems = self.settings, list[Problem]()
        known = {one.get("id"): one for one in records(said.path / said.annotations)}
        questions: dict[str, list[dict[str, str]]] = defaultdict(list)
        for query in records(said.path / said.discriminative) if said.discriminative else ():
            try:
                about = known[query["id"]]
                question = asked(query["query"], about["truth"], about["type"])
                questions[of_kind(str, query["image"], "image")].append(question)
            except (KeyError, ValueError) as error:
                problems.append(bad_record(f"{said.discriminative}: query {query.get('id')}", error))
        yield from problems
        for query in records(said.path / said.generative):
            try:
                image, about = of_kind(str, query["image"], "image"), known[query["id"]]
                lists = {name: of_kind(list, about[name], name) for name in ("truth", "hallu")}
                more = {"questions": questions[image]} if image in questions else {}
                yield Entry(
                    sample=identified(query["id"], "id"),
                    split="generative",
                    path=said.path / said.images / image,
                    captions=(),
                    annotations={**lists, **more},
                )
            except (KeyError, ValueError) as error:
                yield bad_record(f"{said.generative}: query {query.get('id')}", error)


def records(path: Path) -> list[dict[str, Any]]:
    """The records of one of AMBER's files; raises ValueError where it holds anything else."""
    listed = read_json(path, "file of AMBER")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        raise ValueError(f"{path} is no file of AMBER: expected a list of objects.")
    return listed
