"""What measures declare, as the registry keeps it."""

from dataclasses import replace

from sqlalchemy import select

from models.measures.declared import declared
from registry.indexing import Index
from registry.store.database import connect, migrate_when_behind
from registry.store.schema import Metric, Reference


def test_metrics_are_kept_as_they_were_last_declared_in_the_order_of_tables(empty_url):
    engine, metrics = connect(empty_url), declared()
    migrate_when_behind(engine)
    changed = replace(metrics["clipscore"], label="CLIP-S", decimals=2)
    for some in (metrics.values(), [changed]):
        with engine.begin() as connection:
            Index(connection, {}).metrics(metric.record() for metric in some)
    with engine.connect() as connection:
        rows = {row.name: row._asdict() for row in connection.execute(select(Metric.__table__).order_by("position"))}
    assert list(rows) == list(metrics)
    assert rows == {name: metric.record() for name, metric in (metrics | {"clipscore": changed}).items()}
    assert (rows["psnr"]["low"], rows["psnr"]["high"], rows["psnr"]["higher_is_better"]) == (0, None, True)
    assert rows["entropy"]["higher_is_better"] is None
    assert [name for name, row in rows.items() if row["about"] == "grounding"][:2] == [
        "object_recall", "object_hallucination"
    ]  # fmt: skip


def test_a_shard_is_held_as_long_as_it_and_what_it_stands_for_are_the_same(empty_url):
    engine = connect(empty_url)
    migrate_when_behind(engine)
    point = {"corpus": "one", "degradation": "blur"}

    def held(samples: str = "ab", content: str = "0" * 64, sigma: int = 1) -> bool:
        """Whether a study with these samples and settings finds its shard indexed; if not, it indexes it."""
        rows = [
            {"sample": s, "split": "", "width": 1, "height": 1, "annotations": {}, "references": []} for s in samples
        ]
        with engine.begin() as connection:
            index = Index(connection, {"degradation": {"blur": {"sigma": sigma}}})
            index.corpus("one", {}, {}, rows)
            if found := index.holds("part-00", content, [point]):
                assert index.cells == {(index.corpora["one"], index.configuration(point))}, "as if it had been read"
            else:
                index.hold("part-00", content, [point])
            return found

    assert [held(), held()] == [False, True]
    assert [held(content="1" * 64), held(content="1" * 64)] == [False, True]
    assert [held(content="1" * 64, sigma=2), held(content="1" * 64, sigma=2)] == [False, True]
    assert held("abc", "1" * 64, 2), "a sample more is another shard's, or other bytes"
    assert not held("ab", "1" * 64, 2), "placements went with the sample, and it may come back"


def test_references_that_stay_are_not_written_again(empty_url):
    """Of a million samples they would be five million rows, written whenever anything is indexed."""
    engine = connect(empty_url)
    migrate_when_behind(engine)

    def stored(*texts: str) -> dict[str, int]:
        about = {"split": "", "width": 1, "height": 1, "annotations": {}}
        with engine.begin() as connection:
            Index(connection, {}).corpus("one", {}, {}, [{"sample": "a", **about, "references": texts}])
            rows = connection.execute(select(Reference.text, Reference.id).order_by(Reference.position))
            return dict(rows.all())

    first = stored("a cat", "a dog", "a cow")
    assert list(first) == ["a cat", "a dog", "a cow"]
    assert stored("a cat", "a dog", "a cow") == first
    assert stored("a cat", "a hen") == {"a cat": first["a cat"], "a hen": first["a dog"]}
    assert stored() == {}
