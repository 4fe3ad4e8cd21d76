"""The bench of indexing runs, as a toy."""

from __future__ import annotations

from tests.bench import bench_indexing


def test_every_way_of_writing_is_measured_on_both_databases(monkeypatch, capsys):
    monkeypatch.setattr(bench_indexing, "mlflow_rate", lambda rows: 1000.0)
    ratios = bench_indexing.main(400, 50)
    ways = ("ours, new", "ours, known", "pandas", "pandas, multi", "mlflow")
    assert list(ratios) == [f"{kind}, {way}" for kind in ("sqlite", "postgresql") for way in ways]
    assert ratios["sqlite, ours, new"] == 1 and min(ratios.values()) > 0
    assert len(capsys.readouterr().out.splitlines()) == 2 * (len(ways) + 2)
