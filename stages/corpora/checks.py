"""What every corpus of files checks, and how a subset of it is chosen."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import Field, model_validator

from models.adapters.settings import Settings, unknown
from registry.store.keys import digest
from stages.corpora import Problem, Sample
from stages.corpora.pictures import VERSION, Unreadable, fitted, picture_size, read_same
from stages.corpora.watched import inside, shown
from stages.engine.shards import storable

ROUNDING = 1.0
"""Pixels by which a box may leave the picture without a word: annotation tools round."""


class Subset(Settings):
    """Settings of a subset: how many samples a study takes, in which order."""

    limit: int | None = Field(None, ge=1)
    """At most this many good samples; all where absent."""

    seed: int | None = None
    """Absent: in the order of the files. Given: in an order shuffled by it, so that a smaller limit is its head."""


class FileSettings(Subset):
    """Settings that corpora of picture files share."""

    UNWATCHED: ClassVar[tuple[str, ...]] = ()
    """Settings that may lead out of the folder, into files that never change."""

    splits: tuple[str, ...] | None = None
    """Which splits to take; all where absent."""

    max_side: int | None = Field(512, ge=1)
    """Larger pictures are scaled down (Lanczos) to this longer side, boxes with them; null keeps every size."""

    @model_validator(mode="after")
    def _all_watched(self) -> FileSettings:
        folder = getattr(self, "path", Path())
        for name, place in self:
            if name not in (*self.UNWATCHED, "path") and isinstance(place, Path) and not inside(folder / place, folder):
                raise ValueError(
                    f"`{name}` is {folder / place}, outside of {folder}, which alone is watched for changes; move it "
                    "there, or let `path` be a folder that holds both"
                )
        return self


@dataclass(frozen=True)
class Entry:
    """Entry of a corpus' files for one sample, before anything is checked."""

    sample: str
    split: str
    path: Path
    captions: Sequence[Any]
    objects: Sequence[dict[str, Any]] = ()
    """Each with a ``box`` [x, y, width, height] in pixels of the upright picture."""

    size: tuple[int, int] | None = None
    """(width, height) as the annotations declare it."""


Found = TypeVar("Found", bound=Entry | Sample | Problem)


def in_order(found: Iterable[Found], seed: int | None) -> Iterable[Found]:
    """Shuffle by the digest of seed and sample id, problems first; without a seed the order stays."""
    if seed is None:
        return found
    listed = list(found)
    chosen = [each for each in listed if not isinstance(each, Problem)]
    chosen.sort(key=lambda each: hashlib.sha256(f"{seed}:{storable(each.sample)}".encode()).digest())
    return [*(each for each in listed if isinstance(each, Problem)), *chosen]


def of_splits(entries: Iterable[Entry | Problem], splits: tuple[str, ...] | None) -> list[Entry | Problem]:
    """The entries of these splits; raises ValueError, naming those there are, for a split that no entry has."""
    listed = list(entries)
    if splits is None:
        return listed
    known = {entry.split for entry in listed if isinstance(entry, Entry)}
    for split in splits:
        if split not in known:
            raise ValueError(unknown("split", split, known))
    return [entry for entry in listed if isinstance(entry, Problem) or entry.split in splits]


def up_to(limit: int | None, found: Iterable[Sample | Problem]) -> Iterator[Sample | Problem]:
    """The first ``limit`` samples and the problems met on the way; a sample of an id seen before is such a problem."""
    seen: set[str] = set()
    for each in found:
        if isinstance(each, Sample):
            if each.sample in seen:
                yield Problem(each.sample, "duplicate_id", f"The id {each.sample} comes twice; the first is kept.")
                continue
            seen.add(each.sample)
        yield each
        if len(seen) == limit:
            return


def checked_captions(sample: str, captions: Iterable[Any]) -> tuple[tuple[str, ...], list[Problem]]:
    """The captions that can be used, untouched but for characters that cannot be stored, and what is wrong with others.

    >>> kept, problems = checked_captions("a.png", ["A cat.", " "])
    >>> kept, problems[0].message
    (('A cat.',), 'Caption 2 of a.png is empty; it is left out.')
    """
    kept, problems = [], []
    for number, caption in enumerate(captions, 1):
        which = f"Caption {number} of {sample}"
        if not isinstance(caption, str):
            message = f"{which} is not text but {str(caption)[:40]}; it is left out."
            problems.append(Problem(sample, "bad_caption", message))
            continue
        text = storable(caption)
        if text != caption:
            message = f"{which} has NUL or broken Unicode characters, which cannot be stored; they are removed."
            problems.append(Problem(sample, "unstorable_text", message))
        if text.strip():
            kept.append(text)
        else:
            problems.append(Problem(sample, "empty_caption", f"{which} is empty; it is left out."))
    if not kept:
        message = f"{sample} has no caption to compare with; it is left out. Give it at least one."
        problems.append(Problem(sample, "no_caption", message))
    return tuple(kept), problems


