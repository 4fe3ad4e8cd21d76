"""``dvc push`` and ``dvc pull`` of pictures in the shards that stages write, against one file each.

    python -m tests.bench.bench_sharing [pictures] [--remote URL]

Pictures are 64 × 64 PNGs of generated scenes. The remote is a folder, by default a temporary one; ``--remote`` names
another, such as ``ssh://host/folder``, which must not hold the pictures yet. Another project pulls what one has pushed.
Prints seconds and the ratio of one file each to shards.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from models.media.images import encode_png
from models.worlds import example
from registry.store.dag import IMAGE
from registry.store.keys import digest
from stages.engine.shards import image, shard_count, shard_of, write_shard

WAYS = ("shards", "files")
DONE = {"push": re.compile(r"(\d+) files? pushed"), "pull": re.compile(r"(\d+) files? (added|fetched)")}


def dvc(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *command], cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"dvc {' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return done.stdout


def draw(folder: Path, count: int) -> None:
    """The same pictures both ways."""
    (folder / "files").mkdir(parents=True)
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for index in range(count):
        sample, data = f"{index:05}", encode_png(example("scenes", 0, index).picture)
        (folder / "files" / f"{sample}.png").write_bytes(data)
        row = {"corpus": "scenes", "sample": sample, "key": digest(data), "parents": [], "status": "ok"}
        rows[shard_of(sample, shard_count(count))].append(row | {"image": image(data, f"scenes/{sample}.png")})
    for name, some in rows.items():
        write_shard(folder / "shards" / name, some, [("image", IMAGE)])


def project(folder: Path, remote: str) -> Path:
    """A DVC project with a remote for each way."""
    lines = ["[core]", "    analytics = false", "    no_scm = true"]
    for way in WAYS:
        lines += [f"['remote \"{way}\"']", f"    url = {remote}/{way}"]
    (folder / ".dvc").mkdir(parents=True)
    (folder / ".dvc/config").write_text("\n".join(lines) + "\n")
    return folder


def seconds(folder: Path, command: str, way: str) -> float:
    """Until a push or pull is done; raises ``RuntimeError`` where there was nothing to send."""
    started = time.perf_counter()
    said = dvc(folder, command, "--remote", way, f"{way}.dvc")
    took = time.perf_counter() - started
    if not DONE[command].search(said):
        raise RuntimeError(f"dvc {command} had nothing to do; the remote must be empty: {said}")
    return took


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Print the figures and return the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", nargs="?", type=int, default=10_000)
    parser.add_argument("--remote", help="a folder or the URL of one; default a temporary folder")
    given = parser.parse_args(arguments)
    ratios = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        remote = given.remote or str(root / "remote")
        mine, theirs = (project(root / name, remote) for name in ("mine", "theirs"))
        draw(mine, given.pictures)
        dvc(mine, "add", *WAYS)
        for way in WAYS:
            shutil.copy(mine / f"{way}.dvc", theirs)
            found = [path.stat().st_size for path in (mine / way).iterdir()]
            print(f"{way:6}  {len(found):6,} files  {sum(found) / 1e6:8.1f} MB", flush=True)
        for command, folder in (("push", mine), ("pull", theirs)):
            shards, files = (seconds(folder, command, way) for way in WAYS)
            ratios[command] = files / shards
            print(
                f"{command}    shards {shards:8.2f} s   files {files:8.2f} s   ratio {files / shards:6.1f}", flush=True
            )
    return ratios


if __name__ == "__main__":
    main()
