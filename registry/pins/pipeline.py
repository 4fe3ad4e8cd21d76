"""What DVC's graph knows of an artifact: the outputs that it is, and the stages behind them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pyarrow.parquet as pq

from registry.pins.content import content_at
from registry.store import places
from registry.store.params import parsed

PROVENANCE = "data/provenance/"


def outputs(repo: Any, path: str) -> list[Any]:
    """The outputs at, above or below a path."""
    place = repo.fs.join(repo.root_dir, path)
    isin = repo.fs.isin_or_eq
    return [
        out
        for out in repo.index.outs
        if out.protocol == "local" and (isin(place, out.fs_path) or isin(out.fs_path, place))
    ]


def check_unchanged(repo: Any, path: str) -> None:
    """Check that outputs are what ``dvc.lock`` says, which is what others would get; raises ``ValueError``."""
    for out in outputs(repo, path):
        if out.use_cache and out.exists and out.workspace_status():
            raise ValueError(
                f"{out.def_path} is not what dvc.lock says; `dvc repro`, `dvc commit` or `dvc checkout` it."
            )


def behind(repo: Any, files: Any, path: str) -> dict[str, Any]:
    """The study and the executions behind an artifact: of the stages that make it, and of all that lead to these.

    ``files`` are those of the commit. An execution is behind it if it computed one of the items, or wrote the output
    here and recalled them all.
    """
    import networkx

    makers = {out.stage for out in outputs(repo, path)}
    stages = makers.union(*(networkx.descendants(repo.index.graph, stage) for stage in makers))
    names = {stage.name for stage in stages if hasattr(stage, "name")}
    if not names:
        return {"study": None, "runs": []}
    params = content_at(files, "params.yaml").open("params.yaml")
    kept = [out.def_path for stage in stages for out in stage.outs if out.def_path.startswith(PROVENANCE)]
    runs = computed(files, kept) | wrote(names)
    return {"study": parsed(params.read(), "params.yaml")["study"], "runs": sorted(runs)}


def computed(files: Any, provenance: Iterable[str]) -> set[str]:
    """The executions that computed the items of some outputs, from the tables beside them."""
    found = set()
    for path in provenance:
        with content_at(files, path).open(path.removeprefix(PROVENANCE)) as file:
            found.update(pq.read_table(file, columns=["id"])["id"].to_pylist())
    return found


def wrote(stages: Iterable[str]) -> set[str]:
    """The executions that wrote the outputs of some stages here last, from their run links."""
    links = [places.root() / "data/runs" / f"{stage}.json" for stage in stages]
    return {json.loads(link.read_text())["mlflow_run_id"] for link in links if link.exists()}
