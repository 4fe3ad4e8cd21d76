"""What another study left in ``data/`` is offered for removal, and is nobody's business before."""

from __future__ import annotations

import os
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from registry.store import places
from stages.care.needed import LEFT_OVER, given_up, left_over
from stages.engine.provenance import FOLDER
from stages.engine.study import Study
from stages.train import folder_of
from tests.conftest import SMALL


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Outputs of an entry that the study has, and of two that it has not."""
    monkeypatch.chdir(tmp_path)
    for stage, entry, folder in (("prepare", "scenes", "."), ("prepare", "bad", "."), ("inpaint", "old", "bad")):
        path = Path("data", stage, entry, folder, "part-00.parquet")
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"sample": ["a", "b"]}), path)
        for kept in (FOLDER / f"{stage}@{entry}.parquet", places.RUN_LINKS / f"{stage}@{entry}.json"):
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.touch()
    return tmp_path


def files() -> set[str]:
    return {str(path) for path in Path("data").rglob("*") if path.is_file()}


def test_what_the_study_does_not_have_is_counted_and_stays():
    before = files()
    found = left_over(Study.model_validate(SMALL), remove=False)
    assert (found.kind, found.items) == (LEFT_OVER, 4) and found.bytes > 0
    assert files() == before


def test_removed_it_leaves_nothing_and_the_study_keeps_its_own():
    left_over(Study.model_validate(SMALL), remove=True)
    assert files() == {
        "data/prepare/scenes/part-00.parquet",
        "data/provenance/prepare@scenes.parquet",
        "data/runs/prepare@scenes.json",
    }
    assert left_over(Study.model_validate(SMALL), remove=True).items == 0


def test_checkpoints_of_trainings_that_nobody_goes_on_with_are_removed(here):
    """One that failed a month ago, and one that wrote its checkpoint just now into a folder as old."""
    (here / "dvc.yaml").touch()
    old = time.time() - timedelta(days=30).total_seconds()
    for key, ages in {"failed": (old, old), "running": (old, None)}.items():
        folder_of(key).mkdir(parents=True)
        (folder_of(key) / "checkpoint.pt").write_bytes(bytes(10))
        for path, age in zip((folder_of(key), folder_of(key) / "checkpoint.pt"), ages, strict=True):
            os.utime(path, None if age is None else (age, age))
    assert given_up(timedelta(days=7), remove=False)[1:] == given_up(timedelta(days=7), remove=True)[1:] == (1, 1, 10)
    assert [path.name for path in folder_of("").iterdir()] == ["running"]
    assert given_up(timedelta(days=7), remove=True).items == 0
