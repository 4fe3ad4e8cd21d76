"""The stage of recaptioning: which captions it takes, who plays its roles, and what its items depend on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.adapters import catalogue
from models.adapters.requests import Failure, Said, Scored
from models.adapters.roles import Reply, Scores, Turn
from models.media.images import decode_png, encode_png
from models.recaptioners import Case
from models.recaptioners.scalecap import DESCRIBE
from registry.store.dag import IMAGE, STAGES, TEXTS
from registry.store.keys import digest
from stages import recaption as stage
from stages.engine.loop import execute
from stages.engine.shards import DISK, image, write_shard
from stages.engine.study import Study, swept
from tests.models.recaptioners.playing import conversed
from tests.stages.engine import toys

JOURNAL = Path("journal")
PAINTER = {"adapter": "toy-painter", "name": "toy-painter", "journal": str(JOURNAL)}
REVISER = {"adapter": "toy-reviser", "name": "toy-reviser", "journal": str(JOURNAL), "max_tokens": 9}
RICO = {"method": "rico", "painter": "flux", "reviser": {"model": "qwen", "max_tokens": 12}, "rounds": 2}


class Reviser(toys.Toy):
    """Adds a word to the caption that it is asked about; of a dark picture it says that there is none."""

    def answer(self, conversations: Sequence[Sequence[Turn]], decoding: Any, seeds: Sequence[int]) -> list[list[Reply]]:
        self.note(f"answers {len(conversations)}")
        return [[Reply(self.revised(conversation[-1]), "stop")] for conversation in conversations]

    def revised(self, turn: Turn) -> str:
        caption = turn.text.partition("The caption is: ")[2].partition("\n")[0]
        return "None" if turn.pictures[0].mean() < 10 else f"<revised_caption>{caption} indeed</revised_caption>"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Outputs of two samples, one repainted each, with captions by two captioners."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "CATALOGUE", {role: dict(some) for role, some in catalogue.CATALOGUE.items()})
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    toys.register()
    STAGES["recaption"] = stage.STAGE
    catalogue.CATALOGUE["chat"]["toy-reviser"] = "tests.stages.test_recaption:Reviser"
    kept: dict[str, list[dict[str, Any]]]
    kept = {name: [] for name in ("prepare", "inpaint/telea", "caption/one", "caption/two")}
    for sample, light in (("dark", 0), ("light", 200)):
        common = {"corpus": "some", "sample": sample, "status": "ok"}
        at = {"degradation": "blur", "inpainter": "telea"}
        original, repainted = (encode_png(np.full((4, 4, 3), value, np.uint8)) for value in (light, light + 20))
        kept["prepare"].append({**common, "key": f"p-{sample}", "image": image(original, ""), "references": []})
        kept["inpaint/telea"].append({**common, **at, "key": f"i-{sample}", "image": image(repainted, "")})
        for name in ("one", "two"):
            for parent, axes in (("p", {}), ("i", at)):
                kept[f"caption/{name}"].append({
                    **common, **axes, "captioner": name, "key": f"c-{name}-{parent}-{sample}",
                    "parents": [f"{parent}-{sample}"], "caption": f"{name} {parent}", "candidates": [],
                })  # fmt: skip
    for folder, rows in kept.items():
        node = STAGES[folder.partition("/")[0]]
        fields = [*((axis, pa.string()) for axis in node.axes), *node.fields]
        write_shard(tmp_path / "data" / folder / "some/part-00.parquet", rows, fields)
    yield tmp_path


def study(**recaptioners: Any) -> Study:
    sections = {name: {} for name in ("degradations", "encoders", "fidelity", "quality")}
    return Study(
        study="small",
        models={"flux": PAINTER, "qwen": REVISER},
        corpora={"some": {}},
        inpainters={"telea": {"adapter": "telea"}},
        captioners={"one": {"adapter": "blip"}, "two": {"adapter": "blip"}},
        recaptioners=recaptioners,
        **sections,
    )


def run(entry: dict[str, Any], name: str = "rico") -> tuple[dict[str, Any], list[dict[str, Any]]]:
    link = execute(stage.node(study(**{name: entry}), name))
    files = sorted(Path("data/recaption", name).rglob("part-*.parquet"))
    return link, [row for file in files for row in pq.read_table(file).to_pylist()]


def test_captions_of_originals_are_rewritten_and_keep_what_they_were_made_of():
    link, rows = run(RICO)
    assert {(row["sample"], row["captioner"]): row["caption"] for row in rows} == {
        ("dark", "one"): "one p",
        ("dark", "two"): "two p",
        ("light", "one"): "one p indeed indeed",
        ("light", "two"): "two p indeed indeed",
    }
    assert {row["recaptioner"] for row in rows} == {"rico"} and {row["inpainter"] for row in rows} == {None}
    light = next(row for row in rows if (row["sample"], row["captioner"]) == ("light", "one"))
    assert light["parents"][:2] == ["p-light", "c-one-p-light"] and len(light["parents"]) == 6
    steps = json.loads(light["value"])["steps"]
    painted = np.full((4, 4, 3), list(bytes.fromhex(digest(b"one p")[:6])), np.uint8)
    assert steps[0]["painting"] == digest(encode_png(painted))
    assert (link["items"], link["computed"]) == (4, 4)
    assert link["requests"] == {
        "asked": 10, "recalled": 0, "computed": 10, "failed": 0, "unreadable": 2,
        "reasons": {"reviser: there is no <revised_caption> in the reply": 2},
    }  # fmt: skip


def test_the_sheet_shows_the_picture_and_what_was_painted_of_its_captions(monkeypatch):
    drawn = {}
    monkeypatch.setattr(stage, "contact_sheet", lambda *said: drawn.update({said[1][0][0]: said}) or b"")
    run({**RICO, "captioners": ["one"]})
    [(titles, lines)] = drawn.values()
    assert titles == ["picture", "painting 1", "painting 2", "captions"]
    sample, pictures, texts = lines[1]
    assert (sample, texts) == ("light", ["first: one p", "new: one p indeed indeed"])
    painted = [np.full((4, 4, 3), list(bytes.fromhex(digest(text)[:6]))) for text in (b"one p", b"one p indeed")]
    for shown, wanted in zip(pictures, [np.full((4, 4, 3), 200), *painted], strict=True):
        assert (decode_png(shown) == wanted).all()


def test_repainted_pictures_are_recaptioned_where_the_study_says_so():
    _, rows = run({**RICO, "repainted": True, "captioners": ["two"]})
    assert sorted((row["sample"], row["inpainter"] or "") for row in rows) == [
        ("dark", ""), ("dark", "telea"), ("light", ""), ("light", "telea"),
    ]  # fmt: skip
    assert {row["captioner"] for row in rows} == {"two"}
    assert {row["parents"][0] for row in rows} == {"p-dark", "p-light", "i-dark", "i-light"}


def test_a_sweep_over_rounds_asks_no_more_than_its_most_rounds():
    most, _ = run(RICO, "most")
    swept_, rows = run({**{k: v for k, v in RICO.items() if k != "rounds"}, "sweep": {"rounds": [1, 2]}}, "swept")
    assert swept_["requests"]["computed"] == 0, "all was asked by the entry of two rounds"
    assert sorted({row["recaptioner"] for row in rows}) == ["swept/rounds=1", "swept/rounds=2"]
    assert {row["caption"] for row in rows if row["recaptioner"] == "swept/rounds=1" and row["sample"] == "light"} == {
        "one p indeed",
        "two p indeed",
    }
    assert most["requests"]["computed"] == 10, "equal captions share a painting"


def test_a_model_described_in_place_has_the_keys_of_one_named():
    named, placed = ({**RICO, "painter": painter} for painter in ("flux", PAINTER))
    keys = [{row["key"] for row in run(entry)[1]} for entry in (named, placed)]
    assert keys[0] == keys[1]
    assert keys[0] != {row["key"] for row in run({**RICO, "reviser": {"model": "qwen", "max_tokens": 13}})[1]}


def test_questions_of_a_corpus_are_part_of_what_is_accepted_by_them():
    path = Path("data/prepare/some/part-00.parquet")
    asked = {"questions": [{"question": "Is it dark?", "answer": "yes", "category": "color"}]}
    kept = [
        row | {"annotations": json.dumps(asked if row["sample"] == "dark" else {})}
        for row in pq.read_table(path).to_pylist()
    ]
    write_shard(path, kept, [("image", IMAGE), ("references", TEXTS), ("annotations", pa.string())])
    some = [stage.variants(study(rico=RICO | more), "rico") for more in ({}, {"accept": "answers", "answerer": "qwen"})]
    usual, accepting = ([task for _, tasks in stage.plan(one, study(), DISK) for task in tasks] for one in some)
    assert not any("questions" in task.parts for task in usual)
    assert {task.sample: task.parts.get("questions") for task in accepting} == {
        "dark": asked["questions"],
        "light": None,
    }
    assert {task.sample: task.inputs.case.questions for task in accepting} == {"dark": asked["questions"], "light": []}


def test_a_method_that_describes_asks_for_the_first_caption_itself():
    """By its own prompt, and keeps what the stage would not: how probable it was as it was written."""

    def answer(request: Any) -> Any:
        if isinstance(request, Scored):
            return Said("a star", Scores(np.zeros(1), ((0, 6),)))
        return Failure("away")

    entry = {"method": "scalecap", "captioner": "qwen", "language_model": "qwen", "references": True}
    described, usual = (
        stage.Recaptioning("s", {**entry, "as_written": kept}, {"qwen": REVISER}) for kept in (True, False)
    )
    case = Case(toys.Picture("p"), "")
    value, asked = conversed(described.run(case), answer)
    assert (value["first"], value["caption"]) == ("a star", "a star") and asked[0].text == DESCRIBE
    with pytest.raises(ValueError, match="no first caption: away"):
        conversed(usual.run(case), answer)
    assert described.identity != usual.identity
    assert usual.identity["first_prompt"] == DESCRIBE, "which it rates first captions by"
    rico = stage.Recaptioning("r", {**RICO, "captioner": "qwen", "references": True}, study().models)
    assert (
        rico.identity["first_prompt"] == "Describe this image in detail. Your answer should be concise and informative."
    )


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"method": "rica"}, 'There is no method of recaptioning (entry rico) "rica"; did you mean "rico"?'),
        ({"round": 3}, 'There is no setting of rico (entry rico) "round"; did you mean "rounds"?'),
        ({"painter": "fluks"}, 'There is no model in `models` of params.yaml "fluks"; did you mean "flux"?'),
        ({"variant": "edit"}, "rico names a painter, whom rico as it is set does not ask: leave it out."),
        ({"accept": "closer"}, "rico names no judge: rico asks one of the encoders."),
        ({"captioners": ["ona"]}, 'There is no captioner (entry rico) "ona"; did you mean "one"?'),
        ({"corpora": ["sone"]}, 'There is no entry of corpora in params.yaml "sone"; did you mean "some"?'),
        ({"painter": 3}, "rico has 3 for painter: name a model of `models`, or describe one."),
        ({"painter": {"sweep": 1}}, "Entry painter names no adapter"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(change, sentence):
    with pytest.raises(ValueError) as caught:
        stage.variants(study(rico={**RICO, **change}), "rico")
    assert str(caught.value).startswith(sentence)


def test_players_are_not_swept_over():
    entry = {**RICO, "sweep": {"painter": ["flux", "other"]}}
    del entry["painter"]
    other = study(rico=entry)
    other = other.model_copy(update={"models": {**other.models, "other": {**PAINTER, "name": "other"}}})
    assert len(swept("rico", entry, other.models)) == 2
    with pytest.raises(ValueError, match="sweeps over who plays a role"):
        stage.variants(other, "rico")


def annotated(name: str, text: str) -> dict[str, Any]:
    Path("annotations").mkdir(exist_ok=True)
    Path("annotations", name).write_text(text, encoding="utf-8")
    return {"method": "edits", "path": f"annotations/{name}", "captioners": ["one"]}


LINES = [{"sample": "dark", "caption": "A night."}, {"sample": "light", "caption": "A  day."}]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_annotators_captions_are_captions(form, caplog):
    texts = {
        "jsonl": "".join(json.dumps(line) + "\n" for line in [*LINES, {"sample": "gone", "caption": "x"}]),
        "csv": "\ufefffile_name,caption\ndark,A night.\nlight,A  day.\ngone,x\n",
    }
    entry = annotated(f"anna.{form}", texts[form])
    link, rows = run(entry, "anna")
    assert {row["sample"]: row["caption"] for row in rows} == {"dark": "A night.", "light": "A day."}
    assert {row["recaptioner"] for row in rows} == {"anna"} and link["requests"]["asked"] == 0
    assert json.loads(rows[0]["value"])["first"] == "one p", "what she was shown"
    assert link["problems"] == {"caption of a sample that is not there": 1}
    assert run(entry, "anna")[0]["recalled"] == 2
    Path(entry["path"]).write_text(texts[form].replace("night", "cave"), encoding="utf-8")
    again, rows = run(entry, "anna")
    assert again["computed"] == 2 and {row["caption"] for row in rows} == {"A cave.", "A day."}


def test_an_annotators_captions_are_of_samples_and_not_of_equal_pictures():
    """Who asks nobody needs no first caption; a sample that was left out has failed."""
    shard = Path("data/prepare/some/part-00.parquet")
    fields = [*((axis, pa.string()) for axis in STAGES["prepare"].axes), *STAGES["prepare"].fields]
    _, light = pq.read_table(shard, columns=["corpus", "sample", "key", "status", "image", "references"]).to_pylist()
    write_shard(shard, [light, {**light, "sample": "twin"}, {**light, "sample": "third"}], fields)
    entry = annotated("anna.jsonl", json.dumps(LINES[1]) + '\n{"sample": "twin", "caption": "A noon."}')
    del entry["captioners"]
    link, rows = run({**entry, "references": True}, "anna")
    assert {row["sample"]: row["caption"] for row in rows} == {"light": "A day.", "twin": "A noon.", "third": None}
    assert link["reasons"] == {"ValueError: annotations/anna.jsonl has no caption of third": 1}


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.txt", "A day.", "annotations/a.txt ends in neither .jsonl nor .csv"),
        ("a.jsonl", '{"sample": "dark"', "Line 1 of annotations/a.jsonl is no JSON"),
        ("a.jsonl", '\n{"sample": "dark"}', "Line 2 of annotations/a.jsonl needs a `sample` or `file_name`, and a"),
        ("a.jsonl", "[1]", "Line 1 of annotations/a.jsonl needs a `sample` or `file_name`, and a `caption`."),
        ("a.csv", "sample,caption\nd,x\nd,y\n", "Row 2 of annotations/a.csv is a second caption of d; make a file"),
        ("../a.csv", "sample,caption\n", "DVC does not watch annotations/../a.csv, which anna reads: move it to anno"),
    ],
)
def test_a_file_that_holds_no_captions_is_refused_in_one_sentence(name, text, sentence):
    entry = annotated(name, text)
    with pytest.raises(ValueError) as caught:
        stage.variants(study(anna=entry), "anna")
    assert str(caught.value).startswith(sentence)
    Path(entry["path"]).unlink()
    with pytest.raises(FileNotFoundError, match="There is no file annotations/.* of captions; correct the path"):
        stage.variants(study(anna=entry), "anna")
