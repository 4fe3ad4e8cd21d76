"""A bit flipped in each kind of file: it is never read as another value, somebody says where, and what to do helps."""

from __future__ import annotations

import copy
import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from palimpsest import app
from registry.lineage.outputs import md5_of
from registry.store.items import value_digest
from stages.engine.shards import DISK, parquet, write_shard
from tests.conftest import SMALL, Checkout

PICTURES: dict[str, Any] = copy.deepcopy(SMALL) | {"captioners": {}, "encoders": {}, "quality": {}}
PICTURES["corpora"]["scenes"]["count"] = 3
PICTURES["degradations"] = {"blur": {"kind": "blur"}}
PICTURES["inpainters"] = {"telea": {"adapter": "telea"}}
MADE = ("inpaint@telea", "fidelity@pixel")
TELEA = "data/inpaint/telea/scenes/part-00.parquet"


def flip(path: Path, bit: int) -> None:
    """Flip one bit of a file, which keeps its times: DVC does not see it."""
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.chmod(0o644)
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def told(*command: str, exit_code: int | None = 0) -> str:
    """What a command says, here and in this process."""
    done = CliRunner().invoke(app, command)
    assert exit_code in (None, done.exit_code), done.output
    return done.output


def in_cache(checkout: Checkout, path: str) -> Path:
    """The file of DVC's cache with the content of an output's file."""
    md5 = md5_of(checkout.path / path)
    return checkout.path / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


@pytest.fixture
def made(checkout, monkeypatch) -> Checkout:
    one = checkout(PICTURES)
    one.repro(*MADE)
    monkeypatch.chdir(one.path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    told("registry", "sync")
    return one


def test_damage_is_named_and_what_doctor_advises_mends_it(made):
    whole = made.digests()
    said = told("doctor", "--full", exit_code=None)
    assert "every value is what its digest says" in said
    assert "what is in data/ is what dvc.lock says" in said
    assert "every file in DVC's cache is what its name says" in said

    # a number in the registry
    with sqlite3.connect(made.path / ".palimpsest/registry.db") as database:
        key, value = database.execute("SELECT key, value FROM item WHERE kind = 'fidelity.pixel' LIMIT 1").fetchone()
        digit = value.index("0.") + 2
        other = value[:digit] + str(9 - int(value[digit])) + value[digit + 1 :]
        database.execute("UPDATE item SET value = ? WHERE key = ?", (other, key))
    doctor = told("doctor", "--full", exit_code=1)
    assert f"1 items have values that are not what their digests say, first {key}" in doctor
    told("registry", "sync")
    with sqlite3.connect(made.path / ".palimpsest/registry.db") as database:
        found = database.execute("SELECT value FROM item WHERE key = ?", (key,)).fetchone()[0]
    assert sorted(found) == sorted(value), "the shard had it"

    # an output
    flip(made.path / TELEA, 8 * 2000)
    refused = told("registry", "sync", exit_code=2)
    assert refused.startswith("palimpsest: data/inpaint/telea is not what dvc.lock says inpaint@telea made")
    doctor = told("doctor", "--full", exit_code=1)
    assert "1 outputs are not what dvc.lock says: data/inpaint/telea" in doctor
    shutil.rmtree(made.path / "data/inpaint/telea")
    made.run("palimpsest", "repro", *MADE)
    assert made.digests() == whole

    # a file in DVC's cache, cut off, from which the output is then restored
    cached = in_cache(made, TELEA)
    cached.chmod(0o644)
    cached.write_bytes(cached.read_bytes()[:3000])
    cached.chmod(0o444)
    shutil.rmtree(made.path / "data/inpaint/telea")
    made.run("dvc", "checkout", "inpaint@telea")
    assert (made.path / TELEA).stat().st_size == 3000, "DVC believes it"
    told("registry", "sync", exit_code=2)
    doctor = told("doctor", "--full", exit_code=1)
    assert "1 files in DVC's cache are damaged" in doctor
    assert str(cached) in doctor
    shutil.rmtree(made.path / "data/inpaint/telea")
    cached.unlink()
    made.run("palimpsest", "repro", *MADE)
    assert made.digests() == whole
    assert made.link("inpaint@telea")["computed"] == 0
    told("registry", "sync")
    two_values_of_one_item(made)


def two_values_of_one_item(made: Checkout) -> None:
    """Somebody else has stored another value under a key that stands in an output here, as two machines do that
    compute it at the same time: neither is damaged, and only one can be right beside what was computed from it."""
    with sqlite3.connect(made.path / ".palimpsest/registry.db") as database:
        key, value = database.execute("SELECT key, value FROM item WHERE kind = 'fidelity.pixel' LIMIT 1").fetchone()
        number = next(name for name, one in json.loads(value).items() if isinstance(one, float))
        other = json.loads(value) | {number: 0.125}
        database.execute(
            "UPDATE item SET value = ?, digest = ? WHERE key = ?", (json.dumps(other), value_digest(other), key)
        )
    refused = told("registry", "sync", exit_code=2)
    assert "holds other values than the registry for 1 of its 3 items" in refused
    assert key in refused
    made.run("dvc", "repro", "--force", "--single-item", "fidelity@pixel")
    told("registry", "sync")
    shard = made.path / "data/fidelity/pixel/scenes/part-00.parquet"
    assert [row[number] for row in DISK.read(shard) if row["key"] == key] == [0.125]
    with sqlite3.connect(made.path / ".palimpsest/registry.db") as database:
        found = database.execute(
            "SELECT count(*) FROM measurement JOIN item ON id = item_id WHERE key = ? AND measurement.value = 0.125",
            (key,),
        ).fetchone()
    assert found == (1,)


def test_a_flipped_bit_of_a_shard_is_an_error_or_changes_nothing_that_is_read(tmp_path, monkeypatch):
    """Every bit of the pages of a shard, and what reads it says so in one sentence."""
    monkeypatch.chdir(tmp_path)
    path, flipped = tmp_path / "part-00.parquet", tmp_path / "part-01.parquet"
    common = {"corpus": "scenes", "key": "0f", "parents": ["0e"], "parts": "{}", "value": "{}", "status": "ok"}
    rows = [{**common, "sample": f"{n:05}", "reason": None, "score": n / 7} for n in range(20)]
    write_shard(path, rows, [("score", pa.float64())])
    whole, data = DISK.read(path), path.read_bytes()
    end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    unnoticed = 0
    for bit in range(32, 8 * end):
        other = bytearray(data)
        other[bit // 8] ^= 1 << bit % 8
        flipped.write_bytes(other)
        try:
            read = DISK.read(flipped)
        except ValueError as error:
            assert str(error).startswith(f"{flipped} is damaged: ")
        else:
            unnoticed += read != whole
    assert unnoticed == 0


def test_shards_of_before_are_read(tmp_path):
    table = pa.table({"key": ["0f"], "score": np.array([0.5])})
    pq.write_table(table, tmp_path / "part-00.parquet", compression="zstd", version="2.6")
    assert DISK.read(tmp_path / "part-00.parquet") == [{"key": "0f", "score": 0.5}]
    with parquet(tmp_path / "part-00.parquet") as file:
        assert file.metadata.num_rows == 1
