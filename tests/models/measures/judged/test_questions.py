"""Questions answered from captions: formulas on answers that others published, replies of every kind, a real judge."""

from __future__ import annotations

import json
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from models.adapters.catalogue import build
from models.adapters.requests import Failure, together
from models.adapters.roles import Reply, Turn
from models.measures.captions.candidates import Candidate
from models.measures.judged import Heard
from models.measures.judged.questions import CATEGORIES, Answer, CapEval, CapsBench, CaptionQa, accuracy
from models.pocket import WEIGHTS
from models.pocket.prompts import JUDGE
from models.training.errands import lesson
from tests.models.recaptioners.playing import conversed

CHECKLIST = Path(__file__).resolve().parents[4] / "../shared/data/capeval/checklist.jsonl"
QUESTIONS = [
    {"question": "Is there a dog?", "answer": "yes", "category": "entity"},
    {"question": "Is the dog red?", "answer": "no", "category": "color"},
    {"question": "Is it blurred?", "answer": "yes", "category": "artifacts"},
]
CASE = Candidate("one", "A brown dog.", annotations={"questions": QUESTIONS})


def scored(kind: type, answer, **settings):
    """The values of one caption, what was answered, and what was asked."""
    measure = kind(kind.Settings(**settings))
    answered, asked = conversed(measure.judge(CASE), answer)
    return Heard(measure, {("one", CASE.text): answered}).score([CASE])[0], answered, asked


def replying(*texts: str):
    left = iter(texts)
    return lambda request: request.read(Reply(next(left), "stop"))


# The answers of gpt-4o to samples 52, 54 and 139 of CapsBench, and the scores published with them (alexfdom/capsbench,
# results/pg-captioner/…_iter_1_.md), but for 139: there gpt-4o counted 9 right answers of 14, and there are 7. In the
# picture, all of their questions are answered by yes.
@pytest.mark.parametrize(
    ("said", "score"),
    [("n n n n y y n y n n", 30.0), ("n y n n n n n n y y y n", 33.33), ("y y n y n y n n y n n y y n", 50.0)],
)
def test_accuracy_is_the_published_one(said, score):
    answers = [Answer("general", "yes", "yes" if one == "y" else "n/a") for one in said.split()]
    assert round(100 * accuracy(answers), 2) == score


def test_every_question_is_asked_of_the_caption_alone_and_counted_in_its_category():
    values, answered, asked = scored(CapsBench, replying("Yes.", "yes", "N/A"))
    assert [one.pictures for one in asked] == [()] * 3 and all(CASE.text in one.text for one in asked)
    assert [one.said for one in answered] == ["yes", "yes", "n/a"]
    found = {name: value for name, value in values.items() if value is not None}
    assert found == {"capsbench": pytest.approx(1 / 3), "capsbench_unreadable": 0, "capsbench_entity": 1,
                     "capsbench_color": 0, "capsbench_image_artifacts": 0}  # fmt: skip


def test_accuracy_is_over_all_questions_and_no_mean_of_captions():
    measure = CapsBench(CapsBench.Settings())
    right, wrong = Answer("count", "no", "no"), Answer("count", "no", "yes")
    assert measure.values([[right], [wrong, wrong, wrong]])["capsbench"] == 0.25


@pytest.mark.parametrize("reply", ["maybe", "", "Not sure.", "yesterday", "There is no dog.", "nothing"])
def test_a_reply_that_is_no_answer_is_counted_and_never_taken_for_one(reply):
    values, answered, _ = scored(CapsBench, replying(reply, "no", "yes"))
    assert answered[0].said is None
    assert values["capsbench_unreadable"] == pytest.approx(1 / 3) and values["capsbench"] == pytest.approx(2 / 3)
    assert scored(CapEval, replying(reply, "no", "yes"))[0]["capeval_coverage"] == pytest.approx(2 / 3)


def test_where_the_judge_is_dead_there_is_no_score():
    with pytest.raises(ValueError, match="a judge gave no answer: no connection"):
        scored(CapsBench, lambda request: Failure("no connection"))


