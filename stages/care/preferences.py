"""Preference pairs of rewritten captions, for other programs: the last is chosen, the first rejected (*RICO*, 3.4).

They are written as Parquet with TRL's columns, or as the records of LLaMA-Factory that RICO-Flash was trained on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from models.adapters.settings import unknown
from registry.store.dag import IMAGE, STAGES
from stages.care.export import called
from stages.engine.entries import Adapted
from stages.engine.pictures import Picture, fetch
from stages.engine.shards import DISK
from stages.engine.study import read_study

REWRITTEN, PREPARED, REPAINTED, CAPTIONED, JUDGED = (
    STAGES[name].folder() for name in ("recaption", "prepare", "inpaint", "caption", "quality")
)
GRID = STAGES["inpaint"].axes

Row = Mapping[str, Any]


class Pair(NamedTuple):
    """Two captions of a picture: the name of its file, its PNG, and what was asked of it."""

    file: str
    picture: bytes
    prompt: str
    chosen: str
    rejected: str


class Judge:
    """A measure of the study, by one metric of which a caption is better: ``MEASURE:METRIC``.

    Raises ``ValueError`` where the study has no such measure, or that no such metric with a better side.
    """

    def __init__(self, said: str) -> None:
        study = read_study()
        self.said, (self.measure, _, name) = said, said.partition(":")
        adapter = Adapted(self.measure, study.entry("quality", self.measure), "quality", study.models).adapter
        known = {one.name: one for one in adapter.metrics if one.higher_is_better is not None}
        if name not in known:
            raise ValueError(unknown(f"metric of {self.measure} with a better side", name, known))
        self.sign = 1 if known[name].higher_is_better else -1
        self.column = f"{name}_whole" if known[name].regional else name

    def values(self, shard: Path) -> Callable[[Row], bool]:
        """Whether the last caption of a row of a shard is better than the first, where both are measured."""
        axes = (*GRID, "captioner", "recaptioner")
        rows = DISK.read(JUDGED / self.measure / shard, ("sample", *axes, self.column))
        found = {(row["sample"], *(row[axis] for axis in axes)): row[self.column] for row in rows}

        def better(row: Row) -> bool:
            *point, by = (row["sample"], *(row[axis] for axis in axes))
            last, first = found.get((*point, by)), found.get((*point, None))
            return last is not None and first is not None and self.sign * (last - first) > 0

        return better


def pairs_of(stage: Path, reasons: Counter[str], judge: Judge | None = None) -> Iterator[Pair]:
    """The pairs in the output of a recaptioning; why its other captions are none is counted in ``reasons``.

    With a ``judge`` a pair counts where the last caption is better by it.
    """
    for path in DISK.shards(stage):
        shard = Path(path.parent.name, path.name)
        better = judge.values(shard) if judge else lambda row: True
        firsts = cache(partial(first_captions, shard))
        for row in DISK.read(path):
            value, parts = json.loads(row["value"]), json.loads(row["parts"])
            if row["status"] != "ok":
                reasons["the rewriting failed"] += 1
            elif not value["first"]:
                reasons["there was no first caption"] += 1
            elif value["first"] == row["caption"]:
                reasons["a revision failed" if value.get("failures") else "nothing was changed"] += 1
            elif not better(row):
                reasons["the judge does not find the last caption better"] += 1
            else:
                held = REPAINTED / row["inpainter"] if row["inpainter"] else PREPARED
                picture = fetch(Picture(parts["picture"], str(held / shard)))
                yield Pair(f"{called(row)}.png", picture, prompt_of(row, parts, firsts), row["caption"], value["first"])


def first_captions(shard: Path, captioner: str) -> dict[str, str]:
    """The parts of a captioner's captions in a shard, by key."""
    return {row["key"]: row["parts"] for row in DISK.read(CAPTIONED / captioner / shard, ("key", "parts"))}


