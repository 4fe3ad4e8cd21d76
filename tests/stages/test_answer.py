"""Chat models that are asked about pictures, as they are and as trainings made them: ``answer`` on toys."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest

from models.adapters import catalogue, roles
from models.adapters.checkpoints import DIGESTED, identify
from models.adapters.roles import Reply, Turn
from models.chat.lora import CONFIG, WEIGHTS
from models.media.images import encode_png
from registry.store import places
from registry.store.dag import STAGES
from registry.store.objects import ObjectStore
from stages import answer
from stages.engine.answering import Trained
from stages.engine.loop import execute
from stages.engine.players import Player
from stages.engine.shards import DISK, WHOLE, image, write_shard
from stages.engine.study import Study

JOURNAL = Path("journal")
SHAPES = ("ring", "star", "ring", "cross")
"""What the pictures show; as many grey levels."""


class Eyes:
    """A chat model that says what is in its checkpoint, or the truth where that says so."""

    VERSION: ClassVar[int] = 1

    class Settings(roles.Settings):
        checkpoint: str
        chooses: bool = True

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return {**identify(self.settings.checkpoint), "chooses": self.settings.chooses}

    def load(self) -> None:
        self.says = json.loads((Path(self.settings.checkpoint) / "config.json").read_text())
        self.note(f"load {self.says}")

    def note(self, line: str) -> None:
        with JOURNAL.open("a") as file:
            file.write(f"{line}\n")
        if Path("killer").exists() and JOURNAL.read_text().count("asked") > 1:
            raise KeyboardInterrupt

    def said(self, turn: Turn) -> str:
        [picture] = turn.pictures
        truth = "yes" if SHAPES[int(picture[0, 0, 0])] in turn.text else "no"
        return truth if self.says == "truth" else self.says

    def choose(self, conversations: Sequence[Sequence[Turn]], choices: Sequence[Sequence[str]]) -> list[np.ndarray]:
        self.note(f"asked {len(conversations)}")
        if not self.settings.chooses:
            raise ValueError("this endpoint tells no probabilities")
        return [
            np.array([float(one == self.said(turns[-1])) for one in some])
            for turns, some in zip(conversations, choices, strict=True)
        ]

    def answer(self, conversations: Sequence[Sequence[Turn]], decoding: Any, seeds: Sequence[int]) -> list[list[Reply]]:
        return [[Reply(self.said(turns[-1]), "stop")] for turns in conversations]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Four pictures that are asked about, four others, and a checkpoint that says yes to everything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "CATALOGUE", {role: dict(some) for role, some in catalogue.CATALOGUE.items()})
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI", "PALIMPSEST_STRICT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    catalogue.CATALOGUE["chat"]["toy"] = "tests.stages.test_answer:Eyes"
    catalogue.CATALOGUE["trainers"]["toy"] = "tests.stages.test_answer:Toy"
    for corpus, first in (("scenes", 0), ("others", 10)):
        rows = []
        for k, shape in enumerate(SHAPES):
            png = encode_png(np.full((4, 4, 3), first + k, np.uint8))
            annotations = json.dumps({"objects": [{"label": shape}]})
            rows.append({"sample": f"s{k}", "key": f"{corpus}{k}", "image": image(png, ""), "references": [],
                         "annotations": annotations})  # fmt: skip
        shard("prepare", f"{corpus}/part-00.parquet", corpus, rows)
    checkpoint("base", "yes")
    yield tmp_path


def checkpoint(name: str, says: str) -> None:
    Path(name).mkdir()
    Path(name, "config.json").write_text(json.dumps(says))


def shard(stage: str, path: str, corpus: str, rows: list[dict[str, Any]]) -> None:
    node = STAGES[stage]
    common = {"corpus": corpus, "parents": [], "status": "ok", "parts": "{}", "value": "{}"}
    fields = [*((axis, pa.string()) for axis in node.axes), *node.fields]
    write_shard(node.folder() / path, [common | row for row in rows], fields)


class Toy:
    """A trainer whose files the tests write themselves."""

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[dict[str, str]] = {"base": "chat"}
    Settings = roles.Settings

    def __init__(self, settings: Any, base: Any) -> None:
        pass


def made(name: str, **files: bytes) -> None:
    """What a training made."""
    store = ObjectStore(places.objects_url())
    addresses = {file.replace("_", "."): store.put(data) for file, data in files.items()}
    row = {"sample": "", "key": f"made {name}", "training": name, "files": list(addresses.items())}
    shard("train", f"{name}/others/{WHOLE}", "others", [row])


def study(answerer: dict[str, Any] | None = None, base: str = "base", corpus: str = "others") -> Study:
    corpora = {name: {"adapter": "scenes", "path": "."} for name in ("scenes", "others")}
    entry = {"model": "eyes", "corpora": ["scenes"], "benchmarks": {"pope": {}}, **(answerer or {})}
    return Study(
        study="small",
        models={"eyes": {"adapter": "toy", "checkpoint": base}, "other": {"adapter": "toy", "checkpoint": "base"}},
        corpora=corpora,
        captioners={"blip": {"adapter": "blip", "checkpoint": "somewhere"}},
        training={"pre": {"kind": "toy", "base": "other", "captions": "blip", "corpus": corpus}},
        answerers={"lvlm": entry},
    )


def asked(**options: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The run link, and the values of the corpus as a whole by training."""
    link = execute(answer.node(study(**options), "lvlm"))
    rows = [DISK.read(path)[0] for path in sorted(Path("data/answer/lvlm").rglob(WHOLE))]
    return link, {row["training"] or "": json.loads(row["value"]) for row in rows}


