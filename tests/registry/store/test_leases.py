"""Leases where the registry is away."""

from __future__ import annotations

from sqlalchemy import text

from registry.store.database import connect, migrate_when_behind
from registry.store.leases import Leases, is_gone


def test_a_registry_that_is_away_at_the_end_undoes_nothing_of_what_was_done() -> None:
    """A lease ends by itself: neither a stage that is done nor the reason of one that is not hangs on that."""
    engine = connect("sqlite://")
    migrate_when_behind(engine)
    leases = Leases(engine)
    leases.take(["a"])
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE lease"))
    leases.close()


def test_who_lives_is_not_gone_though_the_clock_was_set_and_who_is_elsewhere_is_not_known(tmp_path):
    """A process seems to have begun another second when the clock was set; another machine of this one's name, or a
    container beside this one, has processes of the same numbers."""
    engine = connect(f"sqlite:///{tmp_path}/registry.db")
    mine = Leases(engine)
    where, process, created, name = mine.owner.rsplit(" ", 3)
    for seconds, gone in ((0, False), (-1, False), (30, False), (-1e6, True)):
        assert is_gone(f"{where} {process} {float(created) + seconds:.2f} {name}") == gone, seconds
    host, booted, seen = where.split(" ")
    for other in (host, f"{host} {booted[::-1]} {seen}", f"{host} {booted} pid:[1]"):
        assert not is_gone(f"{other} {2**22 + 1} {created} {name}"), other
    assert is_gone(f"{where} {2**22 + 1} {created} {name}")
