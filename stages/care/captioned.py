"""Records of what became of the captions of a folder, and the files in which they are passed on.

====================  ================================================================================================
field                 meaning
====================  ================================================================================================
``file_name``         the picture, relative to the folder
``id``                the sample, where a table of the folder calls it otherwise
``caption``           the new caption; the first one where there is no new one; None where there is none at all
``first``             the caption that was rewritten: the folder's, or the one that a captioner wrote first
``references``        the captions that the folder had
``method``            what rewrote it
``key``               of the item: `palimpsest trace` says how it came about
``picture``           the sha256 of the picture as the models saw it, as PNG
``models``            by role, what makes each model the one it is: checkpoint or digest, revision, settings
``prompts``           the sha256 of the method's settings with all its prompts
``flags``             ``cut``: a reply ended at the limit of tokens; ``empty``: one was empty; ``repeats``: one, or the
                      caption, says a sentence three times or more
``failures``          what models did not answer, or not so that it could be read: ``role`` and ``reason``
``reason``            why there is no new caption; None where there is one, or where none was wanted
====================  ================================================================================================
"""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from models.recaptioners.sentences import sentences
from registry.store.items import OK
from registry.store.keys import canonical, digest
from stages.corpora.watched import inside
from stages.engine.pictures import Picture, fetch

Existing = Literal["skip", "overwrite", "append", "prepend"]
Record = Mapping[str, Any]

REPEATS = 3
"""So often a sentence is said where a model has begun to repeat itself."""

FIELDS = pa.schema(
    [
        *((name, pa.string()) for name in ("file_name", "id", "caption", "first")),
        ("references", pa.list_(pa.string())),
        *((name, pa.string()) for name in ("method", "key", "picture", "models", "prompts")),
        ("flags", pa.list_(pa.string())),
        ("failures", pa.list_(pa.struct([("role", pa.string()), ("reason", pa.string())]))),
        ("reason", pa.string()),
    ]
)
"""The columns of a Parquet file; ``models`` is JSON."""


def kept(sample: str, name: str, references: Sequence[str], method: str, reason: str | None = None) -> dict[str, Any]:
    """The record of a picture that keeps its caption, if it has one."""
    first = next(iter(references), None)
    record = dict.fromkeys(FIELDS.names) | {"file_name": name, "id": sample, "caption": first, "first": first}
    record |= {"references": list(references), "method": method, "models": {}, "flags": [], "failures": []}
    if sample == name:
        del record["id"]
    return record | {"reason": reason}


def of_row(
    row: Mapping[str, Any], name: str, references: Sequence[str], replies: Mapping[str, Record], existing: Existing
) -> dict[str, Any]:
    """The record of an item of ``recaption``; ``replies`` are what models said, by key."""
    value, parts = json.loads(row["value"]), json.loads(row["parts"])
    new = value.get("caption") if row["status"] == OK else None
    said = [replies[key]["text"] for key in value.get("requests", ()) if "text" in replies.get(key, {})]
    ends = [replies[key]["finish"] for key in value.get("requests", ()) if "finish" in replies.get(key, {})]
    found = {
        "cut": "length" in ends,
        "empty": any(not text.strip() for text in said),
        "repeats": any(map(repeats, [*said, new or ""])),
    }
    method = parts["method"]
    record = kept(row["sample"], name, references, method["adapter"], row["reason"]) | {
        "key": row["key"],
        "picture": parts["picture"],
        "models": {role: one["model"] for role, one in method["players"].items()},
        "prompts": digest(canonical({key: one for key, one in method.items() if key != "players"}).encode()),
        "flags": [flag for flag, is_so in found.items() if is_so],
        "failures": [{"role": one["role"], "reason": one["reason"]} for one in value.get("failures", ())],
    }
    if new is None:
        return record
    old = record["first"] or ""
    caption = old if new == old else merged(new, old, existing)
    return record | {"caption": caption, "first": value.get("first", old)}


def sample_of(record: Record) -> str:
    """The sample that a record is about."""
    return record.get("id", record["file_name"])


def repeats(text: str) -> bool:
    """Whether a text says a sentence three times or more, in whatever case and with whatever end.

    >>> repeats("A star. a star! A star"), repeats("A star. A disc. A star.")
    (True, False)
    """
    counted = Counter(one.strip(" .!?…\"'”’").lower() for one in sentences(text))
    return max(counted.values(), default=0) >= REPEATS


def merged(new: str, old: str, existing: Existing) -> str:
    """The caption to be written where there was one.

    >>> merged("A red star.", "star", "append"), merged("A red star.", "star", "prepend")
    ('star A red star.', 'A red star. star')
    """
    if existing == "append":
        return f"{old} {new}".strip()
    return f"{new} {old}".strip() if existing == "prepend" else new


