"""Methods that ask several models: all cases of a stage advance together, in waves.

In each wave what the methods ask for is gathered by model, recalled where it is known, computed in batches where it is
not, and remembered batch by batch; then every method goes on with its replies. Each request is an item with a key of
its own, so that what two cases, two methods or two studies ask alike is asked once, and a third round costs one round.
One model at a time is loaded, once a wave at most.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from tqdm import tqdm

from models.adapters import catalogue
from models.adapters.requests import Ask, Conversation, Failure, Request, text_of
from models.adapters.settings import unknown
from registry.store.keys import canonical, item_key
from stages.engine.handling import batched, loaded, prepares, served
from stages.engine.memory import Entry, Memory
from stages.engine.node import REASONS, Together
from stages.engine.pictures import Picture
from stages.engine.players import Player
from stages.engine.tasks import Outcome, Task, Worker, fault, with_requests

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method(Together):
    """A method as a study sets it: a generator over requests, its settings, and who plays its roles.

    ``run`` gets the inputs of a task and the settings (:mod:`models.adapters.requests`).
    """

    run: Callable[[Any, Any], Conversation]
    settings: Any
    players: Mapping[str, Player]

    def answer(
        self, memory: Memory, kind: str, tasks: Sequence[tuple[str, Task]], progress: tqdm
    ) -> tuple[dict[str, Entry], dict[str, Any]]:
        waves = Waves(self, memory, progress)
        entries = waves.answer(kind, tasks)
        return entries, {**waves.counts, "reasons": dict(waves.reasons.most_common(REASONS))}


class Answerer:
    """Answers requests with one model."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.adapter = catalogue.build(player.role, player.name, player.entry)
        self.prepares, self.served, self.batched = (look(self.adapter) for look in (prepares, served, batched))

    def load(self) -> str:
        with self.player.described() as entry:
            if entry is not self.player.entry:
                self.adapter = catalogue.build(self.player.role, self.player.name, entry)
            return loaded(self.adapter)

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        """The outcomes of requests of one kind to one player."""
        requests, decoding = [task.inputs[0] for task in tasks], tasks[0].inputs[1]
        return [Outcome(*one) for one in type(requests[0]).answers(self.adapter, requests, decoding, seeds)]


@dataclass
class Case:
    """State of a method for one item."""

    key: str
    task: Task
    conversation: Conversation
    asked: list[Request] = field(default_factory=list)
    several: bool = False
    """Whether it asked for a list."""
    requests: list[str] = field(default_factory=list)
    """The keys of all that it has asked, in order."""
    failures: list[dict[str, str]] = field(default_factory=list)
    passing: str | None = None
    """Why a request failed that a retry may answer, if one did."""


