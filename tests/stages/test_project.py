"""The projection of embeddings: one fit a corpus, keyed by all that it depends on."""

import numpy as np
import pyarrow as pa
import pytest

from models.measures.embeddings.projection import Projection
from registry.store.dag import GRID
from registry.store.keys import item_key
from stages.engine.shards import DISK, write_shard
from stages.project import place, plan

FIELDS = [*((axis, pa.string()) for axis in GRID), ("embedding", pa.list_(pa.float32()))]


def row(corpus, sample, inpainter, key, embedding):
    axes = {"degradation": inpainter and "blur", "inpainter": inpainter}
    return {"corpus": corpus, "sample": sample, "key": key, "embedding": embedding, **axes}


@pytest.fixture
def represented(tmp_path):
    """Writes the shards of ``scenes``, of two shards, and ``series``: (corpus, sample, inpainter) → coordinates."""

    def write(name: str, moved: float = 0.0):
        rng = np.random.default_rng(0)
        for corpus in ("scenes", "series"):
            for part in range(2 if corpus == "scenes" else 1):
                rows = []
                for n in range(4):
                    sample, embedding = f"{part}-{n}", rng.normal(size=8) + moved * (corpus == "scenes")
                    rows += [
                        row(corpus, sample, None, f"{corpus}{sample}", list(embedding)),
                        row(corpus, sample, "telea", f"{corpus}{sample}t", list(embedding + 0.1)),
                        row(corpus, sample, "telea-again", f"{corpus}{sample}t", list(embedding + 0.1)),
                        row(corpus, sample, "broken", f"{corpus}{sample}b", None),
                    ]
                write_shard(tmp_path / name / corpus / f"part-{part:02d}.parquet", rows, FIELDS)
        return tmp_path / name

    return write


def tasks(folder):
    planned = dict(plan(folder, Projection(), DISK))
    return planned, {(t.corpus, t.sample, t.columns["inpainter"]): t for some in planned.values() for t in some}


def test_every_embedding_has_one_place_and_again_the_same(represented):
    planned, found = tasks(represented("one"))
    assert list(planned) == ["scenes/part-00.parquet", "scenes/part-01.parquet", "series/part-00.parquet"]
    assert len(found) == 12 * 3 and not any(name == "broken" for _, _, name in found)
    placed = {where: place(task.inputs).value for where, task in found.items()}
    assert placed["scenes", "0-1", "telea"] == placed["scenes", "0-1", "telea-again"]
    assert len({tuple(value.values()) for value in placed.values()}) == 12 * 2
    _, again = tasks(represented("two"))
    assert {where: place(task.inputs).value for where, task in again.items()} == placed


def test_one_fit_serves_a_corpus(represented, monkeypatch):
    fits = []
    monkeypatch.setattr("stages.project.project", lambda points, _: fits.append(len(points)) or points[:, :2])
    _, found = tasks(represented("one"))
    for task in found.values():
        place(task.inputs)
    assert fits == [16, 8]


def test_a_key_knows_all_embeddings_of_its_corpus_and_the_settings(represented):
    keys = [
        {where: item_key("project.vit", task.parts) for where, task in tasks(represented(name, moved))[1].items()}
        for name, moved in (("one", 0.0), ("two", 1.0))
    ]
    same = {where for where in keys[0] if keys[0][where] == keys[1][where]}
    assert {corpus for corpus, _, _ in same} == {"series"} and len(same) == 4 * 3
    other = next(plan(represented("three"), Projection(neighbours=3), DISK))[1][0]
    assert item_key("project.vit", other.parts) not in keys[0].values()
