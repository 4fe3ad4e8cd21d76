"""The benches of lineage, of runs in which nothing changed, of sharing and of buckets, as toys."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench import bench_noop, bench_s3, bench_sharing, bench_trace

TOY = """stages:
  draw:
    foreach: [a, b]
    do:
      cmd: mkdir -p data/draw/${item} && cp source data/draw/${item}/one && cp source data/draw/${item}/other
      deps: [source]
      outs: ["data/draw/${item}"]
  count:
    cmd: ls -R data/draw > data/count
    deps: [data/draw]
    outs: [data/count]
"""


def test_both_sides_find_the_same_lineage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The bench itself raises where they do not."""
    monkeypatch.setattr(bench_trace, "TURNS", 1)
    ratios = bench_trace.main(1)
    assert list(ratios) == ["item", "measurement", "cell", "stage", "view"]
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("500 captions, 4,420 measurements")
    assert len(lines) == len(ratios) and all("ratio" in line for line in lines)


def test_a_finished_study_is_compared_with_as_many_bare_stages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_noop, "TURNS", 1)
    (tmp_path / "dvc.yaml").write_text(TOY)
    (tmp_path / "source").write_text("1")
    (tmp_path / ".gitignore").write_text("/data/\n")
    (tmp_path / ".dvc").mkdir()
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    with pytest.raises(RuntimeError, match="not finished"):
        bench_noop.main(str(tmp_path))
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=tmp_path, capture_output=True, check=True)
    assert bench_noop.main(str(tmp_path)) > 0
    assert capsys.readouterr().out.startswith("3 stages, 6 files: study ")


def test_pictures_are_pushed_and_pulled_both_ways(capsys: pytest.CaptureFixture[str]) -> None:
    ratios = bench_sharing.main(["20"])
    assert list(ratios) == ["push", "pull"]
    lines = capsys.readouterr().out.splitlines()
    assert [re.match(r"\w+\s+\d+", line) is not None for line in lines] == [True, True, False, False]
    assert [line.split()[0] for line in lines] == ["shards", "files", "push", "pull"]


def test_a_bucket_is_measured_against_a_disk(capsys: pytest.CaptureFixture[str]) -> None:
    """Every way brings back what it wrote, and nothing of the server stays in the environment."""
    ratios = bench_s3.main(["3", "--bytes", "1000"])
    assert list(ratios) == list(bench_s3.ASKED) and all(min(each) > 0 for each in ratios.values())
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 * len(ratios)
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ
