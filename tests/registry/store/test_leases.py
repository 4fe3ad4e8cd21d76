"""Leases where the registry is away."""

from __future__ import annotations

from sqlalchemy import text

from registry.store.database import connect, migrate_when_behind
from registry.store.leases import Leases


def test_a_registry_that_is_away_at_the_end_undoes_nothing_of_what_was_done() -> None:
    """A lease ends by itself: neither a stage that is done nor the reason of one that is not hangs on that."""
    engine = connect("sqlite://")
    migrate_when_behind(engine)
    leases = Leases(engine)
    leases.take(["a"])
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE lease"))
    leases.close()
