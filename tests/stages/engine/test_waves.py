"""Methods over requests: what is asked alike is asked once, and nothing that was answered is lost."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest
from tqdm import tqdm

from models.adapters import catalogue
from models.adapters.requests import Ask, Conversation, Failure, Paint, Request
from registry.lineage.ids import trace
from registry.store import places
from registry.store.dag import REQUESTS, STAGES
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.keys import canonical, item_seed
from registry.store.objects import ObjectStore
from stages.engine import node as stages_node
from stages.engine.loop import execute
from stages.engine.memory import Entry, Memory
from stages.engine.tasks import Task, Worker
from stages.engine.waves import Case, Method, Waves
from stages.index.remembering import remember_all
from tests.conftest import ROOT
from tests.stages.engine import toys
from tests.stages.test_workers import compute as computed

CASES = len(toys.NAMES)
TWO_ROUNDS = 2 * (2 * CASES - 1)
"""What two rounds ask: the dark picture keeps its caption, and asks in the second what it asked in the first."""
JOURNAL = Path("journal")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout of the toy stage alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(catalogue, "CATALOGUE", {role: dict(some) for role, some in catalogue.CATALOGUE.items()})
    monkeypatch.setattr("registry.store.dag.STAGES", dict(STAGES))
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    real = STAGES["recaption"]
    toys.register()
    yield tmp_path
    STAGES["recaption"] = real


def run(**options: Any) -> dict[str, Any]:
    return execute(toys.node(JOURNAL, **options))


def rows(name: str = "rounds") -> dict[str, dict[str, Any]]:
    found = pq.read_table(f"data/recaption/{name}/toys/part-00.parquet").to_pylist()
    return {row["sample"]: row for row in found}


def asked(name: str = "rounds") -> list[dict[str, Any]]:
    folder = Path("data/recaption", name, "requests")
    return [row for path in sorted(folder.glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def test_a_third_round_costs_one_round():
    two = run(settings=2)
    assert (two["computed"], two["requests"]["computed"]) == (CASES, TWO_ROUNDS)
    three = run(settings=3)
    assert three["computed"] == CASES
    assert three["requests"]["computed"] == 2 * (CASES - 1)
    assert three["requests"]["recalled"] == two["requests"]["computed"]
    again = run(settings=3)
    assert (again["recalled"], again["requests"]["asked"]) == (CASES, 0)


def test_an_unreadable_reply_is_counted_and_the_method_says_what_then():
    link = run(settings=1)
    assert link["requests"]["unreadable"] == 1 and link["failed"] == 0
    assert link["requests"]["reasons"] == {"reviser: '?' is no caption": 1} and not link["reasons"]
    found = rows()
    assert found["dark"]["caption"] == "dark" and found["white"]["caption"].startswith("revise w")
    assert "cannot be read" in found["dark"]["value"] and "failures" not in found["white"]["value"]


def test_two_methods_share_what_they_both_ask():
    first = run(settings=1)
    other = run(name="sketch", settings=1)
    assert other["requests"]["recalled"] == CASES, "the paintings of the first captions"
    assert first["requests"]["computed"] == 2 * CASES and other["requests"]["computed"] == 2 * CASES


def test_the_order_of_cases_changes_nothing(here):
    run()
    before, journal = {path: path.read_bytes() for path in sorted(Path("data/recaption").rglob("*"))
                       if path.is_file()}, JOURNAL.read_text()  # fmt: skip
    shutil.rmtree(here / ".palimpsest")
    shutil.rmtree(here / "data")
    JOURNAL.unlink()
    run(reverse=True)
    assert {path: path.read_bytes() for path in before} == before
    assert JOURNAL.read_text() == journal, "batches too"


def test_models_are_loaded_one_after_the_other_once_a_wave():
    run(settings=2, batch=3)
    lines = JOURNAL.read_text().splitlines()
    loads = [line for line in lines if line.endswith("load")]
    assert loads == ["toy-painter load", "toy-scribe load"] * 2
    calls = Counter(line.split()[0] for line in lines if not line.endswith("load"))
    assert calls == {"toy-painter": 4, "toy-scribe": 4}


def test_a_large_corpus_goes_in_portions_and_comes_to_the_same(here, monkeypatch):
    """Not all cases are in memory together, and each model is loaded once a wave of a portion."""
    link = run()
    whole = {path: path.read_bytes() for path in sorted(Path("data/recaption").rglob("*.parquet"))}
    shutil.rmtree(here / ".palimpsest")
    shutil.rmtree(here / "data")
    JOURNAL.unlink()
    monkeypatch.setattr(stages_node, "PORTION", 2)
    begun: list[int] = []
    advance = Waves._wave

    def counted(waves: Waves, cases: Sequence[Case]) -> dict[str, Any]:
        begun.append(len(cases))
        return advance(waves, cases)

    monkeypatch.setattr(Waves, "_wave", counted)
    again = run()
    assert {path: path.read_bytes() for path in whole} == whole
    same = ("items", "computed", "recalled", "failed", "requests")
    assert [again[name] for name in same] == [link[name] for name in same]
    loads = [line for line in JOURNAL.read_text().splitlines() if line.endswith("load")]
    assert max(begun) == 2 and loads == ["toy-painter load", "toy-scribe load"] * 2 * 3


def test_a_kill_between_waves_loses_a_batch_at_most(here):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.stages.engine.toys"]
    process = subprocess.Popen(command, cwd=here, env=environment, start_new_session=True)

    def remembered() -> int:
        file = here / ".palimpsest/registry.db"
        if not file.exists():
            return 0
        with sqlite3.connect(file) as database:
            try:
                return database.execute("SELECT count(*) FROM item").fetchone()[0]
            except sqlite3.OperationalError:
                return 0

    deadline = time.monotonic() + 60
    while remembered() < CASES + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    known = remembered()
    assert CASES + 2 <= known < TWO_ROUNDS, "it was not killed in the second wave"
    assert not Path("data/recaption").exists() or not (here / "data/recaption/rounds").exists()
    computed = Counter(line.split()[1] for line in JOURNAL.read_text().splitlines())
    assert computed["paints"] + computed["answers"] - known <= 1
    link = run()
    assert link["requests"]["computed"] == TWO_ROUNDS - known
    assert link["requests"]["recalled"] == known


def kinds(of: type[Request] = Request) -> set[str]:
    return {getattr(of, "KIND", "")}.union(*map(kinds, of.__subclasses__()))


def test_the_registry_knows_every_kind_of_request():
    assert kinds() - {""} == set(REQUESTS)


def nodes(node: Any) -> Iterator[Any]:
    yield node
    for parent in node.parents:
        yield from nodes(parent)


def test_trace_walks_back_through_every_request():
    run()
    found = rows()["white"]
    traced = trace(connect(places.registry_url()), found["key"]).item
    requests = [node for node in nodes(traced) if node.kind in REQUESTS]
    assert {node.key for node in requests} == set(found["parents"])
    assert Counter(node.kind for node in {node.key: node for node in requests}.values()) == {"paint": 2, "ask": 2}
    asks = [node for node in traced.parents if node.kind == "ask"]
    assert all([parent.kind for parent in node.parents] == ["paint"] for node in asks)
    assert {node.caption for node in asks} >= {found["caption"]}


def test_the_registry_is_rebuilt_from_the_output():
    run()
    engine = connect(places.registry_url())

    def items() -> list[tuple]:
        with engine.connect() as connection:
            known = connection.exec_driver_sql("SELECT key, kind, value, object FROM item ORDER BY key").all()
            edges = connection.exec_driver_sql(
                "SELECT a.key, b.key FROM parent JOIN item a ON a.id = item_id JOIN item b ON b.id = parent_id"
                " ORDER BY 1, 2"
            ).all()
        return [*((key, kind, json.loads(value), image) for key, kind, value, image in known), *edges]

    before = items()
    assert len(asked()) == TWO_ROUNDS
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM item")
    store = ItemStore(engine, ObjectStore(places.objects_url()))
    remember_all(store, "recaption@rounds", "recaption", Path("data/recaption/rounds"), store.objects.sizes())
    assert items() == before


def test_a_server_that_dies_in_the_second_round_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first round stands; what was asked in the second is asked again, and no more."""
    answer = toys.Scribe.answer

    def dying(scribe: toys.Scribe, conversations: Any, decoding: Any, seeds: Any) -> Any:
        if any(turns[-1].text.startswith("revise revise") for turns in conversations):
            raise ConnectionError("nobody answers")
        return answer(scribe, conversations, decoding, seeds)

    with monkeypatch.context() as patch:
        patch.setattr(toys.Scribe, "answer", dying)
        first = run()
    assert (first["failed"], first["passing"]) == (CASES - 1, CASES - 1), "the dark one asks in both rounds the same"
    assert first["requests"]["reasons"]["ConnectionError: nobody answers"] == CASES - 1
    assert {row["status"] for row in rows().values()} == {"ok", "failed"}
    second = run()
    assert second["failed"] == 0 and second["requests"]["computed"] == CASES - 1
    assert second["requests"]["recalled"] == 3 * (CASES - 1)
    assert {row["status"] for row in rows().values()} == {"ok"} and "failures" not in rows()["white"]["value"]


