"""Trainings, and the paintings of what was trained: ``prompt``, ``train``, ``paint`` and ``quality`` on toys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import select

from models.adapters import catalogue, roles
from models.adapters.lora import FILE
from models.adapters.roles import Arrays, Detection, Lesson, Piece, Trained
from models.media.images import decode_png, encode_png
from registry.garbage import sweep
from registry.lineage.walk import trace_item
from registry.store import places
from registry.store.axes import Point
from registry.store.dag import STAGES
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.objects import ObjectStore
from registry.store.schema import Item
from registry.tracking import opened
from stages import paint, prompt, quality, train
from stages.corpora import Problem
from stages.engine.loop import execute
from stages.engine.shards import DISK, image, write_shard
from stages.engine.study import Study
from stages.index.remembering import remember_all

JOURNAL = Path("journal")
PAINTER = {"adapter": "toy", "checkpoint": "somewhere"}
LORA = {"kind": "toy", "painter": "painter", "captions": "grid", "sweep": {"precision": [0, 100], "seed": [0, 1]}}


def note(line: str) -> None:
    with JOURNAL.open("a") as file:
        file.write(f"{line}\n")


class Painter:
    """Paints grey, as light as its adapter says."""

    VERSION: ClassVar[int] = 1

    class Settings(roles.Settings):
        checkpoint: str
        lora: str | None = None
        seed: int = 0

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return {"checkpoint": self.settings.checkpoint}

    def load(self) -> None:
        file = self.settings.lora and Path(self.settings.lora) / FILE
        self.level = file.read_bytes()[0] if file else 0
        note(f"paints {self.level}")

    def paint(self, texts: Sequence[str], seeds: Sequence[int]) -> list[np.ndarray]:
        return [np.full((64, 64, 3), (self.level, seed % 251, 9), np.uint8) for seed in seeds]


class Toy:
    """An adapter is the number of its captions that say "star", plus ten times the seed."""

    VERSION: ClassVar[int] = 1
    ROLES: ClassVar[Mapping[str, str]] = {"painter": "painters"}

    class Settings(roles.Settings):
        rate: float = 1.0
        initial_captions: str | None = None
        instructions: str | None = None

    def __init__(self, settings: Any, base: Any) -> None:
        self.settings, self.base = settings, base

    def encoding(self) -> dict[str, Any]:
        return self.base.identity()

    def identity(self) -> dict[str, Any]:
        return {"base": self.encoding(), "rate": self.settings.rate}

    def load(self) -> None:
        pass

    def pieces(self, lessons: Sequence[Lesson]) -> list[Piece]:
        return list(dict.fromkeys([Piece("text", one.caption) for one in lessons] + [
            Piece("latents", picture=one.picture) for one in lessons
        ]))  # fmt: skip

    def encode(self, pieces: Sequence[Piece]) -> list[Arrays]:
        import torch

        note(f"encodes {len(pieces)}")
        if any("unspeakable" in piece.text for piece in pieces):
            raise ValueError("no such words")
        if any("far" in piece.text for piece in pieces) and not Path("back").exists():
            raise ConnectionError("no answer")
        return [{"text": torch.tensor([piece.text.count("star")])} for piece in pieces]

    def train(
        self, lessons: Sequence[Lesson], known: Callable[[Piece], Arrays], seed: int, folder: Path,
        log: Callable[[Mapping[str, float], int], None],
    ) -> Trained:  # fmt: skip
        stars = sum(int(known(Piece("text", one.caption))["text"]) for one in lessons)
        log({"loss": 0.5}, 1)
        (folder / FILE).write_bytes(bytes([stars + 10 * seed]))
        if Path("full").exists():
            Path("/dev/full").write_bytes(b"checkpoint")
        if self.settings.rate > 10:
            raise FloatingPointError("the loss is no number at step 1")
        return Trained({FILE: folder / FILE}, {"loss": 0.25, "steps": 1})


class Detector(Painter):
    def detect(self, pictures: Sequence[np.ndarray], names: Sequence[Sequence[str]]) -> list[list[Detection]]:
        return [[Detection("white background", 1.0, (0, 0, 64, 64))] for _ in pictures]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Four pictures of which two caption sets tell truth and lies."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "CATALOGUE", {role: dict(some) for role, some in catalogue.CATALOGUE.items()})
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI", "PALIMPSEST_STRICT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    for role, kind in {"painters": "Painter", "trainers": "Toy", "detectors": "Detector"}.items():
        catalogue.CATALOGUE[role]["toy"] = f"tests.stages.test_train:{kind}"
    pictures = []
    for k in range(4):
        png = image(encode_png(np.full((4, 4, 3), k, np.uint8)), "")
        pictures.append({"corpus": "scenes", "sample": f"s{k}", "status": "ok", "parents": [], "key": f"p{k}",
                         "image": png, "references": [], "annotations": "{}", "value": "{}"})  # fmt: skip
    shard("prepare", "scenes", pictures)
    for precision, captions in ((0, ["a ring"] * 4), (100, ["a star", "a star", "a red star", None])):
        say(f"grid/precision={precision}", captions)
    yield tmp_path


def say(name: str, captions: Sequence[str | None]) -> None:
    common = {"corpus": "scenes", "captioner": name, "value": "{}"}
    rows = [
        {**common, "sample": f"s{k}", "status": "ok" if said else "failed", "parents": [f"p{k}"], "key": f"{name}{k}",
         "caption": said} for k, said in enumerate(captions)
    ]  # fmt: skip
    shard("compose", f"{name}/scenes", rows)


def shard(stage: str, folder: str, rows: list[dict[str, Any]]) -> None:
    node = STAGES[stage]
    fields = [*((axis, pa.string()) for axis in node.axes), *node.fields]
    write_shard(node.folder() / folder / "part-00.parquet", rows, fields)


def study(training: dict[str, Any] = LORA, **painters: Any) -> Study:
    return Study(
        study="small",
        models={"painter": PAINTER, "eyes": {"adapter": "toy", "checkpoint": "somewhere"}},
        corpora={"scenes": {"adapter": "scenes", "path": "."}},
        captions={"grid": {"kind": "edits", "corpora": ["scenes"], "sweep": {"precision": [0, 100]}}},
        prompts={"asked": {"adapter": "scenes", "seed": 3, "count": 3}},
        training={"lora": training},
        painters={"painter": {"model": "painter", **painters}},
        quality={"truth": {"adapter": "scenes", "detector": "eyes"}},
    )


def trained(**entry: Any) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The run link, and the rows by training."""
    link = execute(train.node(study({**LORA, **entry}), "lora"))
    rows = [DISK.read(path)[0] for path in sorted(Path("data/train/lora").rglob("corpus.parquet"))]
    return link, {row["training"].removeprefix("lora/"): row for row in rows}


