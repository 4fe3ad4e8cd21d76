"""What measures declare, as the registry keeps it."""

from dataclasses import replace

from sqlalchemy import select

from models.measures.declared import declared
from registry.indexing import Index
from registry.store.database import connect, migrate_when_behind
from registry.store.schema import Metric


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
