"""Stage outputs for people: plain PNG files and one line of JSON an item."""

from __future__ import annotations

import json
from pathlib import Path

from stages.engine.shards import DISK

IMAGES = ("image", "mask")


def export_rows(stage: Path, folder: Path) -> int:
    """Write every item below ``stage`` to ``folder``: pictures as PNG, the rest to ``items.jsonl``; returns how many.

    A picture is named by its item's key, which is unique and safe in every file system; the line names the file.
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
                    path = folder / f"{row['key']}.{name}.png"
                    path.write_bytes(row[name]["bytes"])
                    row[name] = path.name
            row["parts"], row["value"] = json.loads(row["parts"]), json.loads(row["value"])
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count