def test_cells_are_trained_from_pieces_that_are_encoded_once():
    link, rows = trained()
    assert JOURNAL.read_text().splitlines() == ["encodes 7"], "three sentences and four pictures, for all four cells"
    assert {name: row["lessons"] or json.loads(row["value"])["items"] for name, row in rows.items()} == {
        "precision=0,seed=0": 4, "precision=0,seed=1": 4, "precision=100,seed=0": 3, "precision=100,seed=1": 3,
    }  # fmt: skip
    for name, level in {"precision=0,seed=1": 10, "precision=100,seed=0": 3}.items():
        file = Path("data/train/lora", name, "scenes", FILE)
        assert file.read_bytes() == bytes([level])
        address = dict(rows[name]["files"])[FILE]
        assert ObjectStore(places.objects_url()).get(address) == bytes([level])
    assert rows["precision=0,seed=0"]["parents"] == [f"grid/precision=0{k}" for k in range(4)]
    assert (link["computed"], link["failed"], link["requests"]["computed"]) == (4, 0, 7)
    assert not list(Path(".palimpsest/training").iterdir()), "checkpoints go when a training is done"
    client = opened()
    experiment = client.get_experiment_by_name("small/stages").experiment_id
    curves = client.search_runs([experiment], "tags.`palimpsest.item` LIKE '%'")
    assert {run.info.run_name: run.data.metrics for run in curves} == {
        row["training"]: {"loss": 0.5} for row in rows.values()
    }
    again, same = trained()
    assert (again["recalled"], again["computed"]) == (4, 0) and same == rows


