"""Stage outputs for people and other programs: plain PNG files and one line of JSON an item.

A caption set is exported with its pictures, in the forms that trainers read: a caption as ``.txt`` beside each picture,
one Parquet file, or a WebDataset.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from registry.store.axes import AXES
from registry.store.dag import IMAGE, SENTENCES
from stages.care.captioned import one_line, pack
from stages.engine.pictures import fetch
from stages.engine.sets import COMPOSED, Pair, pairs_of
from stages.engine.shards import DISK, ROWS_A_GROUP, image, pictures

IMAGES = ("image", "mask")
UNSAFE = re.compile(r"[^\w.,=+-]")
LONGEST = 60
"""So many characters of a name stand in that of a file."""

SET = pa.schema(
    [
        *((name, pa.string()) for name in ("corpus", "sample", "key", "caption")),
        ("sentences", SENTENCES),
        ("image", IMAGE),
    ],
    metadata=pictures(["image"]),
)
"""The columns of an exported caption set."""


def export(source: Path, out: Path) -> int:
    """Write a stage's output to a folder or, if it is a caption set, to a file by its suffix; returns the number of
    items, of pairs where it is a file.

    Raises as :func:`export_rows` and :func:`~stages.engine.sets.pairs_of` do, and ``ValueError`` where the form is for
    caption sets alone, or ``out`` is there already.
    """
    composed = source.resolve().is_relative_to(COMPOSED.resolve())
    if out.suffix not in WRITERS:
        count = export_rows(source, out)
        if composed:
            write_sidecars(named(pairs_in(source)), out)
        return count
    if not composed:
        raise ValueError(
            f"{source} is no caption set, of which alone {out.suffix} is made; name a folder in {out}'s place."
        )
    if out.exists():
        raise ValueError(f"{out} is there already; name another file, or remove it first.")
    half, pairs = out.with_name(f".{out.name}.half"), list(pairs_in(source))
    WRITERS[out.suffix](named(pairs), half)
    half.replace(out)
    return len(pairs)


def pairs_in(source: Path) -> Iterator[Pair]:
    """The pairs of the caption set in a folder; raises ``ValueError`` where it holds several sets."""
    name = source.resolve().relative_to(COMPOSED.resolve()).as_posix()
    names = {row["captioner"] for path in DISK.shards(source) for row in DISK.distinct(path, ("captioner",))}
    if names - {name}:
        raise ValueError(f"{source} holds several caption sets; name one, such as {COMPOSED / min(names)}.")
    return pairs_of(name)


Named = Iterable[tuple[str, Pair]]


def named(pairs: Iterable[Pair]) -> Iterator[tuple[str, Pair]]:
    """Pairs, each with what its files are called; no two are called the same."""
    taken = set()
    for pair in pairs:
        name = called({"corpus": pair.corpus, "sample": pair.sample}).replace(".", "_")
        name = f"{name}_{pair.key[:8]}" if name in taken else name
        taken.add(name)
        yield name, pair


def write_parquet(pairs: Named, file: Path) -> None:
    left = iter(pairs)
    with pq.ParquetWriter(file, SET, compression="zstd") as writer:
        while some := list(islice(left, ROWS_A_GROUP)):
            rows = [pair._asdict() | {"image": image(fetch(pair.picture), f"{name}.png")} for name, pair in some]
            writer.write_table(pa.Table.from_pylist(rows, SET))


def write_tar(pairs: Named, file: Path) -> None:
    pack(file, (member for name, pair in pairs for member in members(name, pair)))


def members(name: str, pair: Pair) -> Iterator[tuple[str, bytes]]:
    """The files of a pair in a WebDataset: picture, caption and what it is composed of."""
    yield f"{name}.png", fetch(pair.picture)
    yield f"{name}.txt", pair.caption.encode()
    record = {column: value for column, value in pair._asdict().items() if column != "picture"}
    yield f"{name}.json", json.dumps(record, ensure_ascii=False).encode()


def write_sidecars(pairs: Named, folder: Path) -> None:
    """Write each picture, and beside it its caption in a line."""
    for name, pair in pairs:
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(fetch(pair.picture))
        path.with_suffix(".txt").write_text(one_line(pair.caption) + "\n", encoding="utf-8")


WRITERS: dict[str, Callable[[Named, Path], None]] = {".parquet": write_parquet, ".tar": write_tar}


def export_rows(stage: Path, folder: Path) -> int:
    """Write every item below ``stage`` to ``folder``: pictures as PNG, the rest to ``items.jsonl``; returns how many.

    A picture is named by what it is, corpus, sample and the axes that apply; the line names the file.
    Raises ``FileNotFoundError`` where there is no stage output, ``ValueError`` where ``folder`` holds an export.
    """
    rows = DISK.rows(stage)
    first = next(rows, None)
    if first is None:
        raise FileNotFoundError(f"{stage} holds no stage output; run `palimpsest repro` first, or look into data/.")
    folder.mkdir(parents=True, exist_ok=True)
    lines = folder / "items.jsonl"
    if lines.exists():
        raise ValueError(f"{lines} is there already; name another folder, or remove it first.")
    count = 0
    with lines.open("w", encoding="utf-8") as file:
        for row in (first, *rows):
            for name in IMAGES:
                if row.get(name):
                    path = folder / f"{called(row)}.{name}.png"
                    if path.exists():  # two names may differ only in what no file system takes
                        path = folder / f"{called(row)}.{row['key'][:8]}.{name}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(row[name]["bytes"])
                    row[name] = path.relative_to(folder).as_posix()
            row["parts"], row["value"] = json.loads(row["parts"]), json.loads(row["value"])
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def called(row: Mapping[str, Any]) -> str:
    """What an item's file is called: its corpus' folder, its sample, and the axes that apply, safe everywhere.

    >>> called({"corpus": "cats", "sample": "a/b?.png", "degradation": "blur", "inpainter": "sd/steps=20"})
    'cats/a_b_.png.blur.sd_steps=20'
    """
    names = (row["sample"], *(row[axis] for axis in AXES if row.get(axis)))
    return f"{row['corpus']}/{'.'.join(re.sub(UNSAFE, '_', name)[:LONGEST] for name in names)}"