def test_a_model_is_asked_as_it_is_and_as_a_training_made_it() -> None:
    made("pre", config_json=b'"truth"')
    link, found = asked()
    assert JOURNAL.read_text().splitlines()[::2] == ["load yes", "load truth"], "one at a time, each once"
    as_it_is, trained = (found[name] for name in ("", "pre"))
    of_yes = [as_it_is[f"pope_random_{name}"] for name in ("accuracy", "precision", "recall", "f1", "yes")]
    assert of_yes == pytest.approx([0.5, 0.5, 1, 2 / 3, 1])
    assert (trained["pope_adversarial_accuracy"], trained["pope_adversarial_yes"]) == (1, 0.5)
    assert (link["items"], link["failed"], found["pre"]["items"]) == (10, 0, 4)
    [row] = [row for row in DISK.rows(Path("data/answer/lvlm/pre")) if row["sample"] == "s1"]
    assert (row["captioner"], row["training"], row["pope_random_accuracy"]) == ("lvlm", "pre", 1)
    assert row["parents"][:2] == ["scenes1", "made pre"]
    told = json.loads(row["value"])["answered"]["pope"][0]
    assert (told["question"], told["expected"], told["said"]) == ("Is there a star in the image?", "yes", "yes")
    again, same = asked()
    assert (again["recalled"], again["computed"], same) == (10, 0, found)


def test_a_trained_model_is_the_one_whose_folder_holds_these_files() -> None:
    """So that who lays them into a folder, wherever, asks for the very same items."""
    checkpoint("elsewhere", "truth")
    base = Player("eyes", {"adapter": "toy", "checkpoint": "base"}, "chat")
    address = ObjectStore(places.objects_url()).put(Path("elsewhere/config.json").read_bytes())
    folder = Player("eyes", {"adapter": "toy", "checkpoint": "elsewhere"}, "chat")
    trained = Trained(base, {"config.json": address})
    assert trained.identity == folder.identity != base.identity
    with trained.described() as entry:
        assert identify(entry["checkpoint"]) == identify("elsewhere")
    assert entry["checkpoint"] not in DIGESTED, "a run link names no folder that is gone"


def test_an_adapter_that_was_trained_is_laid_over_its_model() -> None:
    """As DPO leaves it, and as who names its folder as ``lora`` has it."""
    files = {name: name.encode() for name in (CONFIG, WEIGHTS)}
    Path("adapter").mkdir()
    for name, data in files.items():
        Path("adapter", name).write_bytes(data)
    base = {"adapter": "causal-lm", "checkpoint": "base"}
    store = ObjectStore(places.objects_url())
    trained = Trained(Player("eyes", base, "chat"), {name: store.put(data) for name, data in files.items()})
    assert trained.identity == Player("eyes", {**base, "lora": "adapter"}, "chat").identity
    with trained.described() as entry:
        assert entry["checkpoint"] == "base" and (Path(entry["lora"]) / WEIGHTS).read_bytes() == WEIGHTS.encode()


def test_a_killed_run_goes_on_where_it_was() -> None:
    Path("killer").touch()
    with pytest.raises(KeyboardInterrupt):
        asked(answerer={"batch_size": 2})
    assert not Path("data/answer/lvlm").exists(), "no part is taken for the whole"
    Path("killer").unlink()
    link, found = asked(answerer={"batch_size": 2})
    assert (link["requests"]["recalled"], link["failed"]) == (2, 0) and found[""]["pope_random_yes"] == 1


