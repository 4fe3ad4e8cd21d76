"""`palimpsest recaption`: a folder of pictures, from the command line to the files, with toy models."""

from __future__ import annotations

import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from commands.recaptioning import METHODS
from models.adapters import catalogue
from models.adapters.roles import Reply, Turn
from palimpsest import app
from registry.store.dag import STAGES
from stages import recaption
from stages.care import needed, rewriting
from tests.conftest import ROOT
from tests.stages.engine import toys

JOURNAL = Path("journal")


class Chat(toys.Toy):
    """Describes a picture by its brightness; revises a caption by a word, or as its picture's brightness says."""

    def answer(self, conversations: Sequence[Sequence[Turn]], decoding: Any, seeds: Sequence[int]) -> list[list[Reply]]:
        for conversation in conversations:
            self.note(f"answers {round(float(conversation[-1].pictures[0].mean()))}")
            for error in (ConnectionError, ValueError):
                if self.settings.journal.with_name(error.__name__).exists():
                    raise error("nobody answers")
        return [[self.reply(conversation[-1])] for conversation in conversations]

    def reply(self, turn: Turn) -> Reply:
        light = round(float(turn.pictures[0].mean()))
        head, asked, rest = turn.text.partition("The caption is: ")
        if not asked:
            return Reply(f"light {light}", "stop")
        caption = rest.rpartition("\nWrite the revised")[0]
        return {
            10: Reply("It is lovely.", "stop"),
            20: Reply("<revised_caption>A star and", "length"),
            30: Reply("<revised_caption>A star. A star. A star.</revised_caption>", "stop"),
            40: Reply("", "stop"),
        }.get(light, Reply(f"<revised_caption>{caption} indeed</revised_caption>", "stop"))


def register() -> None:
    toys.register()
    STAGES["recaption"] = recaption.STAGE
    catalogue.CATALOGUE["chat"]["toy-chat"] = "tests.stages.care.test_rewriting:Chat"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a folder of pictures, and a file of toy models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "CATALOGUE", {role: dict(some) for role, some in catalogue.CATALOGUE.items()})
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    register()
    toy = {"journal": str(tmp_path / JOURNAL)}
    chat = {"adapter": "toy-chat", "name": "chat", **toy}
    painter = {"adapter": "toy-painter", "name": "painter", **toy}
    rico = {"painter": "brush", "reviser": "chat", "captioner": {"model": "chat", "max_tokens": 9}, "rounds": 1}
    Path("models.yaml").write_text(yaml.safe_dump({"models": {"brush": painter, "chat": chat}, "rico": rico}))
    paint("a.png", 200, "A cat.")
    paint("b.png", 100)
    paint("deep/er/c.png", 100)
    return tmp_path


def paint(name: str, light: int, caption: str | None = None) -> None:
    path = Path("pictures", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), light, np.uint8)).save(path)
    if caption is not None:
        path.with_suffix(".txt").write_text(caption)


def run(*options: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["recaption", "pictures", "--models", "models.yaml", *options])
    assert result.exit_code == code, result.output
    return result


def lines(path: str = "captions.jsonl") -> dict[str, dict[str, Any]]:
    read = map(json.loads, Path(path).read_text(encoding="utf-8").splitlines())
    return {one["file_name"]: one for one in read}


def captions(path: str = "captions.jsonl") -> dict[str, str]:
    return {name: one["caption"] for name, one in lines(path).items()}


def asked() -> int:
    """Number of answers so far."""
    return sum("answers" in line for line in JOURNAL.read_text().splitlines())


BETTER = {"a.png": "A cat. indeed", "b.png": "light 100 indeed", "deep/er/c.png": "light 100 indeed"}


def test_every_picture_gets_a_better_caption_and_keeps_the_first():
    assert "3 captions in captions.jsonl" in run().output
    found = lines()
    assert captions() == BETTER
    assert {name: (one["first"], one["references"]) for name, one in found.items()} == {
        "a.png": ("A cat.", ["A cat."]), "b.png": ("light 100", []), "deep/er/c.png": ("light 100", []),
    }  # fmt: skip
    a = found["a.png"]
    assert a["method"] == "rico" and len(a["key"]) == len(a["prompts"]) == len(a["picture"]) == 64
    assert a["models"]["painter"] == {"adapter": "toy-painter", "version": 1, "name": "painter"}
    assert (a["flags"], a["failures"], a["reason"]) == ([], [], None)
    assert not Path("captions.failed.jsonl").exists()


