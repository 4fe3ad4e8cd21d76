"""Several candidates of a captioner, scored as the first of them, as their mean and as the best of them."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pyarrow as pa
import pytest

from registry.store.dag import TEXTS
from registry.store.keys import item_key
from stages import quality
from stages.engine.entries import Adapted
from stages.engine.shards import DISK, write_shard

ROUGE = {"adapter": "lexical", "metrics": ["bleu", "rouge_l"], "tokenizer": "none"}
SAID = {
    "a": ("a red star on the sky", ["a blue ring", "a red star", "a red star on a sky"]),
    "b": ("two green rings", ["two green rings", "rings", "a star"]),
}
"""Sample -> reference and candidates, the first of which is its caption."""


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    common = {"corpus": "scenes", "key": "k", "parents": [], "parts": "{}", "value": "{}", "status": "ok"}
    common["reason"] = None
    prepared = [common | {"sample": name, "references": [reference]} for name, (reference, _) in SAID.items()]
    write_shard(Path("data/prepare/scenes/part-00.parquet"), prepared, [("references", TEXTS)])
    captioned = [
        common | dict.fromkeys(quality.STAGE.axes) | {"captioner": "blip", "sample": name}
        | {"caption": texts[0], "candidates": texts}
        for name, (_, texts) in SAID.items()
    ]  # fmt: skip
    fields = [*((axis, pa.string()) for axis in quality.STAGE.axes), ("caption", pa.string()), ("candidates", TEXTS)]
    write_shard(Path("data/caption/blip/scenes/part-00.parquet"), captioned, fields)


CAPTIONED = Path("data/caption/blip")


def planned(**choice: str) -> tuple[quality.Scorer, list, list]:
    measure = Adapted("lexical", ROUGE | choice, "quality")
    (_, items), (_, wholes) = quality.plan(measure, ["scenes"], [CAPTIONED], DISK)
    return quality.Scorer(measure, [CAPTIONED]), items, wholes


def scored(**choice: str) -> tuple[list[dict], dict]:
    """Values of the samples, and of the corpus."""
    scorer, items, wholes = planned(**choice)
    [whole] = scorer.compute(wholes, [0])
    return [outcome.value for outcome in scorer.compute(items, [0, 0])], whole.value


def alone(place: int) -> tuple[list[dict], dict]:
    """Values of the candidates of one place, by pycocoevalcap: a witness that knows of no candidates."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.rouge.rouge import Rouge

    gts = {name: [reference] for name, (reference, _) in SAID.items()}
    res = {name: [texts[place]] for name, (_, texts) in SAID.items()}
    corpus, items = Bleu().compute_score(gts, res, verbose=0)
    rouge, rouges = Rouge().compute_score(gts, res)
    names = ("bleu_1", "bleu_2", "bleu_3", "bleu_4")
    values = [
        dict(zip(names, one, strict=True)) | {"rouge_l": r}
        for one, r in zip(zip(*items, strict=True), rouges, strict=True)
    ]
    return values, dict(zip(names, corpus, strict=True)) | {"rouge_l": rouge}


def test_the_first_is_what_was_always_scored():
    items, whole = alone(0)
    for choice in ({}, {"candidates": "first"}):
        assert scored(**choice) == (items, pytest.approx(whole | {"items": 2}))


def test_the_mean_and_the_best_of_an_item_are_those_of_its_candidates_scored_alone():
    by_place = [alone(place)[0] for place in range(3)]
    for choice, of in (("mean", fmean), ("best", max)):
        expected = [{name: of([one[name] for one in some]) for name in some[0]} for some in zip(*by_place, strict=True)]
        assert scored(candidates=choice)[0] == [pytest.approx(one) for one in expected]


def test_the_corpus_of_the_mean_is_all_captions_and_that_of_the_best_the_best_ones():
    by_mean, by_best = (scored(candidates=choice)[1] for choice in ("mean", "best"))
    assert by_mean["rouge_l"] == pytest.approx(fmean(alone(place)[1]["rouge_l"] for place in range(3)))
    assert by_mean["items"] == by_best["items"] == 2
    # Of "a" the third candidate is best and of "b" the first: 8 of 9 words match, and lengths are those of references.
    assert by_best["bleu_1"] == pytest.approx(8 / 9)
    assert by_best["rouge_l"] >= alone(0)[1]["rouge_l"]


def test_only_another_choice_than_the_first_is_in_the_key():
    first, said, mean, best = (
        planned(**choice) for choice in ({}, *({"candidates": c} for c in ("first", "mean", "best")))
    )
    for group in (1, 2):
        keys = [[item_key("quality", task.parts) for task in one[group]] for one in (first, said, mean, best)]
        assert keys[0] == keys[1]
        assert len({key for some in keys for key in some}) == 3 * len(keys[0])


def test_a_choice_that_is_none_is_refused():
    with pytest.raises(ValueError, match='no choice of candidates .entry lexical. "mena"; did you mean "mean"'):
        planned(candidates="mena")
