from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from models.measures import scoring
from models.measures.captions.java import JavaMissing
from models.measures.captions.lexical import Lexical
from models.measures.captions.meteor import Meteor, MeteorError
from models.measures.scoring import score_captions, score_images

EXAMPLE = Path(__file__).resolve().parents[3] / "../shared/data/nlg_eval_example"
REFERENCES = {"1": ["a man rides a horse", "someone on a horse"], "2": ["two dogs play"]}
CAPTIONS = {"1": ["a man on a horse"], "2": ["dogs play"]}


@pytest.fixture
def shared_process(meteor: Meteor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scorer made meanwhile speaks with the tests' one METEOR, and leaves it running."""
    monkeypatch.setattr("models.measures.captions.lexical.Meteor", lambda: meteor)
    monkeypatch.setattr(Lexical, "close", lambda self: None)


def test_form(shared_process: None) -> None:
    scores = score_captions(CAPTIONS, REFERENCES, ["bleu", "meteor", "rouge_l", "cider"], "none")
    assert list(scores) == ["corpus", "items"]
    names = {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "meteor", "rouge_l", "cider"}
    assert set(scores["corpus"]) == names
    assert {key: set(item) for key, item in scores["items"].items()} == {"1": names, "2": names}
    assert json.loads(json.dumps(scores)) == scores


def test_published_scores_after_ptb(shared_process: None) -> None:
    """nlg-eval's example is lower case without punctuation, so its scores hold for both tokenizers."""
    if not EXAMPLE.is_dir():
        pytest.skip("needs ../shared/data/nlg_eval_example")
    lines = {name: (EXAMPLE / f"{name}.txt").read_text().splitlines() for name in ("hyp", "ref1", "ref2")}
    captions = {str(index): [text] for index, text in enumerate(lines["hyp"])}
    references = {str(index): list(pair) for index, pair in enumerate(zip(lines["ref1"], lines["ref2"], strict=True))}
    published = json.loads((EXAMPLE / "published_scores.json").read_text())["corpus_hyp_ref1_ref2"]
    scores = score_captions(captions, references, ["bleu", "meteor", "rouge_l", "cider"], "ptb")
    expected = {name.lower(): value for name, value in published.items()}
    assert scores["corpus"] == pytest.approx(expected, abs=1e-6)


def test_only_what_is_asked() -> None:
    scores = score_captions(CAPTIONS, REFERENCES, ["rouge_l"], "none")
    assert set(scores["corpus"]) == {"rouge_l"}


def test_what_cannot_be_had_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    scores = score_captions(CAPTIONS, REFERENCES, tokenizer="none")
    assert "no `java` on the PATH" in scores["unavailable"]["meteor"]
    assert "name a sentence-transformers checkpoint" in scores["unavailable"]["sbert"]
    assert set(scores["corpus"]) == {"bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "rouge_l_recall", "cider"}
    with pytest.raises(JavaMissing, match="choose tokenizer 'none'"):
        score_captions(CAPTIONS, REFERENCES, ["bleu"], "ptb")


def test_a_java_that_does_not_work_makes_meteor_unavailable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "java").write_text("#!/bin/sh\necho 'no runtime' >&2\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    scores = score_captions(CAPTIONS, REFERENCES, ["meteor", "rouge_l"], "none")
    assert "no runtime" in scores["unavailable"]["meteor"]
    assert set(scores["corpus"]) == {"rouge_l"}


@pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")
def test_a_caption_that_meteor_cannot_align_lacks_only_meteor(
    shared_process: None, monkeypatch: pytest.MonkeyPatch, meteor: Meteor
) -> None:
    def statistics(caption: str, references: list[str]) -> str:
        raise MeteorError("METEOR gave no answer within 60 s")

    monkeypatch.setattr(meteor, "statistics", statistics)
    scores = score_captions(CAPTIONS, REFERENCES, ["meteor", "rouge_l"], "none")
    assert "no corpus value: 2 of 2 captions could not be aligned, first '1'" in scores["unavailable"]["meteor"]
    assert set(scores["items"]["1"]) == {"rouge_l"}


@pytest.mark.parametrize(
    ("captions", "references", "options", "message"),
    [
        (
            CAPTIONS,
            REFERENCES,
            {"metrics": ["ciderr"]},
            'There is no metric "ciderr"; did you mean "cider"',
        ),
        (CAPTIONS, REFERENCES, {"tokenizer": "pbt"}, 'There is no tokenizer "pbt"; did you mean "ptb"'),
        ({"1": ["a", "b"], "2": ["c"]}, REFERENCES, {}, "the captions of '1' are .* expected a list of one caption"),
        ({"1": "a", "2": ["c"]}, REFERENCES, {}, "the captions of '1' are 'a': expected a list"),
        ({"1": [], "2": ["c"]}, REFERENCES, {}, "expected a list of one caption"),
        ({"1": [3], "2": ["c"]}, REFERENCES, {}, "the caption of '1' is 3: expected a text"),
        (CAPTIONS | {"11": ["x"]}, REFERENCES, {}, "'11' has a caption but no references: did you mean '1'"),
        ({"1": ["a"]}, REFERENCES, {}, "1 of 2 ids have references but no caption, first '2'"),
        (CAPTIONS, REFERENCES | {"2": []}, {}, "'2' has no references"),
        ([["a"]], REFERENCES, {}, r"the captions are \[\['a'\]\]: expected id → list of texts"),
        (CAPTIONS, {}, {}, "the references are {}: expected id"),
    ],
)
def test_input_is_checked(captions: dict, references: dict, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score_captions(captions, references, **{"metrics": ["rouge_l"], "tokenizer": "none"} | options)


def picture(seed: int, side: int = 20) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)


def test_images_without_a_mask_have_the_whole_only() -> None:
    scores = score_images(picture(0), picture(1))
    assert {name: set(values) for name, values in scores.items() if name != "unavailable"} == dict.fromkeys(
        ("mse", "psnr", "ssim"), {"whole"}
    )
    assert "name a trunk's weights" in scores["unavailable"]["lpips"]


def test_images_with_a_mask_have_every_region() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:10] = True
    painted = np.where(mask[..., None], picture(1), picture(0))
    scores = score_images(picture(0), painted, mask, ["mse", "psnr"])
    assert set(scores) == {"mse", "psnr"}
    assert scores["mse"]["outside"] == 0
    assert scores["psnr"]["outside"] is None
    assert scores["mse"]["region"] * 0.25 == pytest.approx(scores["mse"]["whole"])


def test_small_images_lack_what_needs_a_window() -> None:
    class Small:
        def load(self) -> None: ...

        def measure(self, *pair: object) -> list:
            raise ValueError("too small for LPIPS")

    scores = score_images(picture(0, 1), picture(1, 1), lpips=Small())
    assert scores["unavailable"] == {
        "ssim": "SSIM's window is 11 pixels wide, and the pictures are smaller",
        "lpips": "too small for LPIPS",
    }
    assert set(scores) == {"mse", "psnr", "unavailable"}


def test_images_are_checked() -> None:
    with pytest.raises(ValueError, match="the original is 20 × 20 pixels and the result 19 × 19"):
        score_images(picture(0), picture(1, 19))
    with pytest.raises(ValueError, match='There is no metric "pnsr"; did you mean "psnr"'):
        score_images(picture(0), picture(1), metrics=["pnsr"])


def test_selectors_cover_the_table_but_for_what_studies_alone_measure() -> None:
    from models.adapters import catalogue
    from models.measures.captions.amber import Amber
    from models.measures.captions.chair import Chair
    from models.measures.captions.composed import Sentences
    from models.measures.captions.grounding import Grounding
    from models.measures.captions.lengths import Lengths
    from models.measures.captions.own import Own
    from models.measures.captions.words import Words
    from models.measures.declared import declared
    from models.measures.embeddings import drift, projection

    judges = [
        catalogue.target(role, name).METRICS
        for role in ("prompted", "benchmarks")
        for name in catalogue.CATALOGUE[role]
    ]
    judges += [target.METRICS for name in catalogue.CATALOGUE["measures"]
               if "judged" in (target := catalogue.target("measures", name)).__module__]  # fmt: skip
    alone = (Amber, Grounding, Chair, Lengths, Own, Sentences, Words)
    tables = (*(one.METRICS for one in alone), drift.METRICS, projection.METRICS, *judges)
    studies = {"clap", "simcse_sup", "simcse_unsup", "clipscore", "refclipscore", "clip_cosine"}
    studies |= {metric.name for metrics in tables for metric in metrics}
    expanded = {
        name for one in scoring.CAPTION_METRICS for name in declared() if name == one or name.startswith(f"{one}_")
    }
    assert expanded | set(scoring.IMAGE_METRICS) == set(declared()) - studies