def one_line(text: str) -> str:
    """A caption as a line of a sidecar has it."""
    return " ".join(text.split())


def failed(record: Record) -> bool:
    """Whether there is something to be told: no new caption, or the first one, because of models that failed."""
    return bool(record["reason"]) or bool(record["failures"] and record["caption"] == record["first"])


def check_out(out: Path, folder: Path, names: Sequence[str], sidecars: bool) -> None:
    """Refuse what could not be written, before anything is asked; ``names`` are those of the pictures in the folder.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence.
    """
    if out.suffix not in WRITERS:
        raise ValueError(f"{out} ends in none of {', '.join(WRITERS)}.")
    if out.suffix != ".jsonl" and inside(out, folder):
        raise ValueError(f"{out} lies among the pictures, and would be taken for more of them; write it elsewhere.")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"There is no folder {out.parent} to write {out.name} to.")
    if foreign(out) and before(out).exists():
        raise FileExistsError(f"{out} is not ours, and {before(out).name} is there already; move one of them away.")
    for wanted, shared in ((sidecars, stem), (out.suffix == ".tar", key_of)):
        taken: dict[str, str] = {}
        for name in names if wanted else ():
            if shared(name) in taken:
                raise ValueError(f"The captions of {taken[shared(name)]} and {name} would share a file; rename one.")
            taken[shared(name)] = name
    if sidecars and (packed := next((name for name in names if not (folder / name).is_file()), None)):
        raise ValueError(f"{packed} is no file of its own, so no text can lie beside it; leave out --sidecars.")


def foreign(out: Path) -> bool:
    """Whether there is a table that we have not written, which may hold more than we know of."""
    if out.suffix != ".jsonl" or not out.is_file():
        return False
    with out.open(encoding="utf-8", errors="replace") as file:
        try:
            record = json.loads(file.readline() or "{}")
        except ValueError:
            return True
    return not isinstance(record, dict) or bool(record) and not {"file_name", "first", "prompts"} <= record.keys()


def before(out: Path) -> Path:
    """Where a table of others goes that was in our place."""
    return out.with_name(f"{out.name}.before")


def stem(name: str) -> str:
    """What the files of a picture have in common.

    >>> stem("a/b.c.png")
    'a/b.c'
    """
    return str(PurePosixPath(name).with_suffix(""))


def key_of(name: str) -> str:
    """The key of a picture in a WebDataset, which has no dot.

    >>> key_of("a/b.c.png")
    'a/b_c'
    """
    return stem(name).replace(".", "_")


def write(records: Sequence[Record], out: Path, folder: Path) -> None:
    """Write records as JSON lines, Parquet, or a WebDataset with the pictures, by the suffix of ``out``.

    A table of others in its place is kept beside it.
    """
    half = out.with_name(f".{out.name}.half")
    WRITERS[out.suffix](records, half, folder)
    if foreign(out):
        out.replace(before(out))
    half.replace(out)


def write_lines(records: Sequence[Record], file: Path, folder: Path) -> None:
    file.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")


def write_parquet(records: Sequence[Record], file: Path, folder: Path) -> None:
    rows = [{**one, "models": canonical(one["models"])} for one in records]
    pq.write_table(pa.Table.from_pylist(rows, FIELDS), file)


def write_tar(records: Sequence[Record], file: Path, folder: Path) -> None:
    pack(file, (member for one in records for member in members(one, folder)))


def pack(file: Path, found: Iterable[tuple[str, bytes]]) -> None:
    """Write files, by name, to a tar that depends on nothing else."""
    with tarfile.open(file, "w") as tar:
        for name, data in found:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


WRITERS = {".jsonl": write_lines, ".parquet": write_parquet, ".tar": write_tar}


def members(record: Record, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The files of one sample in a WebDataset: picture, caption and record under one key, which has no dot."""
    path = folder / record["file_name"]
    key = key_of(record["file_name"])
    if path.is_file():
        yield f"{key}{path.suffix.lower()}", path.read_bytes()
    else:
        yield f"{key}.png", fetch(Picture(record["picture"]))
    yield f"{key}.txt", record["caption"].encode()
    yield f"{key}.json", json.dumps(record, ensure_ascii=False).encode()


def write_sidecars(records: Sequence[Record], folder: Path) -> None:
    """Write each caption as ``.txt`` beside its picture."""
    for one in records:
        (folder / f"{stem(one['file_name'])}.txt").write_text(one_line(one["caption"]) + "\n", encoding="utf-8")
