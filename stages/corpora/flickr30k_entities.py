"""Flickr30k Entities (Plummer et al. 2017): photographs with five captions, whose phrases are tied to boxes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from registry.store.tables import read_text
from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, examined, file_samples
from stages.corpora.watched import shown
from stages.engine.shards import storable

SPLITS = ("train", "val", "test")
PHRASE = re.compile(r"\[/EN#(\d+)/[^\s\]]+ ([^\]]*)\]")
CORNERS = ("xmin", "ymin", "xmax", "ymax")

Phrases = Mapping[str, Sequence[str]]
"""The phrases of each chain of mentions, in the order of the sentences."""


class Flickr30kEntities:
    """The release as it is unpacked: ``Sentences/*.txt``, ``Annotations/*.xml`` and the three lists of the splits.

    The references are the five sentences without their markup. Sentences that the release itself lists in
    ``UNRELATED_CAPTIONS``, as describing another picture, are left out where that file is there.

    An object is one box: its ``label`` is the first phrase that means it, ``phrases`` are all of them. Chains without a
    box (scenes, things not to be seen) are no objects.
    """

    SOURCE = Source(
        about="Flickr30k Entities: 31,783 photographs with five captions each, whose phrases have boxes",
        where="https://github.com/BryanPlummer/flickr30k_entities (with annotations.zip unpacked);"
        " photographs by the form at http://hockenmaier.cs.illinois.edu/DenotationGraph",
        licence="annotations: none stated; photographs: Flickr's terms of use, not for commercial purposes",
        files=("Sentences", "Annotations", "train.txt", "val.txt", "test.txt", "{images}"),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder in which the following lie."""

        images: Path = Path("flickr30k-images")
        """The folder with the photographs."""

        splits: tuple[Literal["train", "val", "test"], ...] | None = None

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._listed(), self.settings, self._examined)

    def _listed(self) -> Iterator[Entry]:
        """Every photograph of the splits; its sentences and boxes are read once it is its turn."""
        for split in self.settings.splits or SPLITS:
            for image in read_text(self.settings.path / f"{split}.txt", "Flickr30k Entities split").split():
                photograph = self.settings.path / self.settings.images / f"{image}.jpg"
                yield Entry(sample=image, split=split, path=photograph, captions=())

    @cached_property
    def _unrelated(self) -> frozenset[tuple[str, ...]]:
        """The photograph and the number, counted from 1, of each sentence that describes another photograph."""
        path = self.settings.path / "UNRELATED_CAPTIONS"
        lines = read_text(path, "list of unrelated captions").splitlines() if path.is_file() else ()
        return frozenset(tuple(line.split()) for line in lines)

    def _examined(self, entry: Entry, max_side: int | None) -> Iterator[Sample | Problem]:
        path = self.settings.path / "Sentences" / f"{entry.sample}.txt"
        try:
            lines = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
        except (OSError, ValueError) as error:
            message = f"{shown(path)} cannot be read ({error}); {entry.sample} is left out."
            yield Problem(entry.sample, "no_caption", storable(message))
            return
        captions = [
            plain(line) for number, line in enumerate(lines, 1) if (entry.sample, str(number)) not in self._unrelated
        ]
        objects: list[dict[str, Any]] = []
        size: tuple[int, int] | None = None
        path = self.settings.path / "Annotations" / f"{entry.sample}.xml"
        try:
            size, objects = annotated(path.read_bytes(), phrases(lines))
        except (OSError, ElementTree.ParseError, ValueError) as error:
            message = f"{shown(path)} cannot be read ({error}); {entry.sample} is kept without boxes."
            yield Problem(entry.sample, "bad_record", storable(message))
        yield from examined(replace(entry, captions=captions, objects=objects, size=size), max_side)


def plain(sentence: str) -> str:
    """A sentence without its markup, its words separated by single spaces.

    >>> plain("[/EN#1/people Two men] sit on [/EN#0/notvisual it] .")
    'Two men sit on it .'
    """
    return " ".join(PHRASE.sub(r"\2", sentence).split())


def phrases(sentences: Sequence[str]) -> Phrases:
    """The phrases of each chain; those of chain 0, which nobody looked for in the picture, are passed over.

    >>> phrases(["[/EN#1/people/other A man] holds [/EN#2/other a cup] .", "[/EN#1/people He] drinks [/EN#0/other it]"])
    {'1': ['A man', 'He'], '2': ['a cup']}
    """
    found: dict[str, list[str]] = defaultdict(list)
    for sentence in sentences:
        for chain, phrase in PHRASE.findall(sentence):
            phrase = " ".join(phrase.split())
            if chain != "0" and phrase not in found[chain]:
                found[chain].append(phrase)
    return dict(found)


def annotated(xml: bytes, said: Phrases) -> tuple[tuple[int, int], list[dict[str, Any]]]:
    """The size (width, height) and the objects of an annotation file.

    Its corners are those of PASCAL VOC: pixels counted from 1, the last one inside. Raises ParseError and ValueError
    for a file of another form; a box without four whole numbers is kept as it is, for the caller to refuse.
    """
    root = ElementTree.fromstring(xml)
    width, height = (int(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
    objects = []
    for thing in root.iter("object"):
        box = thing.find("bndbox")
        if box is None:
            continue
        means = [phrase for name in thing.iter("name") for phrase in said.get(name.text or "", ())]
        words = [storable(phrase) for phrase in dict.fromkeys(means)]
        corners: list[Any] = [box.findtext(corner) for corner in CORNERS]
        try:
            left, top, right, bottom = map(int, corners)
            corners = [left - 1, top - 1, right - left + 1, bottom - top + 1]
        except (TypeError, ValueError):
            pass
        objects.append({"label": words[0] if words else "", "box": corners, "phrases": words})
    return (width, height), objects
