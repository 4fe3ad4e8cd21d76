"""Every study file that is shipped: DVC reads it as we do, and the check of `palimpsest plan` passes it.

Checkpoints that a study's comments tell one to fetch or to convert (``./checkpoints/…``) are stood in for by empty
files, which the check digests, the folders of corpora by empty ones, and files of prompts by one prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.utils.serialize import load_yaml

from stages.care.check import check
from stages.engine.study import read_study

ROOT = Path(__file__).resolve().parents[2]
FILES = [ROOT / "params.yaml", *sorted((ROOT / "studies").glob("*.yaml"))]


def texts(value: Any) -> Iterator[str]:
    """Every text in nested settings."""
    if isinstance(value, str):
        yield value
    else:
        for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from texts(one)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_dvc_reads_it_as_we_do(file):
    assert load_yaml(str(file)) == yaml.safe_load(file.read_text()), "merge keys included"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_model_can_be_made_and_is_pinned(file, tmp_path, monkeypatch):
    checkout, study = tmp_path / "checkout", yaml.safe_load(file.read_text())
    checkout.mkdir()
    monkeypatch.chdir(checkout)
    Path("models").symlink_to(ROOT / "models")
    for name in {text for text in texts(study) if text.startswith("./checkpoints/")}:
        held = ("model.safetensors", "adapter_config.json", "adapter_model.safetensors")
        for there in [Path(name)] if Path(name).suffix else [Path(name, one) for one in held]:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.touch()
    for corpus in study["corpora"].values():
        Path(corpus["path"]).mkdir(parents=True, exist_ok=True)
    for entry in (study.get("prompts") or {}).values():
        for category in entry.get("categories", ()):
            Path(entry["path"]).mkdir(exist_ok=True)
            Path(entry["path"], f"{category}_val.txt").write_text("a red ring to the left of a blue star\n")
    check(read_study(file))


def test_a_checkpoint_that_was_not_converted_is_named(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "shared/data/gtzan/genres").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="./checkpoints/.* does not exist"):
        check(read_study(ROOT / "studies/gtzan.yaml"))


def test_the_guidance_study_sweeps_across_the_plateau_of_figure_10():
    study = read_study(ROOT / "studies/guidance.yaml")
    swept = {name: entry["guidance"] for name, entry in study.variants("inpainters").items()}
    for model in ("sd15", "sd2", "sd3"):
        scales = sorted(scale for name, scale in swept.items() if name.startswith(f"{model}/"))
        assert {7.0, 7.5} < set(scales) and scales[0] == 1 and sum(scale > 7.5 for scale in scales) > 2


def test_the_music_study_has_the_models_of_appendix_f():
    study = read_study(ROOT / "studies/gtzan.yaml")
    adapters = {entry["adapter"] for entry in study.variants("inpainters").values()}
    assert {"stable-diffusion", "stable-diffusion-controlnet"} < adapters
    assert study.entry("captioners", "lp-music-caps")["adapter"] == "lp-music-caps"
    assert study.entry("fidelity", "clap")["adapter"] == "clap"
    assert study.entries("corpora")["gtzan"]["per_genre"] == 50
