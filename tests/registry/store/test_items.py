"""The item store against its promises: nothing twice, failures never served, a batch whole or not at all."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from registry.store.database import connect
from registry.store.items import Execution, Finding, ItemStore, damaged
from registry.store.keys import canonical, differing_parts, item_key, item_seed
from registry.store.objects import ObjectStore
from registry.store.schema import Item, Parent

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RUN = Execution("1" * 32, "caption@blip", "f" * 40, "cpu", "local", datetime(2026, 1, 2, tzinfo=UTC))


@pytest.fixture
def store(tmp_path, registry_url):
    store = ItemStore(connect(registry_url), ObjectStore(str(tmp_path / "objects")))
    store.open_run(RUN)
    return store


def finding(name: str, **more) -> Finding:
    parts = {"caption": name}
    return Finding(item_key("caption", parts), "caption", parts, **more)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_a_key_does_not_depend_on_the_order_of_its_parts(parts):
    backwards = dict(reversed(parts.items()))
    assert item_key("caption", parts) == item_key("caption", backwards)
    assert differing_parts(parts, backwards) == []


def test_a_key_depends_on_every_part_and_on_the_kind():
    keys = {item_key("caption", p) for p in ({"a": 1}, {"a": 2}, {"b": 1}, {"a": "1"}, {"a": [1]}, {})}
    assert len(keys | {item_key("score", {"a": 1})}) == 7


def test_what_json_cannot_hold_has_no_key():
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical({"value": float("nan")})
    with pytest.raises(TypeError):
        canonical({"value": object()})


@given(st.text(alphabet="0123456789abcdef", min_size=64, max_size=64))
def test_seeds_fit_every_generator(key):
    assert 0 <= item_seed(key) < 2**63


def test_recall_gives_back_what_was_remembered(store):
    one = finding("a cat", value={"caption": "a cat", "candidates": ["a cat", "🐈 قطة"]})
    picture = replace(finding("picture"), kind="repainted", data=b"\x89PNG", parents=(one.key,))
    store.remember(RUN.id, [one, picture])
    known = store.recall([one.key, picture.key, "0" * 64])
    assert known.keys() == {one.key, picture.key}
    assert known[one.key].value == one.value
    assert store.objects.get(known[picture.key].object) == b"\x89PNG"
    assert {k.run for k in known.values()} == {RUN.id}


def test_a_failure_is_recorded_but_not_known_and_a_value_replaces_it(store):
    failed = finding("x", reason="OSError: truncated")
    store.remember(RUN.id, [failed])
    assert store.recall([failed.key]) == {}
    store.remember(RUN.id, [finding("x", value={"caption": "x"})])
    assert store.recall([failed.key])[failed.key].value == {"caption": "x"}
    with store.engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(Item)) == 1


def test_a_value_is_never_replaced(store):
    first = finding("x", value={"caption": "first"})
    store.remember(RUN.id, [first])
    store.remember(RUN.id, [replace(first, value={"caption": "second"})])
    store.remember(RUN.id, [replace(first, value=None, reason="later failure")])
    assert store.recall([first.key])[first.key].value == {"caption": "first"}


def test_a_batch_is_remembered_whole_or_not_at_all(store):
    good, bad = finding("good", value={"caption": "good"}), finding("bad", value={"caption": {1, 2}})
    with pytest.raises(Exception, match="not JSON serializable"):
        store.remember(RUN.id, [good, bad])
    assert store.recall([good.key, bad.key]) == {}


def test_more_keys_than_one_query_takes(store, monkeypatch):
    monkeypatch.setattr("registry.store.items.KEYS_A_QUERY", 7)
    many = [finding(str(n), value={"caption": str(n)}) for n in range(50)]
    store.remember(RUN.id, many)
    assert len(store.recall([f.key for f in many] * 2)) == 50


def test_edges_follow_the_parents(store):
    parent = finding("parent", value={})
    child = replace(finding("child", value={}), parents=(parent.key,))
    store.remember(RUN.id, [parent, child])
    store.remember(RUN.id, [child])
    with store.engine.connect() as connection:
        ids = dict(connection.execute(select(Item.key, Item.id)).all())
        found = connection.execute(select(Parent.item_id, Parent.parent_id)).all()
    assert found == [(ids[child.key], ids[parent.key])]


def test_an_execution_comes_back_as_it_went_in(store):
    assert store.executions([RUN.id, "unknown"]) == [RUN]


def test_a_damaged_object_is_refused(store):
    address = store.objects.put(b"a page")
    store.objects.filesystem.pipe_file(store.objects.path(address), b"scraped")
    with pytest.raises(ValueError, match="is damaged; delete that file and run again"):
        store.objects.get(address)


@pytest.mark.parametrize("damage", ['{"caption": "a cap"}', '{"caption": "a cat', "null"])
def test_a_damaged_value_is_not_served_and_another_takes_its_place(store, damage, caplog):
    one, other = finding("a cat", value={"caption": "a cat"}), finding("a dog", value={"caption": "a dog"})
    store.remember(RUN.id, [one, other])
    if damage.endswith("}") or damage == "null" or store.engine.dialect.name == "sqlite":  # PostgreSQL checks JSON
        with store.engine.begin() as connection:
            connection.execute(text("UPDATE item SET value = :v WHERE key = :k"), {"v": damage, "k": one.key})
        assert list(damaged(store.engine)) == [one.key]
        assert store.recall([one.key, other.key]).keys() == {other.key}
        assert f"The value of item {one.key} is not what its digest says" in caplog.text
    store.remember(RUN.id, [one])
    assert store.recall([one.key])[one.key].value == one.value
    assert list(damaged(store.engine)) == []


def test_any_bit_of_a_value_that_flips_is_noticed(tmp_path):
    """Each bit of the text of one value in an SQLite file, flipped alone."""
    engine = connect(f"sqlite:///{tmp_path}/registry.db")
    store = ItemStore(engine, ObjectStore(str(tmp_path / "objects")))
    store.open_run(RUN)
    one = finding("a cat", value={"caption": "a cat", "score": 0.25})
    store.remember(RUN.id, [one])
    with engine.connect() as connection:
        whole = connection.exec_driver_sql("SELECT CAST(value AS BLOB) FROM item").scalar_one()
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE item SET value = CAST(? AS TEXT)", (bytes(flipped),))
        if json.loads(whole) != parsed(flipped):  # a blank that becomes another blank says the same
            assert list(damaged(engine)) == [one.key], flipped


def parsed(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def test_a_value_that_has_no_digest_yet_is_taken_as_it_is(store):
    one = finding("a cat", value={"caption": "a cat"})
    store.remember(RUN.id, [one])
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE item SET digest = NULL"))
    assert store.recall([one.key])[one.key].value == one.value


def test_whoever_reads_a_damaged_value_is_told_what_to_do(tmp_path):
    store = ItemStore(connect(f"sqlite:///{tmp_path}/registry.db"), ObjectStore(str(tmp_path / "objects")))
    store.open_run(RUN)
    store.remember(RUN.id, [finding("a cat", value={"caption": "a cat"})])
    with store.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE item SET value = '{"caption": "a c'""")
        with pytest.raises(ValueError, match="A value in the registry is damaged: .* `palimpsest doctor --full` says"):
            connection.execute(select(Item.value)).all()
