"""`palimpsest recaption` with the pocket family: three generated scenes, with wrong captions and without."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from models.measures.captions.candidates import Candidate, Corpus
from models.measures.captions.grounding import Grounding
from palimpsest import app
from registry.store.dag import STAGES
from stages import recaption
from stages.corpora import Sample, open_corpus
from tests.conftest import ROOT


def test_pocket_models_caption_generated_scenes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    STAGES["recaption"] = recaption.STAGE
    Path("dvc.yaml").touch()
    for name in ("models", "studies"):
        Path(name).symlink_to(ROOT / name)
    Path("scenes").mkdir()
    scenes = [one for one in open_corpus("scenes", {"count": 3, "seed": 5}).samples() if isinstance(one, Sample)]
    for number, scene in enumerate(scenes):
        Image.fromarray(scene.picture()).save(f"scenes/{number}.png")
    wrong = scenes[0].references[0].replace("a little blue", "a little red")
    Path("scenes/0.txt").write_text(wrong)
    result = CliRunner().invoke(app, ["recaption", "scenes"])
    assert result.exit_code == 0, result.output
    assert "they know the generated worlds alone" in result.output
    records = [json.loads(line) for line in Path("captions.jsonl").read_text().splitlines()]
    assert [one["file_name"] for one in records] == ["0.png", "1.png", "2.png"]
    assert records[0]["first"] == wrong
    assert all(one["models"]["painter"]["checkpoint"].startswith("sha256:") for one in records)
    measure = Grounding()
    measure.fit(Corpus(annotations={one.sample: one.annotations for one in scenes}))
    texts = [wrong, *(one["caption"] for one in records)]
    of = [scenes[0], *scenes]
    found = measure.score(
        [Candidate(one.sample, text, (), one.annotations) for one, text in zip(of, texts, strict=True)]
    )
    before, *after = [values["attribute_precision"]["whole"] for values in found]
    assert before == 0.9 and after == [1.0, 1.0, 1.0], texts
    assert [values["object_recall"]["whole"] for values in found] == [1.0] * 4, texts
