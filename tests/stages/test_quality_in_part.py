"""What one metric cannot, costs that metric only: the others of its captions are kept, and all are tried again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.adapters.catalogue import build
from models.measures.captions.candidates import Candidate, Corpus
from models.measures.captions.meteor import MeteorError
from stages.engine.memory import Entry, Memory
from stages.engine.tasks import Task
from stages.quality import Scorer

REFERENCES = {"1": ["a horse"], "2": ["a dog"]}


class Known:
    """Records of two samples."""

    def record(self, sample: str, text: str, axes: object) -> Candidate:
        return Candidate(sample, text, REFERENCES[sample], {}, None)


@pytest.fixture
def scorer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scorer:
    """Scores by ROUGE-L and METEOR, whose Java dies at its start."""
    (tmp_path / "java").write_text("#!/bin/sh\necho 'Picked up nothing' >&2\nexit 1\n")
    (tmp_path / "java").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    entry = {"adapter": "lexical", "metrics": ["rouge_l", "meteor"], "tokenizer": "none"}
    measure = build("measures", "lexical", entry)
    measure.fit(Corpus(REFERENCES))
    made = Scorer(
        type(
            "Adapted", (), {"candidates": "first", "adapter": measure, "load": lambda self: measure.load() or "cpu"}
        )(),
        [],
    )
    made.corpus, made.records = "toys", Known()
    made.load()
    return made


def computed(scorer: Scorer, tasks: list[Task]) -> list[Entry]:
    memory = Memory.__new__(Memory)
    memory.name, memory.tracker = "quality@lexical", type("Tracker", (), {"id": "run"})()
    return memory._attempt(scorer, [(f"{n:064x}", task) for n, task in enumerate(tasks)])


def test_a_program_that_does_not_start_costs_its_own_metric(scorer):
    tasks = [Task("toys", sample, {}, {}, inputs=["a horse"]) for sample in REFERENCES]
    first, second = computed(scorer, tasks)
    assert (first.value, second.value) == ({"rouge_l": 1.0}, {"rouge_l": pytest.approx(0.5)})
    assert all("METEOR's Java process died" in entry.reason for entry in (first, second))
    [whole] = computed(scorer, [Task("toys", "", {}, {}, inputs={"1": ["a horse"], "2": ["a dog"]})])
    assert whole.value == {"rouge_l": 1.0, "items": 2} and "METEOR" in whole.reason


def test_a_caption_that_meteor_cannot_align_costs_its_own_meteor(scorer, monkeypatch):
    class Choosy:
        def statistics(self, caption, references):
            if "dog" in caption:
                raise MeteorError("METEOR gave no answer within 60 s")
            return caption

        def scores(self, statistics):
            return [0.25] * len(statistics), 0.25

    measure = scorer.measure.adapter
    measure.broken, measure._meteor = None, Choosy()
    monkeypatch.setattr(measure, "load", lambda: None)
    tasks = [Task("toys", sample, {}, {}, inputs=[text]) for sample, text in (("1", "a horse"), ("2", "a dog"))]
    first, second = computed(scorer, tasks)
    assert first.value == {"rouge_l": 1.0, "meteor": 0.25} and first.reason is None
    assert second.value == {"rouge_l": 1.0} and "no answer within 60 s" in second.reason
    assert json.dumps(dict(second.value)), "what is kept is plain"
