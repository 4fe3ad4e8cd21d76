"""dvc.yaml against the code: each stage depends on what it imports, and on nothing that is not there."""

import ast
from pathlib import Path

import pytest
import yaml

from registry.store.dag import STAGES as TABLE
from tests.imports import ROOT, closure, imports

STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
ADAPTERS = {"inpainters", "captioners", "chat", "encoders", "measures", "embedders", "corpora"}


def body(stage: str) -> dict:
    return STAGES[stage].get("do", STAGES[stage])


def module(stage: str) -> Path:
    path = Path(*body(stage)["cmd"].split()[2].split("."))
    return path / "__main__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")


def needed(stage: str) -> set[Path]:
    """What a stage imports: its own closure, where catalogues lead to all adapters of the role it uses and no other."""
    code = closure(module(stage), catalogues=False)
    listed = [Path(dep) for dep in body(stage)["deps"]]
    reached = {other for file in code for other in imports(file) if len(other.parts) > 2}
    own = {other for other in reached if any(other.is_relative_to(dep) for dep in listed)}
    return code.union(*(closure(file, catalogues=False) for file in own)) if own else code


def bare(file: Path) -> bool:
    """Whether a file says what a package is, and no more."""
    return file.name == "__init__.py" and len(ast.parse((ROOT / file).read_text()).body) <= 1


@pytest.mark.parametrize("stage", STAGES)
def test_every_import_is_a_dependency(stage):
    deps = [Path(dep) for dep in body(stage)["deps"]]
    missing = [file for file in needed(stage) if not any(file.is_relative_to(dep) for dep in deps) and not bare(file)]
    assert not missing


@pytest.mark.parametrize("stage", STAGES)
def test_every_code_dependency_is_imported(stage):
    used = needed(stage)
    files = ("data/", "$", "models/pocket/weights", "annotations")
    code = [Path(d) for d in body(stage)["deps"] if not d.startswith(files)]
    assert all((ROOT / dep).exists() for dep in code)
    assert [dep for dep in code if not any(file.is_relative_to(dep) for file in used)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_the_run_cache_works(stage):
    """DVC's run cache needs a dependency, and a colleague's `dvc pull` every output: it pushes what it caches.

    index alone must run: what it does is in the registry. Its one file is written as a whole.
    """
    assert body(stage)["deps"]
    kept = body(stage)["outs"]
    if stage == "index":
        assert kept == [{"data/index.json": {"persist": True}}]
    else:
        assert all(isinstance(out, str) for out in kept), "no persist, no cache: false"


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_tracks_the_parameters_it_reads(stage):
    sections = set(yaml.safe_load((ROOT / "params.yaml").read_text()))
    assert {param.partition(".")[0] for param in body(stage)["params"]} <= sections
    assert "study" in body(stage)["params"]


def test_pictures_are_not_compared_again_where_a_measure_of_captions_changes():
    for stage in STAGES:
        code = [Path(dep) for dep in body(stage)["deps"]]
        reads = any(Path("models/measures/captions/lexical.py").is_relative_to(dep) for dep in code)
        assert reads == (stage in ("quality", "index")), stage


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_stages_says_what_dvc_yaml_says(name):
    """Entries, outputs and inputs; a stage that reads an input of its own entry alone names it so."""
    row, stanza = TABLE[name], body(name)
    assert list(STAGES) == list(TABLE)
    assert STAGES[name].get("foreach") == (f"${{{row.section}}}" if row.section and row.each else None)
    entry = "${key}" if "foreach" in STAGES[name] else ""
    if row.kind:
        assert stanza["outs"] == [
            str(row.folder(entry)),
            f"data/provenance/{row.addressed(entry)}.parquet",
            f"data/runs/{row.addressed(entry)}.json",
        ]
        assert "metrics" not in stanza, "a link to a run says when and where, which nobody compares"
        assert stanza["cmd"] == f"python -m stages.{name}", "no name of params.yaml reaches the shell"
        assert f"stages/{name}.py" in stanza["deps"]
        assert any(param.partition(".")[0] == row.section for param in stanza["params"])
    data = {Path(dep).parts[1] for dep in stanza["deps"] if dep.startswith("data/") and not dep.endswith("provenance")}
    assert data == {f"{made}.json" if made == "index" else made for made in row.inputs}


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row.kind])
def test_a_change_in_pins_lineage_or_reports_runs_no_stage_again_that_computes(name):
    own = {"registry/store", "registry/tracking"}
    assert {dep for dep in body(name)["deps"] if dep.startswith(("registry", "reports"))} == own
    assert not {dep for dep in body(name)["deps"] if dep.startswith("stages/")} - {
        "stages/engine",
        "stages/corpora",
        f"stages/{name}.py",
    }