def test_trace_walks_back_through_every_request_to_the_picture():
    run()
    key = lines()["b.png"]["key"]
    result = CliRunner().invoke(app, ["trace", key, "--json"])
    assert result.exit_code == 0, result.output
    item = json.loads(result.output)["item"]
    assert (item["kind"], item["caption"]) == ("recaption", "light 100 indeed")
    assert Counter(parent["kind"] for parent in item["parents"]) == {"original": 1, "ask": 2, "paint": 1}
    revised = next(one for one in item["parents"] if one["kind"] == "ask" and "indeed" in one["caption"])
    assert {parent["kind"] for parent in revised["parents"]} == {"original", "paint"}


def test_equal_pictures_are_asked_about_once_and_nothing_is_asked_twice():
    run()
    assert asked() == 3, "one first caption, and two revisions, for two different pictures"
    run("--out", "again.jsonl")
    assert asked() == 3 and Path("again.jsonl").read_bytes() == Path("captions.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("existing", "caption"),
    [("skip", "A cat."), ("overwrite", "A cat. indeed"), ("append", "A cat. A cat. indeed"),
     ("prepend", "A cat. indeed A cat.")],
)  # fmt: skip
def test_what_becomes_of_a_caption_that_is_there(existing: str, caption: str):
    for _ in range(2):  # what was written is no first caption, whatever is done with those
        run("--on-existing", existing, "--sidecars", "--out", "pictures/metadata.jsonl")
        assert captions("pictures/metadata.jsonl") == BETTER | {"a.png": caption}
        assert lines("pictures/metadata.jsonl")["a.png"]["references"] == ["A cat."]
        assert Path("pictures/a.txt").read_text() == f"{caption}\n"
        assert Path("pictures/deep/er/c.txt").read_text() == "light 100 indeed\n"
    assert asked() == (2 if existing == "skip" else 3)


def test_a_table_of_others_is_kept_beside_ours():
    table = Path("pictures/metadata.jsonl")
    table.write_text('{"file_name": "b.png", "text": "A dog.", "licence": "mine"}\n')
    run("--out", str(table))
    assert captions(str(table))["b.png"] == "A dog. indeed"
    assert "licence" in Path("pictures/metadata.jsonl.before").read_text()
    run("--out", str(table))
    assert captions(str(table))["b.png"] == "A dog. indeed"


def test_parquet_and_webdataset_hold_the_same():
    run()
    run("--out", "captions.parquet")
    rows = pq.read_table("captions.parquet").to_pylist()
    assert {row["file_name"]: row["caption"] for row in rows} == BETTER
    assert json.loads(rows[0]["models"])["painter"]["name"] == "painter"
    run("--out", "captions.tar")
    with tarfile.open("captions.tar") as tar:
        held = {member.name: tar.extractfile(member).read() for member in tar}
    assert sorted(held)[:3] == ["a.jpg".replace("jpg", "json"), "a.png", "a.txt"] and len(held) == 9
    assert held["deep/er/c.txt"] == b"light 100 indeed"
    assert held["a.png"] == Path("pictures/a.png").read_bytes()
    assert Image.open(io.BytesIO(held["b.png"])).size == (8, 8)


def test_replies_that_are_none_are_told_and_no_caption_is_made_of_them():
    paint("prose.png", 10, "One.")
    paint("cut.png", 20, "Two.")
    paint("again.png", 30, "Three.")
    paint("silent.png", 40, "Four.")
    Path("pictures/torn.png").write_text("no picture")
    output = run().output
    assert captions() == BETTER | {
        "prose.png": "One.", "cut.png": "Two.", "silent.png": "Four.", "again.png": "A star. A star. A star.",
    }  # fmt: skip
    flags = {name: one["flags"] for name, one in lines().items() if one["flags"]}
    assert flags == {"cut.png": ["cut"], "again.png": ["repeats"], "silent.png": ["empty"]}
    assert "4 pictures got no better caption; captions.failed.jsonl says why" in output and "3 with flags" in output
    why = lines("captions.failed.jsonl")
    assert {name: [one["reason"] for one in said["failures"]] for name, said in why.items()} == {
        "prose.png": ["cannot be read: there is no <revised_caption> in the reply"],
        "cut.png": ["cannot be read: the revised caption was cut off at `max_tokens`: raise it"],
        "silent.png": ["cannot be read: there is no <revised_caption> in the reply"],
        "torn.png": [],
    }
    assert why["torn.png"]["caption"] is None and "no picture in a known format" in why["torn.png"]["reason"]


