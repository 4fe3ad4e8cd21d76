"""What endpoints take goes to the run link and to MLflow, and from there into forecasts; and to no output."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from models.adapters import metering
from models.adapters.catalogue import build
from models.adapters.requests import Ask, Choose, Conversation
from models.chat import batches as batch_files
from models.chat.openai_compatible import OpenAICompatible
from registry.store.dag import STAGES
from registry.tracking.asking import Past, past
from stages.caption import Describer
from stages.care.plan import Asked, Size, estimated, listing
from stages.care.prices import money, prices
from stages.engine import memory
from stages.engine.entries import Variants
from stages.engine.handling import loaded
from stages.engine.loop import execute
from stages.engine.node import Gathered, Node
from stages.engine.players import Player
from stages.engine.tasks import Outcome, Task
from stages.engine.waves import Answerer, Method, batches
from tests.models.chat.test_batches import Provider, answered

PRICE = {"prompt": 2, "cached": 1, "completion": 10}
ENTRY = {"adapter": "openai-compatible", "endpoint": "http://there/v1", "model": "gpt", "revision": "1", "price": PRICE}
TOOK = {"requests": 1, "prompt_tokens": 100, "cached_tokens": 40, "completion_tokens": 8, "cost": 0.24}


@dataclass
class Asking:
    """A worker that asks an endpoint once an item."""

    spends: bool

    def load(self) -> str:
        return "cpu"

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        for _ in tasks:
            if self.spends:
                metering.count("gpt", Counter(TOOK))
        return [Outcome({"caption": "a star"}) for _ in tasks]


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("PALIMPSEST_REGISTRY", "PALIMPSEST_OBJECTS", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "dvc.yaml").touch()
    return tmp_path


def node(names: str, settings: dict, spends: bool = True) -> Node:
    stage = STAGES["caption"]
    tasks = [Task("toys", name, dict.fromkeys(stage.axes), {"sample": name}) for name in names]
    plan = [("part-00.parquet", tasks)]
    return Node(
        stage=stage, entry="gpt", settings=settings, study="toy", total=len(names), plan=plan, worker=Asking(spends)
    )


def runs(checkout: Path) -> list[Run]:
    client = MlflowClient(f"sqlite:///{checkout}/.palimpsest/mlflow.db")
    return client.search_runs([client.get_experiment_by_name("toy/stages").experiment_id])


def test_what_a_run_took_is_logged_and_says_what_the_next_will_take(checkout: Path):
    metering.count("gpt", Counter(TOOK))  # by whoever was here before
    link = execute(node("abc", ENTRY))
    spent = {"gpt": {name: pytest.approx(3 * amount) for name, amount in TOOK.items()}}
    assert link["spent"] == json.loads(Path("data/runs/caption@gpt.json").read_text())["spent"] == spent
    output = Path("data/caption/gpt/part-00.parquet").read_bytes()
    assert "spent" not in execute(node("abc", ENTRY)), "all was recalled"
    execute(node("xyz", ENTRY, spends=False))
    (run,) = [one for one in past() if one.spent]
    assert run.spent == spent
    logged = next(one for one in runs(checkout) if "cost" in one.data.metrics)
    assert logged.data.metrics["cost"] == pytest.approx(0.72)
    assert (logged.data.metrics["prompt_tokens"], logged.data.metrics["completion_tokens"]) == (300, 24)

    todo = Asked(node("abcdefghij", ENTRY), 10, {"toys": 10})
    found = estimated(past(), todo, Size(1, 1), 3, 7, 0)
    assert found.money == pytest.approx(7 * (60 * 2 + 40 * 1 + 8 * 10) / 1000)
    assert "1.68" in listing([found]).splitlines()[1]
    dearer = {**ENTRY, "price": {"prompt": 4, "completion": 20}}
    again = estimated(past(), Asked(node("a", dearer), 1, {}), None, 0, 1, 0)
    assert again.money == pytest.approx((100 * 4 + 8 * 20) / 1000), "tokens are those of then, prices those of now"
    execute(node("abc", {**ENTRY, "price": dearer["price"]}))
    assert Path("data/caption/gpt/part-00.parquet").read_bytes() == output


def test_a_run_that_fails_has_cost_what_it_cost(checkout: Path):

    class Dying(Asking):
        def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
            super().compute(tasks, seeds)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(replace(node("abc", ENTRY), worker=Dying(spends=True)))
    (run,) = runs(checkout)
    assert (run.info.status, run.data.metrics["cost"]) == ("KILLED", pytest.approx(0.72))


def test_without_a_run_that_tells_money_is_unknown_and_without_a_price_none():
    asked = Asked(node("ab", ENTRY), 2, {})
    assert estimated([Past("caption@gpt", ENTRY, "cpu", 9, 1)], asked, None, 0, 2, 0).money is None
    assert estimated([], asked, None, 2, 0, 0).money == 0, "nothing is missing"
    free = {name: said for name, said in ENTRY.items() if name != "price"}
    found = estimated([], Asked(node("ab", free), 2, {}), None, 0, 2, 0)
    assert found.money == 0 and "money" not in listing([found])


def test_requests_cost_what_past_requests_to_that_model_cost():
    """As `recaption --dry-run` asks: two runs, of one item and five requests each."""
    told = [Past("recaption@rico", {}, "cpu", 1, 1, spent={"gpt": {name: 5 * n for name, n in TOOK.items()}})] * 2
    price = prices([{"reviser": ENTRY}])["gpt"]
    assert money(price, "gpt", told, requests=3) == pytest.approx(3 * TOOK["cost"])
    assert money(price, "gpt", told, items=3) == pytest.approx(3 * 5 * TOOK["cost"])
    assert money(price, "another", told, requests=3) is None


def test_an_endpoint_is_asked_about_one_picture_at_a_time():
    """What a model in process reads beside each other is of one size instead."""
    shown = {name: SimpleNamespace(digest=name) for name in "pq"}
    asked = {f"{name}{n}": Ask("judge", "why? " * n, pictures=(shown[name],)) for n in (1, 2) for name in shown}
    served = Player("gpt", ENTRY, "chat")
    here = Player("qwen", {"adapter": "qwen2.5-vl", "checkpoint": "there"}, "chat")
    orders = [list(batches(asked, lambda key, by=by: by.alike(asked[key]), 2)) for by in (served, here)]
    assert orders == [[["p1", "p2"], ["q1", "q2"]], [["p1", "q1"], ["p2", "q2"]]]


def test_no_actor_asks_an_endpoint(checkout: Path, monkeypatch: pytest.MonkeyPatch):
    """It would take a GPU for that, have limits of its own, and take what it has spent and what it has under way with
    it when it dies."""
    monkeypatch.setenv("PALIMPSEST_ENGINE", "ray")
    monkeypatch.setattr(memory, "Actors", lambda: pytest.fail("an actor was started for an endpoint"))

    class Served(Asking):
        served = True

    link = execute(replace(node("abc", ENTRY), worker=Served(spends=True)))
    assert link["spent"]["gpt"]["requests"] == 3
    for name, entry in (("gpt", ENTRY), ("qwen", {"adapter": "qwen2.5-vl", "checkpoint": "there"})):
        workers = Answerer(Player(name, entry, "chat")), Describer(Variants(name, entry, "captioners"))
        assert [worker.served for worker in workers] == [name == "gpt"] * 2


@pytest.mark.parametrize("role", ["chat", "captioners"])
def test_batches_under_way_are_noted_beside_the_registry(role: str, checkout: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(OpenAICompatible, "probe", lambda *_: None)
    adapter = build(role, "gpt", {**ENTRY, "batch": True})
    assert loaded(adapter) == "endpoint"
    model = adapter if role == "chat" else adapter.chat
    assert model._batches.kept == checkout / ".palimpsest/batches"


def test_all_that_a_wave_asks_by_files_is_under_way_before_one_is_waited_for(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
):
    """Questions and choices, in files of two: a provider may take a day for each, and takes it for all at once."""
    monkeypatch.setattr(OpenAICompatible, "probe", lambda *_: None)
    monkeypatch.setattr(batch_files, "FIRST_PAUSE", 0.01)
    seen: list[int] = []

    def finish(asked: list[dict]) -> tuple[str, list[dict], list[dict]]:
        seen.append(len(provider.batches))
        return answered(asked)

    def method(name: str, settings: None) -> Conversation:
        said, (yes, _) = yield [Ask("judge", f"{name}?"), Choose("judge", f"{name}?", choices=("yes", "no"))]
        return {"caption": f"{said} {yes:.2f}"}

    with Provider() as provider:
        threading.Thread(target=provider.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        provider.finish = finish
        judge = Player("judge", {**ENTRY, "endpoint": provider.endpoint, "batch": True, "batch_size": 2}, "chat")
        columns = dict.fromkeys(STAGES["caption"].axes)
        tasks = [Task("toys", name, columns, {"sample": name}, (), name) for name in "pqr"]
        worker = Method(method, None, {"judge": judge})
        link = execute(replace(node("", ENTRY), plan=[("0.parquet", tasks)], total=3, worker=worker))
        provider.shutdown()
    assert (link["computed"], link["failed"], link["requests"]["computed"]) == (3, 0, 6)
    assert (seen, provider.paid, provider.chats) == ([4, 4, 4, 4], 6, 0)
    rows = pq.read_table("data/caption/gpt/0.parquet").to_pylist()
    assert [row["caption"] for row in rows] == [f"?{name} 0.92" for name in "pqr"]


def test_one_file_holds_what_is_missing_in_all_shards():
    """A provider may take a day for each file; of two captioners each has files of its own."""
    asked: list[list[str]] = []

    class Noting(Asking):
        def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
            asked.append([task.sample for task in tasks])
            return super().compute(tasks, seeds)

    def shard(captioner: str, names: str) -> list[Task]:
        columns = dict.fromkeys(STAGES["caption"].axes) | {"captioner": captioner}
        return [Task("toys", name, columns, {"sample": f"{captioner} {name}"}) for name in names]

    plan = [("a/0.parquet", shard("a", "pq")), ("a/1.parquet", shard("a", "rst")), ("b/0.parquet", shard("b", "u"))]
    worker = Gathered(Noting(spends=False), 4, "captioner")
    link = execute(replace(node("", ENTRY), plan=plan, total=6, worker=worker))
    assert asked == [["p", "q", "r", "s"], ["t"], ["u"]]
    assert (link["computed"], link["failed"], "requests" in link) == (6, 0, False)
    assert len(list(Path("data/caption/gpt").rglob("*.parquet"))) == 3