def test_another_caption_trains_its_cells_anew_and_encodes_what_is_new():
    trained()
    say("grid/precision=100", ["a star", "a star", "a blue star", None])
    JOURNAL.unlink()
    link, _ = trained()
    assert (link["recalled"], link["computed"]) == (2, 2)
    assert JOURNAL.read_text().splitlines() == ["encodes 1"]


def test_a_lost_adapter_is_trained_again_and_waste_is_none_of_those_that_stand():
    _, rows = trained()
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    address = dict(rows["precision=0,seed=0"]["files"])[FILE]
    keys = [row["key"] for row in rows.values()]
    taken = {one.kind: one.items for one in sweep(store, keys, timedelta(seconds=-5), remove=True)}
    assert store.objects.holds(address) and taken[train.PIECE] == 7, "what was encoded can be encoded again"
    store.objects.remove(address)
    remember_all(store, "train@lora", "trained", Path("data/train/lora"), store.objects.sizes())
    assert store.objects.holds(address), "the output of the stage has it, too"
    store.objects.remove(address)
    link, _ = trained()
    assert (link["recalled"], link["computed"]) == (3, 1) and store.objects.holds(address)
    assert link["requests"]["computed"] == 5, "one sentence and four pictures"


def test_a_training_that_fails_says_why_and_the_others_are_kept():
    say("grid/precision=0", ["unspeakable", "a ring", "a ring", "a ring"])
    link, rows = trained()
    assert (link["failed"], link["passing"]) == (2, 0)
    assert (
        "1 of 6 captions and pictures cannot be encoded, first: ValueError: no such words"
        in (rows["precision=0,seed=0"]["reason"])
    )


def test_a_training_whose_pieces_could_not_be_encoded_just_then_is_tried_again_by_itself():
    """Where none of what is missing may come by itself, a further try is in vain."""
    say("grid/precision=0", ["far", "a ring", "a ring", "a ring"])
    link, rows = trained()
    assert (link["failed"], link["passing"]) == (2, 2)
    assert rows["precision=0,seed=0"]["reason"].endswith("cannot be encoded, first: ConnectionError: no answer")
    say("grid/precision=0", ["far", "unspeakable", "a ring", "a ring"])
    assert trained()[0]["passing"] == 0
    say("grid/precision=0", ["far", "a ring", "a ring", "a ring"])
    Path("back").touch()
    link, _ = trained()
    assert (link["recalled"], link["computed"], link["failed"]) == (2, 2, 0)


def test_a_training_whose_pieces_were_taken_meanwhile_is_tried_again_by_itself(monkeypatch):
    train_as_always = Toy.train

    def train_late(self, lessons, known, *others):
        ObjectStore(places.objects_url()).remove(known.addresses[Piece("text", "a ring")])
        return train_as_always(self, lessons, known, *others)

    monkeypatch.setattr(Toy, "train", train_late)
    link, rows = trained()
    assert (link["failed"], link["passing"]) == (2, 2)
    assert "what was encoded of 'a ring' is gone meanwhile, as `palimpsest gc`" in rows["precision=0,seed=0"]["reason"]
    monkeypatch.setattr(Toy, "train", train_as_always)
    link, _ = trained()
    assert (link["computed"], link["failed"]) == (2, 0)
    assert link["requests"]["computed"] == 5, "one sentence, and four pictures that are encoded alike"


def test_a_loss_that_is_no_number_is_the_reason_and_checkpoints_stay():
    with pytest.raises(RuntimeError, match="FloatingPointError: the loss is no number at step 1"):
        trained(rate=11.0)
    assert len(list(Path(".palimpsest/training").iterdir())) == 4


def test_a_full_disk_stops_the_stage_and_no_item_has_failed():
    Path("full").touch()
    with pytest.raises(OSError, match="No space left on device"):
        trained()
    assert not Path("data/train/lora").exists()
    Path("full").unlink()
    JOURNAL.unlink()
    link, _ = trained()
    assert (link["computed"], link["failed"], link["requests"]["recalled"]) == (4, 0, 7)
    assert not JOURNAL.exists(), "pieces were kept"