@pytest.mark.parametrize("error", ["ConnectionError", "ValueError"])
def test_failed_models_are_asked_again(error: str):
    """What passes by itself at once, everything else where it is wanted: where a caption was kept, it stands."""
    Path(error).touch()
    run()
    assert captions() == {"a.png": "A cat."}, "kept, and the others have none"
    assert set(lines("captions.failed.jsonl")) == set(BETTER)
    Path(error).unlink()
    run()
    assert captions() == (BETTER if error == "ConnectionError" else BETTER | {"a.png": "A cat."})
    run("--retry-failed")
    assert captions() == BETTER and not Path("captions.failed.jsonl").exists()


def test_what_was_captioned_is_no_garbage(monkeypatch: pytest.MonkeyPatch):
    run()
    monkeypatch.setattr(needed, "cache", Path)
    with sqlite3.connect(".palimpsest/registry.db") as database:
        held = {key for (key,) in database.execute("SELECT key FROM item")}
    assert needed.needed_keys() == held and lines()["a.png"]["key"] in held


def bill(*options: str) -> dict[str, Any]:
    found = json.loads(run("--dry-run", "--json", *options).output)
    return found | {"bills": {one["role"]: one for one in found["bills"]}}


def test_a_dry_run_says_what_it_would_cost_and_asks_nothing():
    before = bill()
    assert not JOURNAL.exists() and not Path("captions.jsonl").exists()
    assert (before["pictures"], before["captioned"], before["left"]) == (3, 1, 0)
    most = {role: (one["most"], one["known"], one["tokens"]) for role, one in before["bills"].items()}
    assert most == {"painter": (2, 0, 0), "reviser": (2, 0, 2 * 40), "captioner": (1, 0, 9)}, "two are equal"
    assert before["stage"]["hours"] is None
    run()
    after = bill()
    assert [one["most"] for one in after["bills"].values()] == [0, 0, 0]
    assert after["stage"]["known"] == 3
    settings = yaml.safe_load(Path("models.yaml").read_text())
    settings["rico"]["rounds"] = 2
    Path("models.yaml").write_text(yaml.safe_dump(settings))
    more = bill()
    assert {role: one["most"] - one["known"] for role, one in more["bills"].items()} == {
        "painter": 2, "reviser": 2, "captioner": 0,
    }  # fmt: skip
    assert more["stage"]["hours"] is not None, "a past run with these models speaks"
    text = run("--dry-run").output
    assert "3 pictures: 1 with a caption" in text and "brush" not in text


def test_a_dry_run_of_a_method_without_a_bound_says_so():
    settings = yaml.safe_load(Path("models.yaml").read_text())
    settings["scalecap"] = {"captioner": "chat", "language_model": "chat"}
    Path("models.yaml").write_text(yaml.safe_dump(settings))
    assert "no bound" in run("--method", "scalecap", "--dry-run").output


def test_a_kill_loses_nothing_that_was_answered(here: Path):
    for number in range(6):
        paint(f"more/{number}.png", 50 + number, f"Number {number}.")
    settings = yaml.safe_load(Path("models.yaml").read_text())
    settings["models"]["chat"] |= {"pause": 0.3, "batch_size": 1}
    Path("models.yaml").write_text(yaml.safe_dump(settings))
    code = "from tests.stages.care import test_rewriting as t; t.register(); t.app()"
    command = [sys.executable, "-c", code, "recaption", "pictures", "--models", "models.yaml"]
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, start_new_session=True)

    def answered() -> int:
        try:
            with sqlite3.connect(here / ".palimpsest/registry.db") as database:
                return database.execute("SELECT count(*) FROM item WHERE kind = 'ask'").fetchone()[0]
        except sqlite3.OperationalError:
            return 0

    deadline = time.monotonic() + 90
    while answered() < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    known, before = answered(), asked()
    assert 3 <= known < 9 and before - known <= 1, "it was not killed on its way"
    run()
    assert len(captions()) == 9
    assert asked() - before == 9 - known, "each question that was not answered, once"


