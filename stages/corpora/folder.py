"""Any folder of pictures, with captions or without: what a user brings on the first day."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from stages.corpora import Problem, Sample, Source, pictures
from stages.corpora.checks import Entry, FileSettings, examined, file_samples, identified
from stages.corpora.released import CAPTION, FILE, PICTURES, Row, beside, rows, tables
from stages.corpora.watched import inside, nowhere, shown
from stages.engine.shards import storable


class Folder:
    """Every picture in a folder, at any depth, with its captions in a table or the lines of a text file of its name;
    without captions where there are none.

    A table is one of those that :mod:`stages.corpora.released` reads: one row per caption, or per picture; the rows of
    one picture add up. A row is a line of CSV under a header, or a JSON object, with

    - ``file`` (or ``file_name``, ``filename``, ``image``, ``path``): the picture, relative to the folder;
    - ``caption`` (or ``captions``, ``text``): a sentence, in JSONL also a list of them;
    - ``id``, if the file's name is not to be the sample's: several samples may share a picture;
    - ``split``, if there are several; "all" where absent;
    - ``box`` and ``label``, if an object is to be annotated: left, top, width and height in pixels of the upright
      picture, separated by spaces in CSV and a list in JSONL, where ``objects``, a list of ``{"label", "box"}``, gives
      several.

    Other names are passed over.
    """

    SOURCE = Source(
        about="pictures of your own, with captions or without",
        where='your own folder: see "Your own pictures" in README.md',
        licence="yours",
        files=("{captions}",),
    )

    VERSION = pictures.VERSION

    class Settings(FileSettings):
        path: Path
        """The folder with the pictures, at any depth."""

        captions: Path | None = None
        """The table in it. Where absent, the first that is there of those that :mod:`stages.corpora.released` reads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def samples(self) -> Iterator[Sample | Problem]:
        return file_samples(self._entries(), self.settings, partial(examined, uncaptioned=True))

    def _entries(self) -> list[Entry | Problem]:
        """The rows joined by id, and the pictures of the folder that no row names."""
        folder = self.settings.path
        if not folder.is_dir():
            raise FileNotFoundError(nowhere(folder, "a corpus"))
        files = sorted(folder.rglob("[!.]*"))
        there = Names(folder, files)
        entries: dict[str, Entry] = {}
        problems: list[Problem] = []
        named: set[Path] = set()
        found = tables(folder, self.settings.captions)
        for row in (row for table in found for row in rows(table, folder)):
            where = storable(row.where)
            try:
                entry = _entry(there, row)
            except ValueError as error:
                problems.append(Problem(where, "bad_record", f"{where} {storable(str(error))}; it is left out."))
                continue
            named.add(entry.path)
            first = entries.setdefault(entry.sample, entry)
            if first is entry:
                continue
            if first.path != entry.path or first.read != entry.read:
                message = f"{where} gives the id {storable(entry.sample)} to a second picture; the first is kept."
                problems.append(Problem(storable(entry.sample), "duplicate_id", message))
                continue
            objects = [*first.objects, *(thing for thing in entry.objects if thing not in first.objects)]
            entries[entry.sample] = replace(first, captions=[*first.captions, *entry.captions], objects=objects)
        for path in files:
            if path.suffix.lower() not in PICTURES or path in named:
                continue
            name, captions = path.relative_to(folder).as_posix(), beside(path)
            entries.setdefault(name, Entry(name, "all", path, captions))
            if found and not captions:
                message = f"{found[0].name} has no usable row for {shown(Path(name))}; it is kept without captions."
                problems.append(Problem(shown(Path(name)), "no_caption", message))
        return [*entries.values(), *problems]

    def files(self) -> dict[str, Path]:
        """The picture of each sample."""
        return {storable(one.sample): one.path for one in self._entries() if isinstance(one, Entry)}


class Names:
    """The files of a folder, found by what a table calls them.

    macOS writes an accent as a character of its own (NFD), most else does not (NFC), and blanks at an end are lost on
    the way: where no file has the very name, the one counts that differs in these alone.
    """

    def __init__(self, folder: Path, files: Sequence[Path]) -> None:
        self.folder = folder
        self.there = set(files)
        self.alike: dict[str, list[Path]] = defaultdict(list)
        self.last: dict[str, list[Path]] = defaultdict(list)
        for file in files:
            self.alike[_plain(file.relative_to(folder).as_posix())].append(file)
            self.last[file.name].append(file)

    def path(self, name: str, anywhere: bool = False) -> Path:
        """The path of a file; raises ValueError where it leads out of the folder.

        ``anywhere``: it may lie at any depth, if only one is called so.
        """
        path = self.folder / name
        if not inside(path, self.folder):
            raise ValueError(f"names a picture outside of {self.folder}, which alone is watched for changes: {name}")
        if path in self.there:
            return path
        alike = self.alike.get(_plain(name), [])
        if not alike and anywhere:
            alike = self.last.get(path.name, [])
        return alike[0] if len(alike) == 1 else self.folder / name.strip()


def _plain(name: str) -> str:
    return "/".join(part.strip() for part in unicodedata.normalize("NFC", name).split("/"))


def _entry(names: Names, found: Row) -> Entry:
    """A row as an entry; raises ValueError with what is missing."""
    row = found.fields
    if isinstance(row, str):
        raise ValueError(row)
    file = _of(row, FILE)
    if not isinstance(file, str) or not file.strip():
        raise ValueError(f"names no picture: one field must be {' or '.join(FILE)}")
    written = (found.base / file.replace("\\", "/")).as_posix() if found.base.parts else file.replace("\\", "/")
    file = PurePosixPath(written.strip())
    captions = _of(row, CAPTION)
    sample = row.get("id")
    objects = row.get("objects") or []
    if row.get("box"):
        objects = [*objects, row]
    if not isinstance(objects, list) or not all(isinstance(thing, dict) for thing in objects):
        raise ValueError('has objects that are not a list of {"label", "box"}')
    return Entry(
        sample=str(file) if sample in (None, "") else identified(sample, "id"),
        split=str(row.get("split") or "all"),
        path=names.folder / written if found.read else names.path(written, found.anywhere),
        captions=captions if isinstance(captions, list) else [] if captions is None else [captions],
        objects=[
            {"label": storable(str(thing.get("label") or "")), "box": _box(thing.get("box"))} for thing in objects
        ],
        read=found.read,
    )


def _of(row: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((row[name] for name in names if name in row), None)


def _box(box: Any) -> Any:
    """A list as it is; a text as the numbers in it, or as it is where they are none."""
    if not isinstance(box, str):
        return box
    try:
        return [float(edge) for edge in re.split(r"[\s,;]+", box.strip("[]() "))]
    except ValueError:
        return box