def test_a_role_without_a_model_is_named():
    node = toys.node(JOURNAL)
    node.worker.players.pop("painter")
    with pytest.raises(ValueError, match='no model for a role of recaption@rounds "painter"'):
        execute(node)


def test_requests_are_answered_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models that are not loaded yet, and what they are asked, go into another process; what reads replies need not."""

    def closing(case: toys.Shown, settings: int) -> Conversation:
        text = yield Ask("reviser", "see", pictures=(case.picture,), read=lambda reply: f"{reply.text} {settings}")
        yield Paint("painter", text)
        return {"caption": text}

    sent, here = [], Memory._attempt

    def attempt(memory: Memory, worker: Worker, batch: Sequence[tuple[str, Task]], *begun: Any) -> list[Entry]:
        pickled = pickle.dumps(worker), [pickle.dumps(task) for _, task in batch], [item_seed(key) for key, _ in batch]
        entries = here(memory, worker, batch, *begun)
        sent.append((pickled, [(canonical(entry.value), entry.digest) for entry in entries]))
        return entries

    monkeypatch.setitem(toys.METHODS, "closing", closing)
    monkeypatch.setattr(Memory, "_attempt", attempt)
    run(name="closing")
    assert len(sent) == 6 and all(len(one) < 5_000 for (worker, tasks, _), _ in sent for one in (worker, *tasks))
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for (worker, tasks, seeds), found in sent:
            assert pool.submit(computed, worker, [(tasks, seeds)]).result() == found


@pytest.mark.parametrize(("passing", "passes"), [("ConnectionError: no answer", True), (None, False)])
def test_a_method_that_gives_up_because_a_server_was_away_is_tried_again(passing, passes):
    """As where a first caption is missing, without which there is nothing to rewrite."""

    def method(case: Any, settings: Any) -> Conversation:
        if not (yield Ask("captioner", "What is it?")):
            raise ValueError("the picture has no first caption")
        return {}

    memory: Any = SimpleNamespace(name="toy", tracker=SimpleNamespace(id="run"))
    waves = Waves(Method(method, None, {}), memory, tqdm(disable=True))
    case = Case("key", Task("toys", "a", {}, {}), method(None, None))
    assert waves._advance(case, None) is None
    case.passing = passing
    entry = waves._advance(case, Failure("no answer"))
    assert entry and (entry.reason, entry.passes) == ("ValueError: the picture has no first caption", passes)
