"""DVC over the outputs of a corpus as it grows: files, and what it costs to find that nothing changed.

    python -m tests.bench.bench_shards [--samples 10000 100000 1000000] [--outputs 10]

A project in a temporary folder with as many stages as ``--outputs``, each of which reads the one before and holds as
many shards as one of ours does of so many samples. A shard is a line of text here, so that reading and hashing take
no time; what these take for true shards is their size by the rate at which MD5 reads, which is printed too. Prints
files, and seconds of ``dvc commit`` of all, of ``dvc status`` and ``dvc repro`` when nothing changed (the better of
two), and of ``dvc status`` when one shard did; and of processors.
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from stages.engine.shards import shard_count
from tests.bench.bench_noop import dvc, repro

TURNS = 2


def project(folder: Path, samples: int, outputs: int) -> int:
    """A chain of stages with their shards; returns how many files there are."""
    stages, before = {}, "source"
    (folder / before).write_text("0")
    for number in range(outputs):
        out = f"data/stage-{number:02d}"
        (folder / out).mkdir(parents=True)
        for shard in range(shard_count(samples)):
            (folder / out / f"part-{shard:02d}.parquet").write_text(f"{out} {shard}")
        stages[f"stage-{number:02d}"] = {"cmd": "true", "deps": [before], "outs": [out]}
        before = out
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    (folder / ".gitignore").write_text("/data/\n")
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n[cache]\n    type = hardlink,copy\n")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return outputs * shard_count(samples)


def timed(work: Callable[[], object], turns: int = 1) -> tuple[float, float]:
    """Seconds by the clock, and of processors, of the better of some turns of what child processes do."""
    found = []
    for _ in range(turns):
        began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        work()
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        found.append((time.perf_counter() - began, spent))
    return min(found, key=lambda pair: pair[1])


def hashing() -> float:
    """Bytes a second of MD5, of what is in memory."""
    block, began = bytes(64 << 20), time.process_time()
    hashlib.md5(block, usedforsecurity=False)
    return len(block) / (time.process_time() - began)


def measured(folder: Path) -> dict[str, tuple[float, float]]:
    """Seconds by the clock and of processors of what DVC does in a project."""
    took = {"commit": timed(lambda: dvc(folder, "commit", "--force"))}
    took["status"] = timed(lambda: dvc(folder, "status"), TURNS)
    took["repro"] = timed(lambda: repro(folder), TURNS)
    changed = folder / "data/stage-00/part-00.parquet"
    changed.unlink()  # it is a link to what the cache holds
    changed.write_text("changed")
    return took | {"status, one changed": timed(lambda: dvc(folder, "status"))}


def main(arguments: list[str] | None = None) -> dict[int, dict[str, float]]:
    """Print the figures and return seconds of processors by number of samples."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--outputs", type=int, default=10)
    given = parser.parse_args(arguments)
    print(f"MD5 reads {hashing() / 1e9:.2f} GB a second", flush=True)
    found = {}
    for samples in given.samples:
        with tempfile.TemporaryDirectory() as temporary:
            files = project(Path(temporary), samples, given.outputs)
            took = measured(Path(temporary))
        print(f"{samples:,} samples: {given.outputs} outputs of {shard_count(samples):,} shards, {files:,} files")
        for name, (clock, spent) in took.items():
            each = f"{1e3 * spent / files:9.2f} ms a file"
            print(f"  {name:20}{spent:9.1f} s of processors {clock:9.1f} s {each}", flush=True)
        found[samples] = {name: spent for name, (_, spent) in took.items()}
    return found


if __name__ == "__main__":
    main()
