"""COCO captions (Lin et al. 2014, Chen et al. 2015): photographs with several captions and annotated boxes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from registry.store.tables import json_lines, read_json
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, bad_record, file_samples, identified, of_kind
from stages.engine.shards import storable


class Coco:
    """The official JSON pair, or one line a photograph in a ``captions.jsonl``."""

    SOURCE = Source(
        about="COCO captions: photographs with five captions each and boxes of 80 kinds of object",
        where="https://cocodataset.org/#download (2017 Val images, 2017 Train/Val annotations; set "
        "captions: annotations/captions_val2017.json in the entry)",
        licence="annotations CC BY 4.0; photographs under Flickr's terms of use, each with a licence of its own",
        files=("{captions}", "{instances}", "{images}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder in which the following lie."""

        captions: Path = Path("captions.jsonl")
        """The official ``annotations/captions_val2017.json``, or a JSONL file of objects with ``image_id``, ``file``,
        ``captions`` and, as they apply, ``split``, ``width``, ``height`` and ``objects`` (``category``, ``bbox``,
        ``iscrowd``)."""

        instances: Path | None = None
        """``annotations/instances_val2017.json``, from which the official captions get boxes; none where absent."""

        images: Path | None = None
        """The folder with the photographs. Where absent: ``images`` for JSONL; for ``captions_val2017.json`` what it
        is named after, ``val2017``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        entries = self._lines() if self.settings.captions.suffix == ".jsonl" else self._official()
        return file_samples(entries, self.settings)

    def _lines(self) -> Iterator[Entry | Problem]:
        path = self.settings.path / self.settings.captions
        images = self.settings.path / (self.settings.images or "images")
        for number, row in json_lines(path, "COCO captions file"):
            where = f"{path.name}:{number}"
            try:
                if isinstance(row, str):
                    raise ValueError(row)
                sample, file, captions = row["image_id"], row["file"], row["captions"]
                yield Entry(
                    sample=identified(sample, "image_id"),
                    split=str(row.get("split") or "all"),
                    path=images / of_kind(str, file, "file"),
                    captions=[captions] if isinstance(captions, str) else of_kind(list, captions, "captions"),
                    objects=[
                        annotated_object(thing, thing["category"])
                        for thing in of_kind(list, row.get("objects") or [], "objects")
                    ],
                    size=declared_size(row),
                )
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                yield bad_record(where, error)

    def _official(self) -> Iterator[Entry | Problem]:
        path = self.settings.path / self.settings.captions
        listed = official_file(path, ("images", "annotations"))
        named = re.fullmatch(r"captions_(.+)", path.stem)
        split = named[1] if named else "all"
        images = self.settings.path / (self.settings.images or split)
        captions: dict[str, list[Any]] = defaultdict(list)
        for annotation in listed["annotations"]:
            captions[str(annotation.get("image_id"))].append(annotation.get("caption"))
        objects, problems = self._instances()
        yield from problems
        for number, image in enumerate(listed["images"], 1):
            try:
                yield Entry(
                    sample=identified(image["id"], "id"),
                    split=split,
                    path=images / of_kind(str, image["file_name"], "file_name"),
                    captions=captions[str(image["id"])],
                    objects=objects[str(image["id"])],
                    size=declared_size(image),
                )
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                yield bad_record(f"{path.name}: image {number}", error)
        for image_id in sorted(captions.keys() - {str(image.get("id")) for image in listed["images"]}):
            message = f"{path.name} has captions of image {image_id}, which it does not list; they are left out."
            yield Problem(image_id, "missing_image", message)

    def _instances(self) -> tuple[dict[str, list[dict[str, Any]]], list[Problem]]:
        """The objects of each image id, with what is wrong with the others."""
        objects: dict[str, list[dict[str, Any]]] = defaultdict(list)
        problems: list[Problem] = []
        if self.settings.instances is None:
            return objects, problems
        path = self.settings.path / self.settings.instances
        listed = official_file(path, ("annotations", "categories"))
        labels = {category.get("id"): category.get("name") for category in listed["categories"]}
        for number, thing in enumerate(listed["annotations"], 1):
            try:
                objects[str(thing["image_id"])].append(annotated_object(thing, labels[thing["category_id"]]))
            except (AttributeError, KeyError, TypeError) as error:
                problems.append(bad_record(f"{path.name}: annotation {number}", error))
        return objects, problems


def annotated_object(thing: dict[str, Any], label: Any) -> dict[str, Any]:
    """An annotation of COCO as an object of ours."""
    crowd = {"crowd": True} if thing.get("iscrowd") else {}
    return {"label": storable(str(label)), "box": thing["bbox"], **crowd}


def declared_size(record: dict[str, Any]) -> tuple[int, int] | None:
    """(width, height) of a record that has both; null is neither."""
    width, height = record.get("width"), record.get("height")
    return None if width is None or height is None else (width, height)


def official_file(path: Path, parts: tuple[str, ...]) -> dict[str, list[dict[str, Any]]]:
    """An annotation file in COCO's format with these lists of records; raises ValueError for another."""
    listed = read_json(path, "COCO annotation file")
    lists = [listed.get(part) for part in parts] if isinstance(listed, dict) else [None]
    if not all(isinstance(records, list) and all(isinstance(each, dict) for each in records) for records in lists):
        raise ValueError(f"{path} is no official COCO file: expected lists of objects named {' and '.join(parts)}.")
    return listed
