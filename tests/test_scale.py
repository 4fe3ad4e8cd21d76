"""A large registry and a large study, as toys."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

from registry.garbage import keep, without
from registry.store.database import connect
from registry.store.items import Execution
from registry.store.schema import Item
from reports.asking import queries
from stages.engine.provenance import read_provenance, write_provenance
from tests.bench import bench_scale
from tests.databases import KINDS, Databases


def plan_of(engine: Engine, statement: str, parameters: Any) -> str:
    """How a database would answer a statement of a table too large to be read whole."""
    with engine.connect() as connection:
        postgresql = engine.dialect.name == "postgresql"
        if postgresql:
            connection.exec_driver_sql("SET enable_seqscan = off")
        explain = "EXPLAIN " if postgresql else "EXPLAIN QUERY PLAN "
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(explain + statement, parameters))


@pytest.mark.parametrize("kind", KINDS)
def test_a_registry_grows_and_is_asked(databases: Databases, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = bench_scale.grow(databases.new(kind, migrated=True), (3,), 1, 60)
    assert found[3].keys() >= {"remember", "recall", "report", "trace STAGE"}
    printed = capsys.readouterr().out
    assert "831 items, 4,152 measurements" in printed, "the copies are the first again"
    assert "Waste(kind='caption', items=2, objects=0" in printed, "but for the corpus whose keys are named"


def test_failures_are_found_without_reading_all_items(registry_url: str) -> None:
    engine, seen = connect(registry_url), []
    event.listen(engine, "before_cursor_execute", lambda *given: seen.append(given[2:4]))
    with engine.connect() as connection:
        queries.failures(connection, 1)
    assert "ix_item_failed" in plan_of(engine, *seen[-1])
    engine.dispose()


def test_postgresql_knows_what_a_look_up_costs(databases: Databases) -> None:
    """Its guesses, hundreds of measurements an item and a disk with an arm, make it read all for a report of a few."""
    url = databases.new("postgresql", migrated=True)
    told = "SELECT attoptions FROM pg_attribute WHERE attrelid = 'measurement'::regclass AND attname = 'item_id'"
    for options, cost in (("", "1.1"), ("&options=-c%20random_page_cost%3D3", "3")):
        engine = connect(url + options)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SHOW random_page_cost").scalar() == cost
            assert connection.exec_driver_sql(told).scalar() == ["n_distinct=-0.1"]
        engine.dispose()


def test_what_nothing_needs_is_found_by_one_join(databases: Databases) -> None:
    """A subplan would be gone through for every item: PostgreSQL hashes one only where it fits into ``work_mem``."""
    engine = connect(databases.new("postgresql", migrated=True))
    with engine.connect() as connection:
        wasted = select(Item.id).where(without(keep(connection, [], datetime.now(UTC)), Item.id))
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {wasted.compile(engine)}").scalars())
    assert "Anti Join" in plan and "SubPlan" not in plan
    engine.dispose()


def test_provenance_of_many_items_takes_one_execution_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [
        Execution(id * 32, "caption@blip", "0" * 40, "cpu", "local", datetime(2026, 1, 1, tzinfo=UTC)) for id in "ab"
    ]
    items = [(f"{n:064x}", runs[n % 2]) for n in range(1000)]
    write_provenance("caption@blip", items)
    read = read_provenance("caption@blip")
    assert list(read.items()) == items
    assert len({id(run) for run in read.values()}) == 2
