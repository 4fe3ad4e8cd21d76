"""``palimpsest recaption``: the pictures of a folder get better captions, by the stages that a study has.

The folder is the one corpus of a small study, which is run below ``.palimpsest/folders``; so what is known is not asked
again, after a kill as after a change of the folder.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from models.adapters.settings import unknown
from registry.store import places
from registry.store.dag import STAGES
from registry.store.keys import canonical, digest
from stages import prepare, recaption
from stages.engine.loop import execute
from stages.engine.shards import DISK
from stages.engine.study import PARAMS, Study, read_study

CORPUS, ENTRY = "folder", "method"
Existing = Literal["skip", "overwrite", "append", "prepend"]
FORMATS = (".jsonl", ".parquet", ".tar")


def study_of(folder: Path, method: str, models: Path | None) -> Study:
    """The study of a folder: its pictures, and a method as ``models`` sets it.

    ``models`` is a YAML file with ``models``, as in params.yaml, and by the methods' names the settings of each.
    Without it the default study's are taken, which run on pocket models.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for what is wrong.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if models is None:
        own = read_study(places.root() / PARAMS)
        found = {said["method"]: said for said in own.entries("recaptioners").values()}
        known, described = found, own.models
    else:
        try:
            content = yaml.safe_load(models.read_text(encoding="utf-8")) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{models} is no valid YAML: {' '.join(str(error).split())}.") from error
        if not isinstance(content, dict):
            raise ValueError(f"{models} should map `models` and the names of methods to their settings.")
        described = content.pop("models", {})
        known = {name: {"method": name, **(said or {})} for name, said in content.items()}
    if method not in known:
        raise ValueError(unknown(f"method in {models or PARAMS}", method, known))
    scope = ("captioners", "corpora", "repainted", "sweep")
    entry = {name: value for name, value in known[method].items() if name not in scope}
    return Study(
        study=f"folder-{digest(str(folder.resolve()).encode())[:12]}",
        models=described,
        corpora={CORPUS: {"adapter": "folder", "path": str(folder.resolve())}},
        recaptioners={ENTRY: {**entry, "references": True}},
        **{section: {} for section in ("degradations", "inpainters", "captioners", "encoders", "fidelity", "quality")},
    )


@contextmanager
def inside(study: Study) -> Iterator[Path]:
    """Work in the folder of the outputs of a study of a folder."""
    here, there = Path.cwd(), places.home() / "folders" / study.study
    there.mkdir(parents=True, exist_ok=True)
    os.chdir(there)
    try:
        yield there
    finally:
        os.chdir(here)


def rewrite(study: Study, existing: Existing) -> list[dict[str, Any]]:
    """Caption anew the pictures of a folder; a record for each, in the order of their names.

    A record holds ``file_name``, ``caption``, ``first`` (the caption before), ``method``, ``key`` and ``models``; where
    there is no new caption ``caption`` is None, and ``reason`` says why.
    """
    with inside(study):
        samples, problems = prepare.read(study, CORPUS)
        if existing == "skip":
            samples = [sample for sample in samples if not sample.references]
        execute(prepare.node_of(study, CORPUS, samples, problems))
        node = recaption.node(study, ENTRY)
        execute(node)
        method = recaption.variants(study, ENTRY)[ENTRY]
        records = [record(row, method, existing) for row in DISK.rows(STAGES["recaption"].folder(ENTRY))]
    missing = [{"file_name": one.sample, "caption": None, "reason": one.message} for one in problems]
    return sorted(records + missing, key=lambda one: one["file_name"])


def record(row: Mapping[str, Any], method: recaption.Recaptioning, existing: Existing) -> dict[str, Any]:
    """What is written of one picture."""
    value, before = json.loads(row["value"]), json.loads(row["parts"])["caption"]
    found = {
        "file_name": row["sample"],
        "caption": merged(value["caption"], before, existing) if "caption" in value else None,
        "first": value.get("first", ""),
        "method": method.kind,
        "key": row["key"],
        "models": {role: one.entry.get("checkpoint") or one.entry.get("model") for role, one in method.players.items()},
    }
    failures = [failure["reason"] for failure in value.get("failures", ())]
    return found | ({"reason": row["reason"]} if row["reason"] else {}) | ({"failures": failures} if failures else {})


def merged(new: str, old: str, existing: Existing) -> str:
    """The caption to be written where there was one.

    >>> merged("A red star.", "star", "append")
    'star A red star.'
    """
    if existing == "append":
        return f"{old} {new}".lstrip()
    return f"{new} {old}".rstrip() if existing == "prepend" else new


def write(records: Sequence[Mapping[str, Any]], out: Path, folder: Path) -> None:
    """Write records as JSON lines, Parquet, or a WebDataset tar with the pictures, after the suffix of ``out``.

    What has no caption is left out of the tar.

    Raises ``ValueError`` for another suffix.
    """
    if out.suffix not in FORMATS:
        raise ValueError(f"{out} ends in none of {', '.join(FORMATS)}.")
    out.parent.mkdir(parents=True, exist_ok=True)
    half = out.with_name(f".{out.name}.half")
    if out.suffix == ".jsonl":
        half.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    elif out.suffix == ".parquet":
        flat = [{**one, "models": canonical(one.get("models", {}))} for one in records]
        pq.write_table(pa.Table.from_pylist(flat), half)
    else:
        with tarfile.open(half, "w") as tar:
            for one in (one for one in records if one["caption"]):
                for name, data in members(one, folder):
                    info = tarfile.TarInfo(name)
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))
    half.replace(out)


def members(record: Mapping[str, Any], folder: Path) -> Iterable[tuple[str, bytes]]:
    """The files of one sample in a WebDataset: picture, caption and record under one key."""
    path = Path(record["file_name"])
    key = str(path.with_suffix("")).replace(".", "_")
    yield f"{key}{path.suffix.lower()}", (folder / path).read_bytes()
    yield f"{key}.txt", record["caption"].encode()
    yield f"{key}.json", json.dumps(record, ensure_ascii=False).encode()


def write_sidecars(records: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Write each caption as ``.txt`` beside its picture."""
    for one in (one for one in records if one["caption"]):
        (folder / one["file_name"]).with_suffix(".txt").write_text(one["caption"] + "\n", encoding="utf-8")