def test_replies_are_read_where_no_probabilities_are_told_and_what_cannot_be_read_is_wrong() -> None:
    _, found = asked(answerer={"chooses": False})
    assert found[""]["pope_popular_yes"] == 1
    checkpoint("mumbling", "hm")
    link, found = asked(base="mumbling", answerer={"chooses": False})
    assert (found[""]["pope_random_accuracy"], found[""]["pope_unreadable"]) == (0, 1)
    assert any("the reply 'hm' names none of yes, no" in reason for reason in link["requests"]["reasons"])


def test_pictures_that_were_learnt_from_are_not_asked_about() -> None:
    made("pre", config_json=b'"truth"')
    with pytest.raises(ValueError, match="lvlm asks about s0 of others, a picture of others that pre learns from"):
        asked(answerer={"corpora": ["others"]})


def test_a_picture_that_was_learnt_from_is_found_wherever_it_lies_and_its_corpus_is_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made("pre", config_json=b'"truth"')
    some = study()
    some = some.model_copy(update={"training": dict.fromkeys(("pre", "again", "thrice"), some.training["pre"])})
    for name in ("again", "thrice"):
        made(name, config_json=b'"truth"')
    read, folders = DISK.rows, list[Path]()
    monkeypatch.setattr(
        type(DISK), "rows", lambda _, folder, columns=None: folders.append(folder) or read(folder, columns)
    )
    list(answer.node(some, "lvlm").plan)
    assert folders.count(Path("data/prepare/others")) == 1
    same = encode_png(np.full((4, 4, 3), 10, np.uint8))  # s0 of others, under two names; of one nobody asks
    rows = [{"sample": f"t{k}", "key": f"t{k}", "image": image(same, ""), "references": [],
             "annotations": json.dumps({"objects": [{"label": shape} for shape in shapes]})}
            for k, shapes in enumerate((["ring"], []))]  # fmt: skip
    more = {"sample": "t2", "key": "t2", "image": image(encode_png(np.zeros((4, 4, 3), np.uint8)), ""),
            "references": [], "annotations": json.dumps({"objects": [{"label": "star"}]})}  # fmt: skip
    shard("prepare", "scenes/part-00.parquet", "scenes", [*rows, more])
    with pytest.raises(ValueError, match="lvlm asks about t0 of scenes, a picture of others that pre learns from"):
        list(answer.node(study(), "lvlm").plan)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"benchmarks": {"popo": {}}}, 'no benchmark .entry lvlm. "popo"; did you mean "pope"'),
        ({"benchmarks": {}}, "lvlm names no benchmark: name some of pope, counts"),
        ({"benchmarks": {"pope": {"questions": "?"}}}, 'no setting of pope .*"questions"; did you mean "question"'),
        ({"benchmarks": {"prism": {}}}, "prism .entry lvlm. names no language_model"),
        (
            {"benchmarks": {"pope": {"question": "Is it there?"}}},
            '"question" of pope .* should hold {object}, where what',
        ),
        ({"benchmarks": {"counts": {"object": "{color"}}}, '"object" of counts .* should name fields of an object in'),
        ({"benchmarks": {"counts": {"object": "star"}}}, '"object" of counts .* should name fields of an object in'),
        (
            {"benchmarks": {"prism": {"language_model": "other", "prompt": "{question}"}}},
            '"prompt" of prism .* should hold {caption} and {question}, where',
        ),
        ({"corpora": ["scene"]}, 'no corpus .entry lvlm. "scene"; did you mean "scenes"'),
        ({"trainings": ["pro"]}, 'no training .entry lvlm. "pro"; did you mean "pre"'),
    ],
)
def test_bad_entries_are_one_sentence(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        answer.node(study(entry), "lvlm")


def test_a_training_of_another_model_is_refused_where_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint("another", "no")
    assert answer.node(study(base="another"), "lvlm").worker.settings["lvlm"].trainings == {}
    with pytest.raises(ValueError, match="pre does not train the model of lvlm: let both name one model"):
        answer.node(study({"trainings": ["pre"]}, base="another"), "lvlm")
    monkeypatch.setattr(Eyes, "identity", lambda self: {"checkpoint": "one", "lora": self.settings.chooses})
    assert answer.node(study({"chooses": False}), "lvlm").worker.settings["lvlm"].trainings == {}, "it has an adapter"


def test_a_benchmark_without_questions_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer, "read_study", lambda: study({"benchmarks": {"pope": {}, "caption-qa": {}}}))
    with pytest.raises(ValueError, match="caption-qa has nothing to ask: no picture of scenes comes with questions"):
        answer.main("lvlm")
