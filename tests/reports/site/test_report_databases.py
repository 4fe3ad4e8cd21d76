"""The report is the same whichever database the registry is in."""

from __future__ import annotations

from registry.copying import copy
from registry.store.database import connect
from reports.report import build


def test_equal_registries_in_sqlite_and_postgresql_give_equal_bytes(toy, page, new_database, tmp_path):
    moved = connect(new_database("postgresql"))
    copy(toy.engine, moved)
    build(moved, toy.objects, "toy", tmp_path / "report")
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in (page.parent, tmp_path / "report")
    )
    assert second.keys() == first.keys()
    assert [name for name in first if second[name] != first[name]] == []