def test_what_was_trained_paints_beside_the_painter_as_it_is_and_is_judged():
    trained()
    asked = study()
    execute(prompt.node(asked, "asked"))
    link = execute(paint.node(asked, "painter"))
    assert (link["items"], link["failed"]) == (15, 0)
    rows = list(DISK.rows(Path("data/paint/painter")))
    levels: dict[str, set[int]] = {row["training"]: set() for row in rows}
    seeds: dict[str, set[int]] = {}
    for row in rows:
        level, seed, _ = decode_png(row["image"]["bytes"])[0, 0]
        levels[row["training"]].add(int(level))
        seeds.setdefault(row["sample"], set()).add(int(seed))
    assert levels == {None: {0}, "lora/precision=0,seed=0": {0}, "lora/precision=0,seed=1": {10},
                      "lora/precision=100,seed=0": {3}, "lora/precision=100,seed=1": {13}}  # fmt: skip
    assert all(len(some) == 1 for some in seeds.values()), "the same noise for the same prompt in every cell"
    engine = connect(places.registry_url())
    with engine.connect() as connection:
        one = next(row for row in rows if row["training"] == "lora/precision=100,seed=1")
        item = connection.execute(select(Item.id).where(Item.key == one["key"])).scalar_one()
        traced = trace_item(connection, item).item
    assert traced.seed % 251 == decode_png(one["image"]["bytes"])[0, 0, 1], "its noise's seed is shown"
    assert [parent.seed for parent in traced.parents if parent.kind == "trained"] == [1]
    execute(quality.node(asked, "truth"))
    judged = list(DISK.rows(Path("data/quality/truth")))
    assert len(judged) == 15 and {row["painter"] for row in judged} == {"painter"}
    graphs = {row["sample"]: json.loads(row["annotations"])["graph"] for row in rows}
    for row in judged:
        said = graphs[row["sample"]]["background"]
        assert row["painted_attributes"] == 0 and row["painted_background"] == (said == "white" if said else None)
    assert Point.of(judged[0]).painter == "painter"


def test_faulty_prompts_are_listed_and_strict_allows_none(monkeypatch):
    found, _ = prompt.read(study(), "asked")
    monkeypatch.setattr(prompt, "read_study", study)
    monkeypatch.setattr(prompt, "read", lambda *_: (found, [Problem("p7", "bad_record", "Line 7 is no record.")]))
    monkeypatch.setenv("PALIMPSEST_STRICT", "1")
    with pytest.raises(SystemExit, match=r"1 problem\(s\) in the input of prompt@asked, and --strict allows none"):
        prompt.main("asked")
    assert json.loads(Path("data/prompt/asked/problems.jsonl").read_text())["kind"] == "bad_record"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "lira"}, 'no kind of training .entry lora.*"lira"; did you mean "lora"'),
        ({"captions": "gird"}, 'no captioner, recaptioner or caption set .entry lora.* "gird"; did you mean "grid"'),
        ({"painter": "paint"}, 'no model in `models` of params.yaml "paint"; did you mean "painter"'),
        ({"sweep": {"seed": [0]}}, "grid sweeps over precision, and lora/seed=0 does not say which"),
        ({"sweep": {"precision": [50]}}, "no variant of grid .*precision=50"),
        ({"corpus": "scene"}, 'no entry of corpora .*"scene"; did you mean "scenes"'),
        ({"rates": 1}, 'no setting of toy .*"rates"; did you mean "rate"'),
    ],
)
def test_bad_entries_are_one_sentence(entry, said):
    with pytest.raises(ValueError, match=said):
        train.node(study({**LORA, **entry}), "lora")


def lessons(**entry: Any) -> dict[str, list[Lesson]]:
    """What each variant learns from."""
    asked = study({**LORA, **entry})
    asked.corpora["asked"] = {"adapter": "scenes", "path": "."}
    asked.captions["short"] = {"kind": "edits", "corpora": ["scenes"]}
    some = train.variants(asked, "lora")
    return {name.removeprefix("lora/"): train.lessons_of(one, DISK)[0] for name, one in some.items()}


