"""Bulk upserts on both databases against what they promise, with rows read back by plain selects."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy import false, func, insert, select, text

from registry.indexing import Index
from registry.store.bulk import upsert
from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore
from registry.store.keys import item_key
from registry.store.objects import ObjectStore
from registry.store.schema import (
    Base,
    Cell,
    Corpus,
    Measurement,
    Placement,
    Published,
    Reference,
    Sample,
)

CORPUS, SAMPLE, REFERENCE = Corpus.__table__, Sample.__table__, Reference.__table__
TEXTS = ["plain", "tab\t, line\n, return\r, backslash \\N and \\.", "", "🐈 قطة", "'quoted' \"twice\""]


@pytest.fixture
def connection(registry_url):
    with connect(registry_url).connect() as connection:
        yield connection


def corpus(name, **more):
    return {"name": name, "settings": {}, "problems": {}} | more


def stored(connection, *columns):
    return connection.execute(select(*columns).order_by(*columns)).all()


def test_values_come_back_as_they_went_in(connection):
    rows = [corpus(text or "none", settings={"text": text, "deep": [1, None, 0.1]}) for text in TEXTS]
    upsert(connection, CORPUS, rows, ["name"])
    found = {row.name: row.settings for row in connection.execute(select(Corpus.name, Corpus.settings))}
    assert found == {row["name"]: row["settings"] for row in rows}
    some = connection.scalar(select(func.min(Corpus.id)))
    sample = {"corpus_id": some, "name": "s", "split": "test", "width": 1, "height": 2, "annotations": {}}
    upsert(connection, SAMPLE, [sample], ["corpus_id", "name"])
    lines = [{"sample_id": 1, "position": n, "text": text} for n, text in enumerate(TEXTS)]
    upsert(connection, REFERENCE, lines, ["sample_id", "position"])
    assert connection.scalars(select(Reference.text).order_by(Reference.position)).all() == TEXTS


def test_columns_may_have_the_names_of_keywords(connection):
    """``published`` has a ``table`` and a ``row``; a value that is None stays null."""
    axes = dict.fromkeys(("degradation", "inpainter", "captioner", "change"))
    row = {"paper": "p", "table": "1", "row": "r", "corpus": "c", "region": "", "metric": "m", "unit": ""} | axes
    upsert(
        connection, Published.__table__, [row | {"value": 1e-300, "decimals": 2}], ["paper", "table", "row", "metric"]
    )
    assert stored(connection, Published.value, Published.change) == [(1e-300, None)]


def test_the_last_of_equals_counts_and_order_does_not(connection):
    names = [f"{n % 7}" for n in range(50)]
    upsert(connection, CORPUS, (corpus(name, settings={"n": n}) for n, name in enumerate(names)), ["name"])
    found = dict(connection.execute(select(Corpus.name, Corpus.settings)).all())
    assert found == {name: {"n": n} for n, name in enumerate(names)}


def test_rows_are_written_in_one_order(new_database):
    """Locks that are taken in one order are never waited for in a circle."""
    with connect(new_database("postgresql", migrated=True)).connect() as connection:
        upsert(connection, CORPUS, [corpus(f"{n * 7 % 10}") for n in range(10)], ["name"])
        assert connection.scalars(select(Corpus.name).order_by(Corpus.id)).all() == [f"{n}" for n in range(10)]


def test_what_is_there_as_it_is_costs_nothing(connection):
    rows = [corpus(f"{n}", settings={"n": n}) for n in range(5)]
    upsert(connection, CORPUS, rows, ["name"])
    before = stored(connection, Corpus.id, Corpus.name)
    version = "xmin" if connection.dialect.name == "postgresql" else "id"
    versions = f"SELECT {version} FROM corpus ORDER BY id"
    connection.commit()
    was = connection.execute(text(versions)).all()
    changes = getattr(connection.connection.dbapi_connection, "total_changes", 0)
    upsert(connection, CORPUS, rows, ["name"])
    assert getattr(connection.connection.dbapi_connection, "total_changes", 0) == changes
    assert connection.execute(text(versions)).all() == was
    rows[2]["settings"] = {"n": "other"}
    upsert(connection, CORPUS, [*rows, corpus("new")], ["name"])
    assert stored(connection, Corpus.id, Corpus.name)[:5] == before
    assert connection.scalar(select(Corpus.settings).where(Corpus.name == "2")) == {"n": "other"}
    assert connection.scalar(select(Corpus.id).where(Corpus.name == "new")) <= 7, "numbers are not used up"


def test_where_says_what_may_be_replaced(connection):
    upsert(connection, CORPUS, [corpus("a", settings={"n": 1})], ["name"])
    upsert(connection, CORPUS, [corpus("a", settings={"n": 2})], ["name"], where=false())
    assert connection.scalar(select(Corpus.settings)) == {"n": 1}
    upsert(connection, CORPUS, [corpus("a", settings={"n": 2})], ["name"], where=Corpus.name == "a")
    assert connection.scalar(select(Corpus.settings)) == {"n": 2}


def test_rows_of_nothing_but_keys_may_be_there_already(connection):
    connection.execute(insert(Corpus), [corpus("a")])
    connection.execute(text("INSERT INTO study (name, params) VALUES ('s', '{}')"))
    connection.execute(text("INSERT INTO configuration (digest, settings) VALUES ('d', '{}')"))
    for _ in range(2):
        upsert(
            connection,
            Cell.__table__,
            [{"study_id": 1, "corpus_id": 1, "configuration_id": 1}] * 2,
            Cell.__table__.c.keys(),
        )
    assert connection.scalar(select(func.count()).select_from(Cell)) == 1


def test_no_rows_are_no_work(connection):
    upsert(connection, CORPUS, [], ["name"])
    assert stored(connection, Corpus.name) == []


def test_a_failure_in_the_middle_leaves_nothing(registry_url):
    engine = connect(registry_url)
    with pytest.raises(Exception, match="(?i)not[- ]null"), engine.begin() as connection:
        upsert(connection, CORPUS, [corpus("a"), corpus("b"), corpus(None)], ["name"])
    with engine.connect() as connection:
        assert stored(connection, Corpus.name) == []


SETTINGS = {"degradation": {"blur": {}}, "inpainter": {}, "captioner": {}}


def indexed(url, folder, samples, value):
    """A tiny study: pictures, and one number about each."""
    store = ItemStore(connect(url), ObjectStore(str(folder)))
    store.open_run(Execution("r", "s", "c", "cpu", "local", datetime(2026, 1, 2, tzinfo=UTC)))
    keys = {s: item_key("degraded", {"sample": s}) for s in samples}
    store.remember("r", [Finding(key, "degraded", {}, value={}) for key in keys.values()])
    size = {"split": "test", "width": 1, "height": 1, "annotations": {}, "references": ["a", "b"]}
    with store.engine.begin() as connection:
        index = Index(connection, SETTINGS)
        index.corpus("scenes", {}, {}, [{"sample": s} | size for s in samples])
        rows = [{"corpus": "scenes", "sample": s, "key": key, "degradation": "blur"} for s, key in keys.items()]
        index.place("degraded", rows)
        index.measure([(key, "mse", "whole", -1, value) for key in keys.values()] * 2)
        index.summarise(rows[0], {"bleu_4": value}, len(samples))
        index.study("tiny", {"value": value})
    return store.engine


def counts(engine):
    with engine.connect() as connection:
        return {t.name: connection.scalar(select(func.count()).select_from(t)) for t in Base.metadata.sorted_tables}


def test_indexing_again_changes_what_changed_and_no_more(registry_url, tmp_path):
    engine = indexed(registry_url, tmp_path, "abc", 0.5)
    once = counts(engine)
    assert (once["sample"], once["reference"], once["placement"], once["measurement"], once["cell"]) == (3, 6, 3, 3, 1)
    with engine.connect() as connection:
        ids = stored(connection, Placement.id, Placement.item_id)
    assert counts(indexed(registry_url, tmp_path, "abc", 0.5)) == once
    engine = indexed(registry_url, tmp_path, "ab", None)
    with engine.connect() as connection:
        assert stored(connection, Placement.id, Placement.item_id) == ids[:2]
        assert connection.scalars(select(Measurement.value).order_by(Measurement.item_id)).all() == [None, None, 0.5]
    assert counts(engine) == once | {"sample": 2, "reference": 4, "placement": 2}, "what was measured stays"
