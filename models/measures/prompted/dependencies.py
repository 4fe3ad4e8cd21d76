"""Dependency graphs of questions: one scorer for DSG and DPG-Bench (Cho et al. 2024, arXiv 2310.18235; Hu et al. 2024,
arXiv 2403.05135).

"Is the dog black?" depends on "Is there a dog?": without the dog no answer to it counts. A prompt's questions and their
parents are a graph, and the score of a picture is the mean over its questions.

The papers mean that a question counts only where all above it are answered with yes. Their code does not quite do it,
which :data:`Rule` names: DSG's looks at direct parents alone, as they were answered; DPG-Bench's at parents as they are
scored by then, which misses what stands above a parent that is listed later.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from models.measures.prompted import Question

Rule = Literal["ancestors", "parents", "in-order"]
"""Whose no makes a question count 0: that of any ancestor; of a parent (DSG's code); of a parent that is itself scored
0 by then (DPG-Bench's code)."""

Answers = Mapping[str, float | None]
"""How probable yes is, in [0, 1], by the name of the question; None where there is no answer."""

Scores = dict[str, float]
"""Values in [0, 1] of the questions that were answered, by name."""


def ancestors(questions: Iterable[Question]) -> dict[str, frozenset[str]]:
    """All questions on which each one depends, itself left out, though the graph be no tree or have circles.

    >>> chain = [Question("dog", "Is there a dog?"), Question("collar", "Has it a collar?", ("dog",)),
    ...          Question("red", "Is the collar red?", ("collar",))]
    >>> sorted(ancestors(chain)["red"])
    ['collar', 'dog']
    """
    parents = {question.name: question.parents for question in questions}
    found = {}
    for name in parents:
        above: set[str] = set()
        waiting = list(parents[name])
        while waiting:
            if (one := waiting.pop()) not in above:
                above.add(one)
                waiting += parents.get(one, ())
        found[name] = frozenset(above - {name})
    return found


def flat(questions: Iterable[Question], answers: Answers) -> Scores:
    """1 for each yes, and 0 for each no, whatever it depends on; an answer is yes where it is likelier than no.

    >>> flat([Question("1", "Is there a dog?")], {"1": 0.7})
    {'1': 1.0}
    """
    return {
        question.name: float(answer > 0.5)
        for question in questions
        if (answer := answers.get(question.name)) is not None
    }


def hard(questions: Sequence[Question], answers: Answers, rule: Rule = "ancestors") -> Scores:
    """As :func:`flat`, and 0 where one that it depends on is answered with no.

    A question that was not answered has no score, and takes none from those below it.

    >>> dog = [Question("1", "Is there a dog?"), Question("2", "Has it a collar?", ("1",)),
    ...        Question("3", "Is the collar red?", ("2",))]
    >>> hard(dog, {"1": 0, "2": 1, "3": 1}), hard(dog, {"1": 0, "2": 1, "3": 1}, "parents")
    ({'1': 0.0, '2': 0.0, '3': 0.0}, {'1': 0.0, '2': 0.0, '3': 1.0})
    """
    said = flat(questions, answers)
    scores = dict(said)
    above: Mapping[str, Iterable[str]] = {question.name: question.parents for question in questions}
    above = ancestors(questions) if rule == "ancestors" else above
    for name in said:
        counted = scores if rule == "in-order" else said
        if not all(counted.get(one, 1.0) for one in above[name]):
            scores[name] = 0.0
    return scores


def soft(questions: Sequence[Question], answers: Answers) -> Scores:
    """The probability of yes to each question and to all that it depends on, as if they were independent of each other.

    Where every answer is 0 or 1, it is :func:`hard`.

    >>> dog = [Question("1", "Is there a dog?"), Question("2", "Is it black?", ("1",))]
    >>> soft(dog, {"1": 0.5, "2": 0.5})
    {'1': 0.5, '2': 0.25}
    """
    above = ancestors(questions)
    known = {question.name: answer for question in questions if (answer := answers.get(question.name)) is not None}
    scores = {}
    for name, answer in known.items():
        for one in above[name]:
            answer *= known.get(one, 1.0)
        scores[name] = answer
    return scores


def mean(scores: Scores) -> float | None:
    """The score of a picture; None where no question was answered.

    >>> mean({"1": 1.0, "2": 0.0})
    0.5
    """
    return sum(scores.values()) / len(scores) if scores else None


def by_category(questions: Iterable[Question], scores: Scores) -> dict[str, list[float]]:
    """The scores of the questions of each category.

    Pooled over pictures, their means are the categories' scores in both benchmarks; the code of DPG-Bench takes them of
    :func:`flat` scores, so that a category can stand above what its overall score allows.

    >>> by_category([Question("1", "Is there a dog?", category="entity")], {"1": 1.0})
    {'entity': [1.0]}
    """
    found = defaultdict(list)
    for question in questions:
        if question.name in scores:
            found[question.category].append(scores[question.name])
    return dict(found)


def summary(pictures: Iterable[tuple[Sequence[Question], Scores]]) -> tuple[float | None, dict[str, float]]:
    """The mean over pictures of their scores, and the mean over all questions of each category.

    >>> dog = [Question("1", "Is there a dog?", category="entity"), Question("2", "Is it black?", ("1",), "attribute")]
    >>> summary([(dog, {"1": 1.0, "2": 0.0}), (dog, {"1": 1.0, "2": 1.0})])
    (0.75, {'entity': 1.0, 'attribute': 0.5})
    """
    wholes: list[float] = []
    pooled: dict[str, list[float]] = defaultdict(list)
    for questions, scores in pictures:
        if (value := mean(scores)) is not None:
            wholes.append(value)
        for category, values in by_category(questions, scores).items():
            pooled[category] += values
    categories = {category: sum(values) / len(values) for category, values in pooled.items()}
    return sum(wholes) / len(wholes) if wholes else None, categories