def prompt_of(row: Row, parts: Mapping[str, Any], firsts: Callable[[str], Mapping[str, str]]) -> str:
    """What was asked for the first caption; empty where nothing was, since it was a reference."""
    if row["captioner"] is None:
        return str(parts["method"].get("first_prompt", ""))
    return str(json.loads(firsts(row["captioner"])[row["parents"][1]])["prompt"])


def export_pairs(stage: Path, folder: Path, layout: str, confirmed_by: str = "") -> tuple[int, Counter[str]]:
    """Write the pairs of a recaptioning's output, and return how many, and why its other captions are none.

    Raises ``FileNotFoundError`` where there is no output, ``ValueError`` where it is of another stage, layout or judge
    are unknown, or the folder is not empty.
    """
    if layout not in LAYOUTS:
        raise ValueError(unknown("layout of pairs", layout, LAYOUTS))
    if not stage.resolve().is_relative_to(REWRITTEN.resolve()):
        raise ValueError(f"{stage} holds no rewritten captions: name one such as {REWRITTEN}/rico")
    if not DISK.shards(stage):
        raise FileNotFoundError(f"{stage} holds no stage output; run `palimpsest repro` first, or look into data/.")
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; name another folder, or remove it first.")
    folder.mkdir(parents=True, exist_ok=True)
    reasons = Counter[str]()
    count = LAYOUTS[layout](pairs_of(stage, reasons, Judge(confirmed_by) if confirmed_by else None), folder)
    return count, reasons


MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
COLUMNS = pa.schema(
    [("images", pa.list_(IMAGE)), ("prompt", MESSAGES), ("chosen", MESSAGES), ("rejected", MESSAGES)],
    metadata={"huggingface": json.dumps({"info": {"features": {
        "images": {"feature": {"_type": "Image"}, "_type": "List"},
        **{name: {"feature": {one: {"dtype": "string", "_type": "Value"} for one in ("role", "content")},
                  "_type": "List"} for name in ("prompt", "chosen", "rejected")},
    }}})},
)  # fmt: skip
"""What TRL's ``DPOTrainer`` takes of models that see; ``datasets`` reads the pictures as such."""


def trl(pairs: Iterable[Pair], folder: Path) -> int:
    """Write ``preferences.parquet`` with TRL's columns; the pictures are in it."""
    count = 0
    with pq.ParquetWriter(folder / "preferences.parquet", COLUMNS, compression="zstd") as file:
        for one in pairs:
            said = {"prompt": ("user", one.prompt), "chosen": ("assistant", one.chosen),
                    "rejected": ("assistant", one.rejected)}  # fmt: skip
            row = {name: [{"role": role, "content": text}] for name, (role, text) in said.items()}
            picture = {"bytes": one.picture, "path": one.file}
            file.write_batch(pa.RecordBatch.from_pylist([{"images": [picture], **row}], COLUMNS))
            count += 1
    return count


def llama_factory(pairs: Iterable[Pair], folder: Path) -> int:
    """Write ``preferences.json`` of records as RICO's, its pictures beside it, and ``dataset_info.json`` that tells
    LLaMA-Factory how to read it."""
    records = []
    for one in pairs:
        file = folder / "images" / one.file
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(one.picture)
        records.append({
            "conversations": [{"from": "human", "value": f"<image>{one.prompt}"}],
            "images": [file.relative_to(folder).as_posix()],
            "chosen": {"from": "gpt", "value": one.chosen},
            "rejected": {"from": "gpt", "value": one.rejected},
        })  # fmt: skip
    columns = {"messages": "conversations", "chosen": "chosen", "rejected": "rejected", "images": "images"}
    about = {"file_name": "preferences.json", "formatting": "sharegpt", "ranking": True, "columns": columns}
    for name, content in (("preferences", records), ("dataset_info", {"preferences": about})):
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (folder / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
    return len(records)


LAYOUTS: dict[str, Callable[[Iterable[Pair], Path], int]] = {"trl": trl, "llama-factory": llama_factory}
