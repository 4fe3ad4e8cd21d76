"""Stage outputs for people: plain PNG files and one line of JSON an item."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from registry.store.axes import AXES
from stages.engine.shards import DISK

IMAGES = ("image", "mask")
UNSAFE = re.compile(r"[^\w.,=+-]")
LONGEST = 60
"""So many characters of a name stand in that of a file."""


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