class Waves:
    """Advances the cases of one stage.

    A case that went on without a reply because a server was away, or the disk full, is kept as failed: the next
    execution asks for that reply again, and for what depends on it.

    ``counts`` says how many requests were made, recalled, computed, failed, and could not be read.
    """

    def __init__(self, method: Method, memory: Memory, progress: tqdm) -> None:
        self.method = method
        self.memory = memory
        self.progress = progress
        self.counts = Counter(asked=0, recalled=0, computed=0, failed=0, unreadable=0)
        self.reasons: Counter[str] = Counter()
        self._known: dict[str, Entry] = {}
        self._worker: Worker | None = None
        self._loaded = ""

    def answer(self, kind: str, tasks: Sequence[tuple[str, Task]]) -> dict[str, Entry]:
        """The items of a method, each remembered at the end of the wave in which it was done."""
        cases = [Case(key, task, self.method.run(task.inputs, self.method.settings)) for key, task in tasks]
        entries: dict[str, Entry] = {}
        replies: dict[str, Any] = {case.key: None for case in cases}
        while cases:
            done = {case.key: entry for case in cases if (entry := self._advance(case, replies[case.key]))}
            entries |= self._remember(kind, [case for case in cases if case.key in done], done)
            self.progress.update(len(done))
            cases = [case for case in cases if case.key not in done]
            replies = self._wave(cases)
        return entries

    def _advance(self, case: Case, reply: Any) -> Entry | None:
        """Run a method until its next request; returns its item where it is done."""
        run, passes = self.memory.tracker.id, case.passing is not None
        try:
            asked = case.conversation.send(reply)
        except StopIteration as end:
            value = {**end.value, "requests": case.requests}
            if reason := fault(value):
                return Entry(run, {"requests": case.requests}, None, reason, passes=passes)
            value |= {"failures": case.failures} if case.failures else {}
            return Entry(run, value, None, case.passing, passes=passes)
        except Exception as error:  # whatever one case does to a method must not stop the others
            log.debug("%s: %s failed", self.memory.name, case.task.sample, exc_info=True)
            reason = f"{type(error).__name__}: {error}"
            return Entry(run, {"requests": case.requests}, None, reason, passes=passes)
        case.several = isinstance(asked, list)
        case.asked = asked if isinstance(asked, list) else [asked]
        return None

    def _wave(self, cases: Sequence[Case]) -> dict[str, Any]:
        """Answer what the cases ask for; the replies by case."""
        gathered: dict[str, tuple[Player, Request]] = {}
        keyed: list[tuple[Case, list[tuple[str, Request]]]] = []
        for case in cases:
            own = []
            for request in case.asked:
                player = self._player(request)
                key = item_key(request.KIND, player.parts(request))
                gathered[key] = (player, request)
                own.append((key, request))
            case.requests += [key for key, _ in own]
            keyed.append((case, own))
        self._compute({key: one for key, one in gathered.items() if key not in self._known})
        replies = {}
        for case, own in keyed:
            received = [self._received(case, key, request) for key, request in own]
            replies[case.key] = received if case.several else received[0]
        return replies

    def _player(self, request: Request) -> Player:
        """The model that answers a request; raises ``ValueError`` where the study names none that could."""
        players = self.method.players
        if request.role not in players:
            raise ValueError(unknown(f"model for a role of {self.memory.name}", request.role, players))
        player = players[request.role]
        if player.role != request.PLAYED_BY:
            raise ValueError(
                f"{self.memory.name} has its {request.role} played by {player.name}, one of {player.role}; take one of "
                f"{request.PLAYED_BY}."
            )
        return player

    def _compute(self, gathered: Mapping[str, tuple[Player, Request]]) -> None:
        """Recall what is known of the requests, and compute the rest, one model after the other."""
        self.counts["asked"] += len(gathered)
        recalled = self.memory.recall(gathered, data=False)
        self.counts["recalled"] += len(recalled)
        self._known |= recalled
        missing: dict[str, dict[tuple[str, str], list[str]]] = {}
        for key in gathered.keys() - recalled.keys():
            player, request = gathered[key]
            model, decoding = canonical([player.role, player.identity]), canonical(player.decoding.decided())
            missing.setdefault(model, {}).setdefault((request.KIND, decoding), []).append(key)
        for model, groups in sorted(missing.items(), key=lambda one: (one[0] != self._loaded, one[0])):
            tasks = []
            for _, keys in sorted(groups.items()):
                player = gathered[keys[0]][0]
                if model != self._loaded:
                    self._worker, self._loaded = Answerer(player), model
                for some in batches(keys, lambda key: gathered[key][0].alike(gathered[key][1]), player.batch_size):
                    tasks.append([(key, self._task(*gathered[key])) for key in some])
            kinds = {key: kind for (kind, _), keys in groups.items() for key in keys}
            done = 0
            self.progress.set_postfix_str(f"{player.name}: 0/{len(kinds)}")
            assert self._worker
            for entries in self.memory.compute(kinds, self._worker, tasks):
                done += len(entries)
                self.progress.set_postfix_str(f"{player.name}: {done}/{len(kinds)}")
                for key, entry in entries.items():
                    self._known[key] = replace(entry, data=None)
                    self.counts["computed" if entry.run == self.memory.tracker.id else "recalled"] += 1
                    if entry.reason:
                        self.counts["failed"] += 1
                        self.reasons[entry.reason] += 1

    def _task(self, player: Player, request: Request) -> Task:
        """A request as a task; its parents are the items whose pictures it is about.

        The task goes to a worker, and what reads the reply stays here: it may be any function.
        """
        asked = replace(request, read=text_of) if isinstance(request, Ask) else request
        seen = dict.fromkeys(getattr(picture, "item", "") for picture in request.pictures_seen())
        parents = tuple(key for key in seen if key)
        return Task("", "", {}, player.parts(request), parents, (asked, player.decoding))

    def _received(self, case: Case, key: str, request: Request) -> Any:
        """Reply to a request; a failure where the request failed or its reply cannot be read."""
        entry = self._known[key]
        if entry.reason is None:
            try:
                return request.reply(entry.value, Picture(entry.digest, item=key) if entry.digest else None)
            except ValueError as error:
                self.counts["unreadable"] += 1
                self.reasons[f"{request.role}: {error}"] += 1
                failure = Failure(f"cannot be read: {error}", answered=True)
        else:
            failure = Failure(entry.reason)
            case.passing = entry.reason if entry.passes else case.passing
        case.failures.append({"request": key, "role": request.role, "reason": failure.reason})
        return failure

    def _remember(self, kind: str, cases: Sequence[Case], done: Mapping[str, Entry]) -> dict[str, Entry]:
        """Remember the items of methods that are done, and return what the store holds then."""
        if not cases:
            return {}
        self.memory.begin("cpu")
        batch = [(case.key, with_requests(case.task, done[case.key].value)) for case in cases]
        return self.memory.remember(kind, batch, done)


def batches(keys: Iterable[str], alike: Callable[[str], tuple[Any, ...]], most: int) -> Iterator[list[str]]:
    """Keys in batches, whatever their order: those alike beside each other, and in one batch where they fit.

    >>> list(batches("edcba", lambda key: (key in "ae",), 3))
    [['b', 'c', 'd'], ['a', 'e']]
    """
    batch: list[str] = []
    for _, found in groupby(sorted(keys, key=lambda key: (alike(key), key)), alike):
        some = list(found)
        if 2 * len(batch) > most and len(batch) + len(some) > most:
            yield batch
            batch = []
        batch += some
        while len(batch) >= most:
            yield batch[:most]
            batch = batch[most:]
    if batch:
        yield batch
