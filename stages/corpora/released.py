"""Rows of the forms in which pictures with captions are passed on, each as a table of captions has them.

=====================================  ===========================================================================
form                                   what it is
=====================================  ===========================================================================
``captions.csv``, ``.tsv``, ``.jsonl``  a line a caption; in ``metadata.csv`` and ``.jsonl``, which Hugging Face's
                                       imagefolder has beside each split's pictures, names are of that folder
``captions*.json``, ``dataset*.json``  COCO's annotations, Karpathy's splits, or a list of objects as in JSONL
``*.token``, ``*.token.txt``           Flickr's: ``picture.jpg#0``, a tab, the caption
``*.parquet``                          pictures as bytes (``{bytes, path}``, as ``datasets`` writes them) or as paths
``*.tar``                              WebDataset: ``KEY.jpg`` with ``KEY.txt`` or ``KEY.json``
=====================================  ===========================================================================
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from registry.store.tables import csv_rows, json_lines, read_json, read_text

TABLES = ("captions.jsonl", "captions.csv", "metadata.jsonl", "metadata.csv")
FORMS: tuple[str, ...] = (
    "*/**/metadata.jsonl", "*/**/metadata.csv", "captions*.json", "annotations/captions*.json", "dataset*.json",
    "*.token", "*.token.txt", "**/*.parquet", "**/*.tar",
)  # fmt: skip
"""Looked for in this order, where the folder has none of ``TABLES``; all files of the first form count."""

FILE = ("file", "file_name", "filename", "image", "path")
CAPTION = ("caption", "captions", "text")
PICTURES = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}
SPLIT = re.compile(r"(?<![a-z])(train|validation|val|test|dev)(?![a-z])")
WHAT = "table of captions"


class Row(NamedTuple):
    """One row: where it stands, and its fields or the reason why it has none."""

    where: str
    fields: dict[str, Any] | str
    base: Path = Path()
    """The folder below the corpus' own to which its names of files belong."""
    read: Callable[[], bytes] | None = None
    """What gives the picture's bytes, where it is no file of its own."""
    anywhere: bool = False
    """Whether the picture may lie at any depth, because the form names none."""


def tables(folder: Path, captions: Path | None) -> list[Path]:
    """The files that hold a folder's captions; none where it has pictures alone.

    >>> tables(Path("nowhere"), None)
    []
    """
    if captions is not None:
        return [folder / captions]
    for name in TABLES:
        if (folder / name).is_file():
            return [folder / name]
    for form in FORMS:
        if found := sorted(path for path in folder.glob(form) if path.is_file()):
            return found
    return []


def rows(table: Path, folder: Path) -> Iterator[Row]:
    """The rows of one file.

    Raises FileNotFoundError where it is missing, and ValueError for one of another form.
    """
    suffix = ".token" if table.name.endswith(".token.txt") else table.suffix
    if suffix not in READERS:
        raise ValueError(f"{table} is neither {', '.join(list(READERS)[:-1])} nor {list(READERS)[-1]}. Convert it.")
    if not table.is_file():
        raise FileNotFoundError(f"There is no {WHAT} at {table}. Correct the path in the study.")
    yield from READERS[suffix](table, folder)


def _lines(table: Path, folder: Path) -> Iterator[Row]:
    numbered = json_lines(table, WHAT) if table.suffix == ".jsonl" else _csv(table)
    base = table.parent.relative_to(folder) if table.name.startswith("metadata.") else Path()
    split = {"split": base.parts[0]} if base.parts else {}
    for number, row in numbered:
        fields = row if isinstance(row, str) else split | row
        yield Row(f"{table.name}:{number}", fields, base)


def _csv(table: Path) -> list[tuple[int, dict[str, Any] | str]]:
    found = csv_rows(table, WHAT)
    for _, row in found:
        if isinstance(row, dict) and not (any(name in row for name in FILE) and any(name in row for name in CAPTION)):
            raise ValueError(
                f"{table} has the columns {', '.join(row)}."
                f" One must be {' or '.join(FILE)} and one {' or '.join(CAPTION)}."
            )
    return found


def _json(table: Path, folder: Path) -> Iterator[Row]:
    content = read_json(table, WHAT)
    images = content.get("images") if isinstance(content, dict) else content
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise ValueError(
            f"{table} is no table of captions: expected COCO's annotations, Karpathy's splits or a list of objects."
        )
    said: dict[Any, list[Any]] = {}
    for one in (content.get("annotations") or []) if isinstance(content, dict) else []:
        if "caption" in one:
            said.setdefault(one.get("image_id"), []).append(one["caption"])
    split = {"split": found[1]} if (found := SPLIT.search(re.sub(r"\d", "", table.stem.lower()))) else {}
    for number, image in enumerate(images, 1):
        sentences = image.get("sentences")
        if isinstance(sentences, list):  # Karpathy
            texts = [one.get("raw") if isinstance(one, dict) else one for one in sentences]
            name = PurePosixPath(str(image.get("filepath") or ""), str(image.get("filename") or ""))
            yield Row(
                f"{table.name}: image {number}",
                {"file": str(name), "captions": texts, "split": image.get("split")},
                anywhere=True,
            )
        elif isinstance(content, dict):
            captions = {"captions": said.get(image.get("id"), [])}
            yield Row(
                f"{table.name}: image {number}", split | {"file": image.get("file_name")} | captions, anywhere=True
            )
        else:
            yield Row(f"{table.name}: entry {number}", image)


