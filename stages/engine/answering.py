"""Entries of ``answerers``: which chat model is asked, as it is and with which trainings, and about what."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from models.adapters import catalogue
from models.adapters.checkpoints import digest_of
from models.adapters.settings import Settings, unknown, validated
from models.chat.lora import WEIGHTS
from models.measures import Metric
from models.measures.benchmarks import Benchmark, Question
from registry.store.dag import STAGES
from stages.engine.handling import identity_of
from stages.engine.players import Player, cast, identities
from stages.engine.shards import Outputs
from stages.engine.study import Study, swept
from stages.engine.trained import laid
from stages.engine.trainings import Training, starting

PREPARED = STAGES["prepare"].folder()
USUAL = ("pope", "counts", "caption-qa")
"""The benchmarks of an entry that names none."""


class Scope(Settings):
    """What an entry asks: its ``benchmarks`` (:mod:`models.measures.benchmarks`), each with its settings, about the
    pictures of ``corpora``, of the model as it is and with the ``trainings`` named.

    Where absent these are :data:`USUAL`, all corpora, and all trainings that start from the model.
    """

    corpora: list[str] | None = None
    trainings: list[str] | None = None
    benchmarks: dict[str, dict[str, Any]] = {name: {} for name in USUAL}


class Trained(Player):
    """A chat model as a training has made it: its ``files`` are a checkpoint, or an adapter laid over the model's."""

    def __init__(self, base: Player, files: Mapping[str, str]) -> None:
        self.name, self.role, self.batch_size, self.decoding = base.name, base.role, base.batch_size, base.decoding
        self.entry, self.base, self.files = base.entry, base, files

    @cached_property
    def identity(self) -> dict[str, Any]:
        """That of the model with a folder of these files, wherever it lies."""
        if self._laid_over:
            return {**self.base.identity, "lora": {name: f"sha256:{address}" for name, address in self.files.items()}}
        own = {name: value for name, value in self.base.identity.items() if name != "revision"}
        return own | {"checkpoint": digest_of(self.files)}

    @property
    def _laid_over(self) -> bool:
        return WEIGHTS in self.files

    @contextmanager
    def described(self) -> Iterator[Mapping[str, Any]]:
        with laid(self.files) as place:
            if self._laid_over:
                yield {**self.entry, "lora": str(place)}
            else:
                own = {name: value for name, value in self.entry.items() if name != "revision"}
                yield own | {"checkpoint": str(place)}


class Answering:
    """A variant of an entry of ``answerers``.

    Raises ``ValueError``, in one sentence, for what is wrong in it.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], study: Study) -> None:
        settings = dict(entry)
        self.name = name
        scope = validated(name, Scope, {key: settings.pop(key) for key in settings.keys() & Scope.model_fields})
        self.player = Player(name, settings, "chat")
        catalogue.build("chat", name, self.player.entry)
        known = study.entries("corpora")
        self.corpora = list(known) if scope.corpora is None else scope.corpora
        for corpus in self.corpora:
            if corpus not in known:
                raise ValueError(unknown(f"corpus (entry {name})", corpus, known))
        if not scope.benchmarks:
            raise ValueError(f"{name} names no benchmark: name some of {', '.join(catalogue.CATALOGUE['benchmarks'])}.")
        self.benchmarks: dict[str, Benchmark] = {}
        self.others: dict[str, dict[str, Player]] = {}
        """Who is asked beside the model, by benchmark and role."""
        for kind, said in scope.benchmarks.items():
            self.benchmarks[kind] = self._benchmark(kind, dict(said), study)
        must = f"train the model of {name}: let both name one model, with the same adapter and checkpoint"
        self.trainings = starting(study, name, scope.trainings, self._starts, must)
        self._questions: dict[str, dict[str, dict[str, list[Question]]]] = {}

    def _benchmark(self, kind: str, said: dict[str, Any], study: Study) -> Benchmark:
        known = catalogue.CATALOGUE["benchmarks"]
        if kind not in known:
            raise ValueError(unknown(f"benchmark (entry {self.name})", kind, known))
        made = catalogue.target("benchmarks", kind)
        self.others[kind] = cast(f"{kind} (entry {self.name})", said, made.ROLES, study.models)
        for role in made.ROLES.keys() - self.others[kind].keys():
            raise ValueError(f"{kind} (entry {self.name}) names no {role}: name a model of `models`, or describe one.")
        benchmark: Benchmark = made(validated(f"{kind} (entry {self.name})", made.Settings, said))
        return benchmark

    def _starts(self, one: Training) -> bool:
        """Whether a training starts from this model's checkpoint; none does where an adapter is laid over that."""
        if one.base.role not in ("chat", "captioners") or one.base.entry["adapter"] != self.player.entry["adapter"]:
            return False
        same = ("checkpoint", "revision", "lora")
        return all(one.base.identity.get(name) == self.player.identity.get(name) for name in same)

    @property
    def metrics(self) -> list[Metric]:
        """Those of all benchmarks."""
        return [metric for benchmark in self.benchmarks.values() for metric in benchmark.METRICS]

    def identity(self, player: Player) -> dict[str, Any]:
        """Part of the key of every item, beside pictures and questions: the model, and what is asked of it how."""
        asked = {
            kind: {
                **identity_of(kind, one),
                **({"players": identities(others)} if (others := self.others[kind]) else {}),
            }
            for kind, one in self.benchmarks.items()
        }
        return {"model": player.identity, "decoding": player.decoding.decided(), "benchmarks": asked}

    def questions(self, corpus: str, outputs: Outputs) -> dict[str, dict[str, list[Question]]]:
        """The questions about the pictures of a corpus, by sample and benchmark; nothing of pictures without any."""
        if corpus not in self._questions:
            rows = outputs.rows(PREPARED / corpus, ("sample", "status", "annotations"))
            pictures = {row["sample"]: json.loads(row["annotations"] or "{}") for row in rows if row["status"] == "ok"}
            self._questions[corpus] = self.about(pictures)
        return self._questions[corpus]

    def about(self, pictures: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, list[Question]]]:
        """The questions about the pictures of a corpus, whose annotations these are by sample."""
        found: dict[str, dict[str, list[Question]]] = defaultdict(dict)
        for kind, benchmark in self.benchmarks.items():
            for sample, some in benchmark.questions(pictures).items():
                found[sample][kind] = some
        return dict(found)


def variants(study: Study, name: str) -> dict[str, Answering]:
    """The variants of an entry of ``answerers``; raises ``ValueError`` where it is wrong."""
    entry = study.entry("answerers", name)
    return {one: Answering(one, said, study) for one, said in swept(name, entry, study.models).items()}