def checked_objects(
    sample: str, objects: Iterable[dict[str, Any]], size: tuple[int, int], max_side: int | None
) -> tuple[list[dict[str, Any]], list[Problem]]:
    """Objects with boxes inside the picture of ``size`` (width, height), in pixels of it scaled to ``max_side``.

    >>> checked_objects("a.png", [{"label": "cat", "box": [10, 10, 20, 20]}], (100, 50), 50)
    ([{'label': 'cat', 'box': [5.0, 5.0, 10.0, 10.0]}], [])
    """
    kept, problems = [], []
    width, height = size
    to_width, to_height = (new / old for new, old in zip(fitted(size, max_side), size, strict=True))
    for number, thing in enumerate(objects, 1):
        box = thing["box"]
        which = f"Box {number} of {sample}, {storable(str(box)[:80])},"
        if not _is_box(box):
            message = f"{which} is not [x, y, width, height] with a positive width and height; it is left out."
            problems.append(Problem(sample, "bad_box", message))
            continue
        x, y, w, h = box
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, width), min(y + h, height)
        inside = left < right and top < bottom
        if not inside or max(left - x, top - y, x + w - right, y + h - bottom) > ROUNDING:
            done = "clipped to it" if inside else "left out"
            message = f"{which} reaches outside the picture of {width} x {height} pixels; it is {done}."
            problems.append(Problem(sample, "box_outside", message))
        if inside:
            scaled = (left * to_width, top * to_height, (right - left) * to_width, (bottom - top) * to_height)
            kept.append({**thing, "box": [round(float(edge), 2) for edge in scaled]})
    return kept, problems


def _is_box(box: Any) -> bool:
    return (
        isinstance(box, Sequence)
        and len(box) == 4
        and all(isinstance(edge, int | float) and math.isfinite(edge) for edge in box)
        and box[2] > 0
        and box[3] > 0
    )


def examined(entry: Entry, max_side: int | None, uncaptioned: bool = False) -> Iterator[Sample | Problem]:
    """The sample that an entry gives, if its captions and its file allow one, and everything that is wrong with it.

    ``uncaptioned``: pictures without a caption are samples too.
    """
    sample = storable(entry.sample)
    references, problems = checked_captions(sample, entry.captions)
    yield from (one for one in problems if not (uncaptioned and one.kind == "no_caption"))
    if not references and not uncaptioned:
        return
    try:
        if entry.path.exists() and not entry.path.is_file():  # a pipe would be waited for
            raise OSError("it is no file")
        data = entry.path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        yield Problem(sample, "missing_image", f"There is no picture at {shown(entry.path)}; {sample} is left out.")
        return
    except (OSError, ValueError) as error:
        message = f"{shown(entry.path)} cannot be opened ({error}); {sample} is left out."
        yield Problem(sample, "unreadable_image", message)
        return
    try:
        size = picture_size(data, shown(entry.path))
    except Unreadable as error:
        yield Problem(sample, "unreadable_image", f"{error} Until then {sample} is left out.")
        return
    objects = entry.objects
    if entry.size not in (None, size):
        message = (
            f"{sample} is annotated as {entry.size[0]} x {entry.size[1]} pixels but its file has {size[0]} x {size[1]};"
            " its boxes are left out."
        )
        yield Problem(sample, "size_differs", message)
        objects = ()
    objects, problems = checked_objects(sample, objects, size, max_side)
    yield from problems
    yield Sample(
        sample=sample,
        split=storable(entry.split),
        source={"sha256": digest(data), "version": VERSION, "max_side": max_side},
        references=references,
        annotations={"objects": objects} if objects else {},
        picture=partial(read_same, entry.path, digest(data), max_side),
    )


def bad_record(where: str, error: Exception) -> Problem:
    """The problem of a record that raised ``error`` while it was read.

    >>> bad_record("captions.jsonl:3", KeyError("file")).message
    "captions.jsonl:3 has no 'file'; it is left out."
    """
    reason = f"has no {error}" if isinstance(error, KeyError) else str(error)
    if isinstance(error, AttributeError | TypeError):
        reason = f"is not of the form that it should have ({error})"
    return Problem(storable(where), "bad_record", storable(f"{where} {reason}; it is left out."))


KINDS = {str: "text", list: "a list", dict: "an object"}

Kind = TypeVar("Kind", str, list[Any], dict[str, Any])


def of_kind(kind: type[Kind], value: Any, name: str) -> Kind:
    """The value of a field; raises ValueError, saying what it should be, where it is of another kind.

    >>> of_kind(list, None, "captions")
    Traceback (most recent call last):
    ValueError: has captions that should be a list but is null
    """
    if isinstance(value, kind):
        return value
    raise ValueError(f"has {name} that should be {KINDS[kind]} but is {json.dumps(value, default=str)[:40]}")


def identified(value: Any, name: str) -> str:
    """An id, a text or a number, as text; raises ValueError where there is none."""
    if isinstance(value, str | int) and str(value) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"has {name} that should be text or a number but is {json.dumps(value, default=str)[:40]}")


Examine = Callable[[Entry, int | None], Iterable[Sample | Problem]]


def file_samples(
    entries: Iterable[Entry | Problem], settings: FileSettings, examine: Examine = examined
) -> Iterator[Sample | Problem]:
    """The samples of a corpus of files: the chosen splits, in the chosen order, each examined, up to the limit.

    A corpus whose entries are costly to read lists them by sample, split and path, and reads the rest in ``examine``,
    which is asked for no more entries than the limit needs.
    """
    chosen = in_order(of_splits(entries, settings.splits), settings.seed)
    found = (
        each
        for entry in chosen
        for each in ([entry] if isinstance(entry, Problem) else examine(entry, settings.max_side))
    )
    return up_to(settings.limit, found)