def test_captions_that_are_odd_come_through():
    tagged = "A <revised_caption>sign</revised_caption> says {caption}."
    long = "word " * 4000
    odd = {"empty": "", "long": long, "script": "一只猫 у окна, قطة", "tags": tagged, "blank": "  \n"}
    for number, (name, caption) in enumerate(odd.items()):
        paint(f"odd/{name}.png", 60 + number, caption)
    run()
    found = lines()
    assert found["odd/empty.png"]["first"] == "light 60" and found["odd/empty.png"]["caption"] == "light 60 indeed"
    assert found["odd/blank.png"]["first"] == "light 64"
    assert found["odd/long.png"]["first"] == long and len(found["odd/long.png"]["caption"].split()) == 4001
    assert found["odd/script.png"]["caption"] == odd["script"] + " indeed"
    tags = found["odd/tags.png"]
    assert (tags["first"], tags["caption"]) == (tagged, tagged), "half a sentence is no caption"
    assert tags["failures"][0]["reason"] == "cannot be read: there are tags inside of the revised caption"


def test_places_that_the_environment_names_from_here_are_meant_from_here(monkeypatch: pytest.MonkeyPatch):
    named = {"PALIMPSEST_REGISTRY": "sqlite:///team.db", "PALIMPSEST_OBJECTS": "kept",
             "MLFLOW_TRACKING_URI": "sqlite:///runs.db"}  # fmt: skip
    for name, url in named.items():
        monkeypatch.setenv(name, url)
    run()
    assert Path("team.db").is_file() and Path("runs.db").is_file() and any(Path("kept").iterdir())
    assert {name: os.environ[name] for name in named} == named
    assert captions() == BETTER


def test_a_folder_is_captioned_by_one_at_a_time():
    study = rewriting.study_of(Path("pictures"), "rico", Path("models.yaml"))
    with rewriting.alone(study):
        output = run(code=2).output
        assert "Another `palimpsest recaption` is captioning" in output and "pictures; wait for its end." in output
        assert bill()["pictures"] == 3, "what it would cost is said nevertheless"
    run()


@pytest.mark.parametrize("method", sorted(catalogue.CATALOGUE["recaptioners"].keys() - {"edits"}))
def test_every_method_runs_on_pocket_models(method: str):
    for name in ("models", "studies"):
        Path(name).symlink_to(ROOT / name)
    made = rewriting.method_of(rewriting.study_of(Path("pictures"), method, None))
    assert made.method.asks <= made.players.keys() and "captioner" in made.players
    assert method in METHODS


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--method", "rica"], 'There is no method of models.yaml "rica"; did you mean "rico"? Known: rico.'),
        (["--out", "captions.csv"], "captions.csv ends in none of .jsonl, .parquet, .tar."),
        (["--out", "no/captions.jsonl"], "There is no folder no to write captions.jsonl to."),
        (["--out", "pictures/captions.tar"], "pictures/captions.tar lies among the pictures, and would be taken"),
        (["--models", "none.yaml"], "There is no file none.yaml; write `models` and the settings of rico into one."),
        (["--models", "list.yaml"], "list.yaml should map `models` and the names of methods to their settings."),
        (["--models", "short.yaml"], "rico names no reviser: rico asks one of the chat."),
    ],
)
def test_what_is_wrong_is_one_sentence(options: list[str], sentence: str):
    Path("list.yaml").write_text("- rico\n")
    Path("short.yaml").write_text("rico: {painter: {adapter: toy-painter, name: a, journal: b}}\n")
    assert sentence in run(*options, code=2).output


def test_pictures_that_would_share_a_file_are_refused():
    paint("a.jpg", 7)
    assert "The captions of a.jpg and a.png would share a file; rename one." in run("--sidecars", code=2).output


def test_a_folder_that_is_not_there_or_holds_no_picture():
    result = CliRunner().invoke(app, ["recaption", "nowhere", "--models", "models.yaml"])
    assert result.exit_code == 2 and "There is no folder" in result.output
    Path("bare").mkdir()
    result = CliRunner().invoke(app, ["recaption", "bare", "--models", "models.yaml"])
    assert result.exit_code == 2 and "holds no usable sample" in result.output
