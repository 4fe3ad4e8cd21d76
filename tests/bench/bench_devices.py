"""One study on the CPU and on the GPU: are the results the same, within tolerances that are stated beforehand?

    python -m tests.bench.bench_devices [--params params.yaml] [--count N] [--folder build/devices]

Runs `dvc repro` twice at once, each in a copy of this working tree with a registry and an object store of its own; one
copy sees no GPU. Then compares every repainted picture, caption and measurement, place by place, and prints the GPU's
name and the system metrics that MLflow was told. A run that was cut off goes on where it stopped when the command is
given again; delete the folder to begin anew. Ends with 1 where something lies outside its tolerance.

What a device changes by itself is seen where its inputs were the same bytes, and those items have equal keys:

- stages that run on the CPU on both sides: no difference at all;
- repainted pictures: 99 % of the hole's pixels within 2 levels of 255, and as little drift outside. Noise is drawn on
  the CPU on both sides, so what differs is rounding, in float32, over the sampler's steps. (Convolutions in TF32, which
  torch allows by default, round to 10 bits; NVIDIA_TF32_OVERRIDE=0 in the environment tells whether it is they.)
- captions: 98 % the same words, since a beam search turns where two continuations are equally good;
- measurements: 1e-5 at most.

Further on, differences add up, and what must hold is what a study concludes from: the mean of a metric over a cell
moves by less than a tenth of that metric's standard deviation over items.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import yaml

from models.media.images import decode_mask, decode_png
from stages.engine.shards import DISK

ROOT = Path(__file__).resolve().parents[2]
SIDES = ("cpu", "gpu")
LEFT = {"build", "data", "tests", "dvc.lock", ".git", ".palimpsest", ".venv"}
"""What of a working tree a study does not need."""
FOREIGN = ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "PALIMPSEST_STRICT", "MLFLOW_TRACKING_URI")
AXES = ("corpus", "sample", "degradation", "inpainter", "captioner")
COMPARED = ("inpaint", "caption", "fidelity", "quality")
LEVELS, PIXELS, CAPTIONS, NUMBERS, CELLS = 2, 0.99, 0.98, 1e-5, 0.1

Place = tuple[str | None, ...]
Rows = Mapping[Place, Mapping[str, Any]]


class Finding(NamedTuple):
    """One line of the comparison."""

    stage: str
    text: str
    within: bool


def clone(folder: Path, params: Mapping[str, Any]) -> Path:
    """A copy of this working tree with a study. What was computed there before stays, for DVC to judge."""
    hidden = shutil.ignore_patterns("__pycache__", ".*_cache")

    def left(where: str, names: list[str]) -> set[str]:
        here = Path(where)
        unwanted = LEFT if here == ROOT else {"cache", "tmp"} if here == ROOT / ".dvc" else set()
        return (unwanted & set(names)) | set(hidden(where, names))

    shutil.copytree(ROOT, folder, ignore=left, dirs_exist_ok=True)
    (folder / ".dvc/config.local").write_text("[core]\n    no_scm = true\n")
    (folder / "params.yaml").write_text(yaml.safe_dump(dict(params), sort_keys=False))
    return folder


def start(folder: Path, side: str, *targets: str) -> subprocess.Popen[bytes]:
    """`dvc repro` in a clone, its output in ``repro.log`` there."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    if side == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    command = [sys.executable, "-m", "dvc", "repro", *targets]
    with (folder / "repro.log").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)


def links(folder: Path) -> dict[str, dict[str, Any]]:
    """The run links of a clone by stage."""
    found = (json.loads(path.read_text()) for path in sorted((folder / "data/runs").glob("*.json")))
    return {link["stage"]: link for link in found}


def rows(folder: Path) -> Rows:
    """What a stage gave, by place."""
    found = (row for row in DISK.rows(folder) if row["status"] == "ok")
    return {tuple(row.get(axis) for axis in AXES): row for row in found}


def device_of(folder: Path, stage: str) -> str:
    """Where a clone computed a stage's items."""
    found = pq.read_table(folder / f"data/provenance/{stage}.parquet", columns=["device"])["device"].unique()
    return "cuda" if "cuda" in found.to_pylist() else "cpu"


def compare(cpu: Path, gpu: Path) -> Iterator[Finding]:
    """What differs between two clones, stage by stage; ``data`` of both is complete."""
    masks = {
        (row["corpus"], row["sample"], row["degradation"]): row["mask"]["bytes"]
        for row in DISK.rows(cpu / "data/degrade", ("corpus", "sample", "degradation", "mask"))
        if row["mask"]
    }
    for kind in COMPARED:
        for one in sorted((cpu / "data" / kind).iterdir()):
            stage = f"{kind}@{one.name}"
            left, right = rows(one), rows(gpu / "data" / kind / one.name)
            if left.keys() != right.keys():
                yield Finding(stage, f"{len(left.keys() ^ right.keys())} items are on one side only", False)
                continue
            same = [place for place in left if left[place]["key"] == right[place]["key"]]
            exact = device_of(gpu, stage) == "cpu"
            if kind == "inpaint":
                yield pictures(stage, exact, left, right, same, masks)
            if kind == "caption":
                yield captions(stage, exact, left, right, same)
            tolerance = 0.0 if exact else LEVELS / 255 if kind == "inpaint" else NUMBERS
            yield from numbers(stage, tolerance, left, right, same)


