"""Exported files are called by what they are."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from models.media.images import encode_png
from registry import open_registry
from registry.store.dag import IMAGE
from registry.store.keys import digest
from registry.store.objects import ObjectStore
from stages.care.export import export_rows
from stages.engine.shards import image, write_shard

PNG = encode_png(np.full((4, 6, 3), 7, np.uint8))
FIELDS = [("degradation", pa.string()), ("inpainter", pa.string()), ("image", IMAGE)]


def shard(path: Path, *samples: str) -> Path:
    common = {"corpus": "cats", "parents": [], "parts": "{}", "value": "{}", "status": "ok", "reason": None}
    axes = {"degradation": "blur", "inpainter": "sd/steps=20"}
    rows = [
        common | axes | {"sample": one, "key": f"{n}" * 64, "image": image(PNG, "")} for n, one in enumerate(samples)
    ]
    write_shard(path, rows, FIELDS)
    return path.parent


def test_files_are_called_by_sample_and_axes(tmp_path):
    folder = shard(tmp_path / "telea/part-00.parquet", "a/b.png", "a?b.png")
    assert export_rows(folder, tmp_path / "out") == 2
    lines = [json.loads(line) for line in (tmp_path / "out/items.jsonl").read_text().splitlines()]
    assert [line["image"] for line in lines] == [
        "cats/a_b.png.blur.sd_steps=20.image.png",
        f"cats/a_b.png.blur.sd_steps=20.{'1' * 8}.image.png",
    ]
    assert all((tmp_path / "out" / line["image"]).read_bytes() == PNG for line in lines)


def test_datasets_reads_pictures_of_a_shard_as_pictures(tmp_path):
    """The reader that most data sets are read with is the witness."""
    datasets = pytest.importorskip("datasets")
    folder = shard(tmp_path / "telea/part-00.parquet", "a.png")
    read = datasets.Dataset.from_parquet(str(folder / "part-00.parquet"), cache_dir=str(tmp_path / "cache"))
    assert read[0]["image"].size == (6, 4) and read[0]["sample"] == "a.png"


def test_a_digest_becomes_a_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("PALIMPSEST_OBJECTS", str(tmp_path / "objects"))
    ObjectStore(str(tmp_path / "objects")).put(PNG)
    with open_registry("sqlite://") as registry:
        assert registry.picture(digest(PNG)).size == (6, 4)
        with pytest.raises(FileNotFoundError):
            registry.picture("0" * 64)