def _token(table: Path, folder: Path) -> Iterator[Row]:
    for number, line in enumerate(read_text(table, WHAT).splitlines(), 1):
        if line.strip():
            name, tab, caption = line.partition("\t")
            fields = {"file": name.rpartition("#")[0] or name, "caption": caption}
            where = f"{table.name}:{number}"
            yield Row(where, fields if tab else "has no tab between picture and caption", anywhere=True)


@dataclass(frozen=True)
class Cell:
    """A picture in a Parquet file; its row group is read once for all pictures in it."""

    file: Path
    column: str
    group: int
    row: int

    def __call__(self) -> bytes:
        value = _group(self.file, self.column, self.group)[self.row]
        return value["bytes"] if isinstance(value, Mapping) else value


@lru_cache(maxsize=1)
def _group(file: Path, column: str, group: int) -> list[Any]:
    import pyarrow.parquet as pq

    return pq.ParquetFile(file).read_row_group(group, columns=[column])[column].to_pylist()


def pictured(table: Path, what: str, picture: str, columns: Sequence[str]) -> Iterator[tuple[dict[str, Any], Cell]]:
    """The rows of a corpus' Parquet file: these columns, and what reads the column ``picture``.

    Raises FileNotFoundError where there is no such file, and ValueError where it is another one.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not table.is_file():
        raise FileNotFoundError(f"There is no {what} at {table}. Correct the path in the study.")
    try:
        file = pq.ParquetFile(table)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{table} is not a Parquet file ({error}). Download it again.") from error
    if missing := [name for name in (picture, *columns) if name not in file.schema_arrow.names]:
        raise ValueError(f"{table} is no {what}: it has no column {missing[0]!r}.")
    for group in range(file.num_row_groups):
        for number, row in enumerate(file.read_row_group(group, columns=list(columns)).to_pylist()):
            yield row, Cell(table, picture, group, number)


def _parquet(table: Path, folder: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(table)
    except pa.ArrowException as error:
        raise ValueError(f"{table} is no Parquet file ({error}). Download it again.") from error
    schema = file.schema_arrow
    pictures, captions = (next((one for one in names if one in schema.names), None) for names in (FILE, CAPTION))
    if pictures is None:
        raise ValueError(f"{table} has the columns {', '.join(schema.names)}. One must be {' or '.join(FILE)}.")
    inside, where = pa.types.is_struct(schema.field(pictures).type), table.relative_to(folder).as_posix()
    held = inside or pa.types.is_binary(schema.field(pictures).type)
    wanted = [f"{pictures}.path"] if inside else [] if held else [pictures]
    others = [name for name in schema.names if name in (captions, "id", "split", "box", "label", "objects")]
    found = SPLIT.search(table.name.lower()) or SPLIT.search(where.lower())
    split = {"split": found[1]} if found else {}
    for group in range(file.num_row_groups):
        read = file.read_row_group(group, columns=[*wanted, *others]).to_pylist()
        if not wanted and not others:
            read = [{}] * file.metadata.row_group(group).num_rows
        for number, fields in enumerate(read):
            name = fields.get(pictures)
            name = name.get("path") if isinstance(name, dict) else name
            unnamed = f"{where}#{group}.{number}"
            kept = {key: value for key, value in fields.items() if key not in FILE and value is not None}
            row = split | kept | {"file": name or unnamed}
            yield Row(
                f"{where}: row {number} of group {group}",
                row,
                read=Cell(table, pictures, group, number) if held else None,
            )


@dataclass(frozen=True)
class Slice:
    """A picture in an archive that is not compressed."""

    file: Path
    offset: int
    size: int

    def __call__(self) -> bytes:
        with self.file.open("rb") as archive:
            archive.seek(self.offset)
            return archive.read(self.size)


def _tar(table: Path, folder: Path) -> Iterator[Row]:
    found = SPLIT.search(table.relative_to(folder).as_posix().lower())
    split = {"split": found[1]} if found else {}
    pictures: dict[str, tuple[str, Slice]] = {}
    texts: dict[str, dict[str, Any]] = {}
    try:
        with tarfile.open(table, "r:") as archive:
            for member in archive:
                if not member.isfile():
                    continue
                key, _, ending = member.name.partition(".") if "/" not in member.name else _stem(member.name)
                if f".{ending}" in PICTURES:
                    pictures[key] = member.name, Slice(table, member.offset_data, member.size)
                elif ending in ("txt", "json"):
                    content = archive.extractfile(member)
                    text = content.read().decode("utf-8", "replace") if content else ""
                    texts.setdefault(key, {}).update({"caption": text} if ending == "txt" else _object(text))
    except tarfile.TarError as error:
        raise ValueError(f"{table} is no tar archive ({error}); WebDataset's are not compressed.") from error
    for key, (name, read) in pictures.items():
        known = {field: value for field, value in texts.get(key, {}).items() if field not in FILE}
        yield Row(f"{table.name}: {key}", split | known | {"file": f"{table.stem}/{name}"}, read=read)


def _stem(name: str) -> tuple[str, str, str]:
    """Key and ending of a file in an archive: the key ends at the first dot of the last part."""
    folder, _, last = name.rpartition("/")
    key, dot, ending = last.partition(".")
    return f"{folder}/{key}", dot, ending.lower()


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def beside(picture: Path) -> list[str]:
    """The lines of the text file of a picture's name: a caption each; none where there is no such file."""
    text = picture.with_suffix(".txt")
    return [line for line in read_text(text, WHAT).splitlines() if line.strip()] if text.is_file() else []


READERS: Mapping[str, Callable[[Path, Path], Iterator[Row]]] = {
    ".jsonl": _lines, ".csv": _lines, ".tsv": _lines, ".json": _json, ".token": _token, ".parquet": _parquet,
    ".tar": _tar,
}  # fmt: skip