def test_a_training_learns_so_many_captions_and_the_fewer_are_part_of_the_more():
    say("grid/precision=100", ["a star", "two stars", "a red star", "no star"])
    found = lessons(corpus="scenes", sweep={"size": [1, 2, 3], "precision": [0, 100], "seed": [0, 1, 2, 3]})
    chosen = {name: [one.picture.digest for one in some] for name, some in found.items()}
    for seed in range(4):
        sizes = [chosen[f"size={size},precision=0,seed={seed}"] for size in (1, 2, 3)]
        assert [len(some) for some in sizes] == [1, 2, 3] and set(sizes[0]) < set(sizes[1]) < set(sizes[2])
        assert sizes == [chosen[f"size={size},precision=100,seed={seed}"] for size in (1, 2, 3)], "the same pictures"
    assert len({tuple(chosen[f"size=1,precision=0,seed={seed}"]) for seed in range(4)}) > 1
    with pytest.raises(ValueError, match="is to learn the captions of 5 pictures, and grid has captions of 4: lower"):
        lessons(corpus="scenes", size=5)


def test_a_seed_chooses_captions_and_training_alike_where_captions_have_several():
    asked = study({**LORA, "sweep": {"precision": [0], "seed": [0, 1]}})
    asked.captions["grid"]["sweep"] = {"precision": [0, 100], "seed": [0, 1]}
    found = {one.scope.seed: one.folder for one in train.variants(asked, "lora").values()}
    assert found == {seed: Path(f"data/compose/grid/precision=0,seed={seed}") for seed in (0, 1)}


def test_captions_of_a_first_stage_and_questions_are_learnt_beside_in_all_cells_alike():
    say("short", ["a", "b", "c", "d"])
    questions = [{"question": "Is it red?", "answer": "no", "category": "color"}]
    asked = [{"corpus": "asked", "sample": "q0", "status": "ok", "parents": [], "key": "q0", "references": [],
              "image": image(encode_png(np.full((4, 4, 3), 9, np.uint8)), ""), "value": "{}",
              "annotations": json.dumps({"questions": questions})}]  # fmt: skip
    shard("prepare", "asked", asked)
    more = {"corpus": "scenes", "initial_captions": "short", "instructions": "asked"}
    found = lessons(**more, size=2)
    for some in found.values():
        assert [one.stage for one in some] == ["", "", *["initial"] * 4, "instruction"], "whatever the size"
        assert [one.parts()[1:] for one in some[2:]] == [
            *([said, "", "initial", ""] for said in "abcd"), ["no", "", "instruction", "Is it red?"]
        ]  # fmt: skip
        assert all(len(one.parts()) == 3 for one in some[:2]), "keys of what has no stages stay as they were"
    with pytest.raises(ValueError, match="corpus scenes has no questions with answers to be learnt: give a corpus of"):
        lessons(**{**more, "instructions": "scenes"})
    with pytest.raises(ValueError, match='no entry of corpora .*"askd"; did you mean "asked"'):
        lessons(**{**more, "instructions": "askd"})
    with pytest.raises(ValueError, match='no captioner, recaptioner or caption set .entry lora.* "shrt"; did you mean'):
        lessons(**{**more, "initial_captions": "shrt"})


def test_trainings_of_another_painter_are_not_painted_with(monkeypatch):
    assert paint.node(study(checkpoint="elsewhere"), "painter").worker.some["painter"].trainings == {}
    assert paint.node(study(lora="adapter"), "painter").worker.some["painter"].trainings == {}, "they have no adapter"
    both = study({**LORA, "sweep": {"painter": ["painter", "other"], "precision": [0]}})
    both.models["other"] = {"adapter": "toy", "checkpoint": "elsewhere"}
    del both.training["lora"]["painter"]
    assert [*paint.node(both, "painter").worker.some["painter"].trainings] == ["lora/painter=painter,precision=0"]
    with pytest.raises(ValueError, match="lora does not train the painter of painter"):
        paint.node(study(checkpoint="elsewhere", trainings=["lora"]), "painter")
    with pytest.raises(ValueError, match='no training .entry painter. "lara"; did you mean "lora"'):
        paint.node(study(trainings=["lara"]), "painter")


def test_an_empty_caption_set_is_said(monkeypatch):
    say("grid/precision=0", [None] * 4)
    monkeypatch.setattr(train, "read_study", study)
    with pytest.raises(ValueError, match=r"lora/precision=0,seed=0 has nothing to learn from"):
        train.main("lora")
