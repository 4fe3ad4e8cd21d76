"""Measures that ask: ``quality@measure`` makes items of their questions, and the registry takes their numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from models.adapters import catalogue
from models.adapters.roles import Reply, Turn
from models.measures.declared import declared
from models.media.images import encode_png
from registry.store.dag import STAGES
from stages import quality
from stages.engine.loop import execute
from stages.engine.shards import DISK, WHOLE, image, write_shard
from stages.engine.study import Study
from stages.index.placing import measurements
from tests.stages.engine import toys

JOURNAL = Path("journal")
JUDGE = {"adapter": "toy-judge", "name": "toy-judge", "journal": str(JOURNAL)}
CAPSBENCH = {"adapter": "capsbench", "judge": "qwen"}
QUESTIONS = {
    "dark": [{"question": "a dog?", "answer": "yes", "category": "entity"}],
    "light": [
        {"question": "a dog?", "answer": "no", "category": "entity"},
        {"question": "red?", "answer": "yes", "category": "color"},
        {"question": "odd?", "answer": "yes", "category": "color"},
    ],
}


class Judge(toys.Toy):
    """Says yes to what is a word of the caption, "maybe" to what is odd, and else n/a."""

    def answer(self, conversations: Sequence[Sequence[Turn]], decoding: Any, seeds: Sequence[int]) -> list[list[Reply]]:
        self.note(f"answers {len(conversations)}")
        return [[Reply(self.judged(conversation[-1].text), "stop")] for conversation in conversations]

    def judged(self, text: str) -> str:
        if "dead" in text:
            raise RuntimeError("no connection")
        caption, _, question = text.partition("Caption: ")[2].partition("\nQuestion: ")
        if question == "odd?":
            return "maybe"
        return "yes" if question.strip("?").split()[-1] in caption.split() else "n/a"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Outputs of two samples with questions, captioned once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "CATALOGUE", {role: dict(some) for role, some in catalogue.CATALOGUE.items()})
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    catalogue.CATALOGUE["chat"]["toy-judge"] = "tests.stages.test_judged:Judge"
    captioned("a red dog", "a dog")
    yield tmp_path


def captioned(dark: str, light: str) -> None:
    kept: dict[str, list[dict[str, Any]]] = {"prepare": [], "caption/blip": []}
    for sample, caption in (("dark", dark), ("light", light)):
        common = {"corpus": "asked", "sample": sample, "status": "ok", "parents": []}
        png = image(encode_png(np.full((4, 4, 3), len(sample), np.uint8)), "")
        annotations = json.dumps({"questions": QUESTIONS[sample]})
        kept["prepare"].append(
            {**common, "key": f"p-{sample}", "image": png, "references": [], "annotations": annotations}
        )
        kept["caption/blip"].append({**common, "captioner": "blip", "key": f"c-{sample}", "caption": caption})
    for folder, rows in kept.items():
        node = STAGES[folder.partition("/")[0]]
        fields = [*((axis, pa.string()) for axis in node.axes), *node.fields]
        write_shard(Path("data") / folder / "asked/part-00.parquet", rows, fields)


def study(**entries: Any) -> Study:
    sections = {name: {} for name in ("degradations", "inpainters", "encoders", "fidelity", "recaptioners")}
    return Study(
        study="small",
        models={"qwen": JUDGE},
        corpora={"asked": {"adapter": "scenes", "path": "."}},
        captioners={"blip": {"adapter": "blip", "checkpoint": "somewhere", "beams": 1}},
        quality=entries,
        **sections,
    )


def run(entry: dict[str, Any], name: str = "bench") -> tuple[dict[str, Any], dict[str, dict], dict[str, Any]]:
    """The run link, the values by sample, and the values of the whole."""
    link = execute(quality.node(study(**{name: entry}), name))
    folder = Path("data/quality", name, "asked")
    rows = {row["sample"]: row for row in DISK.rows(folder)}
    [whole] = DISK.read(folder / WHOLE)
    return link, rows, json.loads(whole["value"])


def test_captions_are_judged_and_cells_as_wholes_without_asking_again():
    link, rows, whole = run(CAPSBENCH)
    assert {sample: row["capsbench"] for sample, row in rows.items()} == {"dark": 1, "light": 0}
    assert rows["light"]["capsbench_unreadable"] == pytest.approx(1 / 3)
    assert (whole["capsbench"], whole["items"]) == (0.25, 2), "over questions, not captions"
    assert (link["requests"]["asked"], link["requests"]["computed"], link["failed"]) == (4, 4, 0)
    assert JOURNAL.read_text().splitlines() == ["toy-judge load", "toy-judge answers 4"]
    again, *_ = run(CAPSBENCH)
    assert (again["recalled"], again["computed"]) == (3, 0)


def test_what_was_answered_stays_with_the_item_and_is_no_measurement():
    _, rows, _ = run(CAPSBENCH)
    value = json.loads(rows["light"]["value"])
    assert [one[2] for one in value["answered"][0]] == ["yes", "n/a", None]
    assert set(value["requests"]) <= set(rows["light"]["parents"])
    found = {name for _, name, *_ in measurements([rows["light"]], declared().keys())}
    assert found == {metric.name for metric in catalogue.target("measures", "capsbench").METRICS} - {
        "capsbench_probability"
    }


def test_another_caption_asks_about_itself_alone():
    run(CAPSBENCH)
    captioned("a red dog", "a cat")
    link, rows, _ = run(CAPSBENCH)
    assert link["requests"]["computed"] == 3
    assert rows["light"]["capsbench"] == 0


def test_another_judge_is_another_key():
    keys = [
        {row["key"] for row in run({**CAPSBENCH, "judge": judge})[1].values()}
        for judge in ("qwen", JUDGE, {"model": "qwen", "max_tokens": 5}, {"model": "qwen", "name": "other"})
    ]
    assert keys[0] == keys[1] and len({key for some in keys for key in some}) == 6


def test_where_the_judge_is_dead_an_item_fails_and_is_no_low_score():
    captioned("a dead dog", "a dog")
    link, rows, whole = run(CAPSBENCH)
    assert (rows["dark"]["status"], rows["light"]["status"]) == ("failed", "ok")
    assert "a judge gave no answer: RuntimeError: no connection" in rows["dark"]["reason"]
    assert rows["dark"]["capsbench"] is None and "capsbench" not in whole and link["failed"] == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"judge": "qwem"}, 'There is no model in `models` of params.yaml "qwem"; did you mean "qwen"?'),
        ({"judge": 3}, "bench has 3 for judge: name a model of `models`, or describe one."),
        ({"juge": "qwen"}, 'There is no setting of capsbench (entry bench) "juge"'),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(ValueError) as caught:
        quality.node(study(bench={**CAPSBENCH, **change}), "bench")
    assert str(caught.value).startswith(sentence)


def test_a_judge_must_be_named():
    with pytest.raises(ValueError, match="bench names no judge: capsbench asks one of chat"):
        quality.node(study(bench={"adapter": "capsbench"}), "bench")


def test_what_an_item_depends_on_and_its_key():
    """Written down when the first of them was made: a key is a promise."""
    _, rows, _ = run({**CAPSBENCH, "prompt": "Caption: {caption}\nQuestion: {question}"})
    parts = json.loads(rows["light"]["parts"])
    decided = parts["measure"]["players"]["judge"].pop("decoding")
    assert decided["beams"] == decided["candidates"] == 1
    assert parts == {
        "caption": "a dog",
        "sample": None,
        "references": None,
        "annotations": parts["annotations"],
        "measure": {
            "adapter": "capsbench",
            "version": 1,
            "prompt": "Caption: {caption}\nQuestion: {question}",
            "choose": False,
            "players": {"judge": {"model": {"adapter": "toy-judge", "version": 1, "name": "toy-judge"}}},
        },
    }
    assert rows["light"]["key"] == "90e02970932ffbee31e9231fc9aaf4dc3ba617100c2f37f98d992a0d8b1b692b"


class Eye(toys.Toy):
    """Sees how bright a picture is, and how far two are apart by that."""

    def encode(self, pictures: Sequence[np.ndarray]) -> list[tuple[np.ndarray, None]]:
        return [(np.array([1.0, picture.mean()], np.float32), None) for picture in pictures]

    def measure(self, originals: Sequence[np.ndarray], results: Sequence[np.ndarray], masks: Any) -> list[dict]:
        pairs = zip(originals, results, strict=True)
        return [{"lpips": {"whole": abs(float(one.mean() - other.mean())) / 255}} for one, other in pairs]


def test_a_measure_may_have_captions_painted_and_a_painting_is_shared_by_all_who_look_at_it():
    catalogue.CATALOGUE["painters"]["toy-painter"] = "tests.stages.engine.toys:Painter"
    for role in ("encoders", "measures"):
        catalogue.CATALOGUE[role]["toy-eye"] = "tests.stages.test_judged:Eye"
    eye = {"adapter": "toy-eye", "name": "eye", "journal": str(JOURNAL)}
    entry = {"adapter": "reconstruction", "painter": {**eye, "adapter": "toy-painter"}, "encoder": eye, "lpips": eye}
    link, rows, whole = run(entry)
    assert (link["failed"], link["requests"]["computed"]) == (0, 8)
    assert whole["reconstruction_lpips"] == pytest.approx(
        np.mean([row["reconstruction_lpips"] for row in rows.values()])
    )
    other, *_ = run({**entry, "encoder": {**eye, "name": "other"}}, "other")
    assert (other["requests"]["recalled"], other["requests"]["computed"]) == (4, 4), "paintings and LPIPS are known"