def test_a_choice_knows_its_probability():
    shares = iter([(0.6, 0.3, 0.1), (0.7, 0.2, 0.1), (0.1, 0.1, 0.8)])
    values, answered, asked = scored(CapsBench, lambda request: next(shares), choose=True)
    assert {one.choices for one in asked} == {("yes", "no", "n/a")}
    assert [one.said for one in answered] == ["yes", "yes", "n/a"]
    assert values["capsbench"] == pytest.approx(1 / 3)
    assert values["capsbench_probability"] == pytest.approx((0.6 + 0.2 + 0.1) / 3)
    assert "capsbench_unreadable" not in values


def test_metrics_are_those_that_there_are():
    for kind, choose in product((CaptionQa, CapsBench), (False, True)):
        measure = kind(kind.Settings(choose=choose))
        answer = Answer("blur", "yes", "yes", 0.5)
        assert [metric.name for metric in measure.metrics] == list(measure.values([[answer]]))
    assert len(CATEGORIES) == len(set(CATEGORIES)) == 17


def test_capeval_is_coverage_and_precision():
    values, *_ = scored(CapEval, replying("yes", "no", "n/a"))
    assert values == {"capeval_coverage": pytest.approx(2 / 3), "capeval_precision": 0.5, "capeval_unreadable": 0}
    assert scored(CapEval, replying("n/a", "n/a", "n/a"))[0]["capeval_precision"] is None


def test_braces_in_a_caption_stay():
    case = Candidate("one", "A {question} in braces.", annotations={"questions": QUESTIONS[:1]})
    _, asked = conversed(CapEval(CapEval.Settings()).judge(case), replying("yes"))
    assert "A {question} in braces." in asked[0].text


def test_a_picture_without_questions_is_told():
    with pytest.raises(ValueError, match="'bare' has no `questions` in its annotations"):
        next(CapsBench(CapsBench.Settings()).judge(Candidate("bare", "A dog.")))


@pytest.mark.usefixtures("one_thread")
def test_the_pocket_language_model_answers_from_captions_of_worlds():
    """Questions and true answers are those of lessons that nobody has used (seed 5), of which its card says that
    93.5 % are answered rightly; and a caption of something else answers no question."""
    model = build("chat", "judge", {"adapter": "causal-lm", "checkpoint": str(WEIGHTS / "qwen2")})
    model.load()
    rng = np.random.default_rng(5)
    pairs = []
    while len(pairs) < 80:
        prompt, answer = lesson(rng, "judged")[1:]
        caption, _, question = prompt.partition("Caption: ")[2].partition("\nQuestion: ")
        pairs.append((caption, {"question": question, "answer": answer, "category": "general"}))
    elsewhere = {"question": "Is there a green star?", "answer": "yes", "category": "entity"}
    measure = CaptionQa(CaptionQa.Settings(prompt=JUDGE, choose=True))
    judging = together([measure.judge(Candidate("", text, annotations={"questions": [one]}))
                        for text, one in [*pairs, ("a blue ring", elsewhere)]])  # fmt: skip
    requests = next(judging)
    shares = model.choose([[Turn("user", one.text)] for one in requests], [one.choices for one in requests])
    with pytest.raises(StopIteration) as end:
        judging.send(shares)
    *said, last = end.value.value
    assert measure.values(said)["caption_qa"] > 0.875
    assert measure.values(said)["caption_qa_probability"] > 0.85
    assert last[0].said != "yes"


@pytest.mark.skipif(not CHECKLIST.exists(), reason="CAPEval's checklist is not in ../shared/data")
def test_a_perfect_judge_of_all_questions_of_capeval():
    """14,965 questions of 300 pictures, the number in CAPEval's README."""
    rows = [json.loads(line) for line in CHECKLIST.read_text().splitlines()]
    kinds = Counter(name for row in rows for name, some in row.items() if name.endswith("_checklist") for _ in some)
    answers = [[Answer(name, "yes", "yes")] * count for name, count in kinds.items()]
    assert sum(map(len, answers)) == 14965
    assert CapEval(CapEval.Settings()).values(answers)["capeval_coverage"] == 1
