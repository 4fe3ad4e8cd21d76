"""Where pictures and references come from, one module per corpus.

A corpus lists what it holds without decoding a picture: each sample carries the ``source`` that its picture depends
on, so that a known one is recalled by key and only the missing ones are read or drawn. What is wrong with one sample
becomes a :class:`Problem`, never the end of the corpus.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from models.adapters.settings import Settings, unknown, validated

CATALOGUE = {
    "scenes": "stages.corpora.generated:Scenes",
    "referring": "stages.corpora.generated:Referring",
    "series": "stages.corpora.generated:Series",
    "radiographs": "stages.corpora.generated:Radiographs",
    "spectrograms": "stages.corpora.generated:Spectrograms",
    "truce": "stages.corpora.truce:Truce",
    "coco": "stages.corpora.coco:Coco",
    "flickr30k-entities": "stages.corpora.flickr30k_entities:Flickr30kEntities",
    "refcocog": "stages.corpora.refcocog:RefCocoG",
    "rocov2": "stages.corpora.rocov2:RocoV2",
    "indiana": "stages.corpora.indiana:Indiana",
    "dci": "stages.corpora.dci:Dci",
    "amber": "stages.corpora.amber:Amber",
    "capeval": "stages.corpora.capeval:CapEval",
    "capsbench": "stages.corpora.capsbench:CapsBench",
    "comprecap": "stages.corpora.comprecap:CompreCap",
    "detailcaps": "stages.corpora.detailcaps:DetailCaps",
    "pope": "stages.corpora.pope:Pope",
    "gtzan": "stages.corpora.gtzan:Gtzan",
    "folder": "stages.corpora.folder:Folder",
}

Kind = Literal[
    "missing_image", "unreadable_image", "unreadable_sound", "empty_caption", "bad_caption", "unstorable_text",
    "no_caption", "duplicate_id", "bad_box", "box_outside", "size_differs", "bad_record",
    "too_long", "bad_dependency",
]  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """A fault of one sample, and what was done about it.

    ==================  ==============================================================================================
    kind                what becomes of the sample
    ==================  ==============================================================================================
    missing_image       dropped
    unreadable_image    dropped; a file that breaks only further in raises ``Unreadable`` from ``Sample.picture``
    unreadable_sound    dropped: the clip cannot be decoded, or is too short for its spectrogram
    empty_caption       kept without that caption
    bad_caption         kept without that caption, which is not text
    unstorable_text     kept; NUL and lone surrogates, which no database takes, are removed from the text
    no_caption          dropped: nothing is left to compare a caption with; the pictures of a ``folder`` are kept
    duplicate_id        the first is kept, the later one dropped
    bad_box             kept without that box
    box_outside         kept; the box is clipped to the picture, or dropped where nothing of it is inside
    size_differs        kept without its boxes, which belong to a picture of another size
    bad_record          a line or record that cannot be understood is passed over
    bad_dependency      of a prompt: the question is kept without it
    too_long            an id or a split has more characters than the registry holds; the sample is left out
    ==================  ==============================================================================================
    """

    sample: str
    kind: Kind
    message: str


@dataclass(frozen=True)
class Sample:
    """One picture with its references; the picture itself is read or drawn by ``picture()``, and only then."""

    sample: str
    """Unique within its corpus."""

    split: str

    source: dict[str, Any]
    """All that the picture depends on, JSON-able: equal sources give equal pictures."""

    references: tuple[str, ...]
    """As written by people or by the world's grammar; those of a ``folder``, or with questions, may have none."""

    annotations: dict[str, Any]
    """``objects`` (boxes [x, y, width, height] in pixels of the picture), ``relations``, ``background``, ``series``;
    ``questions``, each with its ``answer`` (yes or no) and ``category``; AMBER's ``truth`` and ``hallu``; CompreCap's
    ``graph``."""

    picture: Callable[[], np.ndarray] = field(repr=False, compare=False)
    """The picture (H, W, 3) uint8, RGB; raises :class:`stages.corpora.pictures.Unreadable` where the file is broken."""


@dataclass(frozen=True)
class Source:
    """Origin of a corpus, as ``palimpsest corpora`` shows it."""

    about: str
    where: str
    licence: str

    files: tuple[str, ...] = ()
    """What must lie in the corpus's ``path``, as names or patterns in which ``{images}`` is the setting ``images``;
    none for a generated corpus."""


class Corpus(Protocol):
    """Samples of one source; its class is made with its settings."""

    @property
    def SOURCE(self) -> Source: ...

    @property
    def VERSION(self) -> int:
        """Raised when the same file, series or seed gives another picture; part of every source."""

    @property
    def Settings(self) -> type[Settings]:
        """Settings that ``params.yaml`` can give it."""

    settings: Any
    """Those that it was made with, of its class ``Settings``."""

    def samples(self) -> Iterator[Sample | Problem]:
        """Samples in an order that depends on the settings and files alone, problems where they were met.

        Raises FileNotFoundError or ValueError only where there is no corpus to read: a path that does not exist, a file
        in another format, a split that nobody has.
        """


def open_corpus(name: object, options: Mapping[str, Any] | None = None) -> Corpus:
    """The corpus of the catalogue's ``name`` with the settings that ``params.yaml`` gives it.

    >>> next(open_corpus("scenes", {"count": 1}).samples()).sample
    'seed-0/0'
    >>> open_corpus("scene")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: There is no corpus "scene"; did you mean "scenes"? Known: amber, ...

    Raises ValueError for an unknown name and for settings that the corpus does not take.
    """
    corpus = corpus_class(name)
    return corpus(validated(f"corpus {name}", corpus.Settings, options or {}))


def corpus_of(entry: Mapping[str, Any]) -> Corpus:
    """The corpus of an entry of params.yaml; ``adapter`` names it, and ``region`` is for ``degrade`` to read."""
    return open_corpus(entry.get("adapter"), {key: entry[key] for key in entry.keys() - {"adapter", "region"}})


def corpus_class(name: object) -> type[Any]:
    """The class of the catalogue's ``name``; raises ValueError for an unknown one."""
    if not isinstance(name, str) or name not in CATALOGUE:
        raise ValueError(unknown("corpus", name, CATALOGUE))
    module, _, attribute = CATALOGUE[name].partition(":")
    return getattr(importlib.import_module(module), attribute)