def pictures(
    stage: str, exact: bool, left: Rows, right: Rows, same: list[Place], masks: Mapping[Place, bytes]
) -> Finding:
    """Differences in the hole, in levels of 255."""
    if not same:
        return Finding(stage, "no item had the same inputs on both sides", False)
    differences = []
    for place in same:
        one, other = (decode_png(side[place]["image"]["bytes"]).astype(int) for side in (left, right))
        differences.append(np.abs(one - other)[decode_mask(masks[place[:3]])].ravel())
    every = np.concatenate(differences)
    near, most, mean = (every <= LEVELS).mean(), every.max(), every.mean()
    text = f"{near:7.2%} of the hole within {LEVELS} levels, {mean:.3f} on average, {most:.0f} at most"
    return Finding(stage, f"{text} ({count(same, left)})", most == 0 if exact else near >= PIXELS)


def captions(stage: str, exact: bool, left: Rows, right: Rows, same: list[Place]) -> Finding:
    """How many say the same."""

    def share(places: list[Place]) -> float:
        return sum(left[place]["caption"] == right[place]["caption"] for place in places) / max(len(places), 1)

    text = f"{share(same):7.2%} the same words of the same pictures ({count(same, left)}), {share([*left]):.2%} of all"
    return Finding(stage, text, share(same) >= (1 if exact else CAPTIONS))


def numbers(stage: str, tolerance: float, left: Rows, right: Rows, same: list[Place]) -> Iterator[Finding]:
    """Each metric: per item where inputs are the same, and the means of cells."""
    metrics = sorted({name for row in left.values() for name, value in row.items() if isinstance(value, float)})
    for metric in metrics:
        pairs = {place: (left[place][metric], right[place][metric]) for place in left}
        known = {place: pair for place, pair in pairs.items() if None not in pair}
        gaps = [abs(known[place][0] - known[place][1]) for place in same if place in known] or [0.0]
        lost = sum(pair.count(None) == 1 for pair in pairs.values())
        cells: dict[Place, list[tuple[float, float]]] = defaultdict(list)
        for (corpus, _, *axes), pair in known.items():
            cells[corpus, *axes].append(pair)
        means = [[statistics.fmean(side) for side in zip(*cell, strict=True)] for cell in cells.values()]
        spread = statistics.pstdev(pair[0] for pair in known.values()) if known else 0.0
        moved = max((abs(one - other) for one, other in means), default=0.0)
        share = moved / spread if spread else float(moved > 0)
        text = (
            f"{metric:18} {statistics.fmean(gaps):.1e} on average, {max(gaps):.1e} at most ({count(same, left)}); "
            f"a cell's mean moves by {share:.3f} standard deviations at most"
        )
        within = max(gaps) <= tolerance and share <= CELLS and not lost
        yield Finding(stage, text, within)


def count(same: list[Place], every: Rows) -> str:
    return f"{len(same)} of {len(every)} items"


def heard(folder: Path) -> Iterator[str]:
    """What MLflow was told of the devices and of their load."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{folder.resolve()}/.palimpsest/mlflow.db")
    devices: dict[str, set[str]] = defaultdict(set)
    points: dict[str, list[float]] = defaultdict(list)
    for experiment in client.search_experiments():
        for run in client.search_runs(experiment.experiment_id, max_results=50_000):
            if "device" in run.data.tags:
                devices[run.data.tags["device"]].add(run.data.tags["dvc.stage"])
            for name in run.data.metrics:
                if name.startswith("system/"):
                    points[name] += [point.value for point in client.get_metric_history(run.info.run_id, name)]
    for name, stages in sorted(devices.items()):
        yield f"{name}: {', '.join(sorted(stages))}"
    for name, values in sorted(points.items()):
        yield f"{name}: {statistics.fmean(values):.1f} on average, {max(values):.1f} at most, {len(values)} points"


def study(path: Path, limit: int | None) -> dict[str, Any]:
    """A params.yaml, with no more than ``limit`` samples a corpus."""
    params = yaml.safe_load(path.read_text())
    for entry in params["corpora"].values():
        if limit and "count" in entry:
            entry["count"] = min(limit, entry["count"])
    return params


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml", help="the study")
    parser.add_argument("--count", type=int, help="samples of a corpus, at most")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/devices", help="where both copies are")
    given = parser.parse_args(arguments)
    import torch

    if not torch.cuda.is_available():
        print("No GPU here, so there is nothing to compare the CPU with.")
        return 0
    params = study(given.params, given.count)
    folders = {side: clone(given.folder / side, params) for side in SIDES}
    running = {side: start(folder, side) for side, folder in folders.items()}
    for side, process in running.items():
        if process.wait():
            print("\n".join((folders[side] / "repro.log").read_text().splitlines()[-20:]))
            print(f"The study did not finish on the {side}; what it said is in {folders[side] / 'repro.log'}.")
            return 1
    print(f"{torch.cuda.get_device_name()}, study {params['study']}")
    both = [links(folder) for folder in folders.values()]
    for stage in sorted(both[0]):
        print(f"{stage:40} cpu {both[0][stage]['seconds']:7.1f} s   gpu {both[1][stage]['seconds']:7.1f} s "
              f"({both[1][stage]['device']})")  # fmt: skip
    findings = list(compare(*folders.values()))
    for finding in findings:
        print(f"{'within ' if finding.within else 'OUTSIDE'} {finding.stage:36} {finding.text}")
    print("\n".join(heard(folders["gpu"])))
    outside = sum(not finding.within for finding in findings)
    print(f"{outside} of {len(findings)} comparisons lie outside their tolerance.")
    return min(outside, 1)


if __name__ == "__main__":
    sys.exit(main())
