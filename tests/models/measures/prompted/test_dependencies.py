from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau, spearmanr

from models.measures.prompted import Question
from models.measures.prompted.dependencies import ancestors, by_category, flat, hard, mean, soft, summary
from tests.models.measures.prompted.ratings import SCORES, pairs

RELEASE = Path(__file__).resolve().parents[4] / "../shared/data/dsg"
needs_release = pytest.mark.skipif(not RELEASE.is_dir(), reason="DSG's release is not in ../shared/data/dsg")

PARENTS, NONE, ALL = list(SCORES)[:3]


@needs_release
@pytest.mark.parametrize(
    ("name", "spearman", "p", "kendall"),
    [
        (PARENTS, 0.463, 9.454980885221468e-44, 0.380),
        (NONE, 0.464, 7.181821197264219e-44, 0.378),
    ],
)
def test_the_published_correlations_with_people(name, spearman, p, kendall):
    """The values, and p to the last digits, that DSG's README prints for mPLUG: they say that all 800 pictures have the
    authors' scores."""
    scores, ratings, _ = pairs(RELEASE, SCORES[name])
    found = spearmanr(scores, ratings)
    assert len(scores) == 800
    assert round(found.statistic, 3) == spearman
    assert found.pvalue == pytest.approx(p, rel=1e-11)
    assert round(kendalltau(scores, ratings).statistic, 3) == kendall


@needs_release
def test_what_the_published_correlation_owes_to_five_pictures_without_answers():
    """The paper's rule counts all ancestors, and a picture without answers has no score: then it is lower."""
    scores, ratings, _ = pairs(RELEASE, SCORES[ALL])
    assert round(spearmanr(scores, ratings).statistic, 4) == 0.4610
    scores, ratings, _ = pairs(RELEASE, SCORES[ALL], unanswered=None)
    assert (len(scores), round(spearmanr(scores, ratings).statistic, 4)) == (795, 0.4547)


def asked(*parents: tuple[int, ...]) -> list[Question]:
    """Questions 0, 1, … with their parents, by turns of two categories."""
    return [Question(str(n), f"{n}?", tuple(map(str, some)), "ab"[n % 2]) for n, some in enumerate(parents)]


CHAIN = asked((), (0,), (1,), (2,))
LATE = asked((1,), (2,), ())
"""Parents behind their children, as DSG-1k has some."""


def test_a_no_is_handed_down_the_whole_chain():
    answers = {"0": 0.0, "1": 1.0, "2": 1.0, "3": 1.0}
    assert mean(flat(CHAIN, answers)) == 0.75
    assert [mean(hard(CHAIN, answers, rule)) for rule in ("ancestors", "in-order", "parents")] == [0, 0, 0.5]
    assert soft(CHAIN, answers) == hard(CHAIN, answers)


def test_dpg_benchs_order_misses_what_stands_behind():
    answers = {"0": 1.0, "1": 1.0, "2": 0.0}
    assert hard(LATE, answers) == {"0": 0, "1": 0, "2": 0}
    assert hard(LATE, answers, "in-order") == {"0": 1, "1": 0, "2": 0}


def test_probabilities_multiply_once_along_a_diamond():
    diamond = asked((), (0,), (0,), (1, 2))
    answers = dict.fromkeys("0123", 0.5)
    assert soft(diamond, answers) == {"0": 0.5, "1": 0.25, "2": 0.25, "3": 0.0625}


def test_a_circle_and_a_question_of_its_own_end():
    circle = asked((1,), (0, 1))
    assert ancestors(circle) == {"0": {"1"}, "1": {"0"}}
    assert hard(circle, {"0": 0.0, "1": 1.0}) == {"0": 0, "1": 0}
    assert soft(circle, {"0": 0.5, "1": 1.0}) == {"0": 0.5, "1": 0.5}


def test_what_was_not_answered_has_no_score_and_takes_none():
    answers = {"0": None, "1": 1.0, "2": 0.5}
    assert hard(CHAIN, answers) == {"1": 1.0, "2": 0.0}
    assert soft(CHAIN, answers) == {"1": 1.0, "2": 0.5}
    assert mean(hard(CHAIN, {})) is None


def test_categories_as_scored_and_as_answered():
    answers = {"0": 0.0, "1": 1.0, "2": 1.0, "3": 0.0}
    assert by_category(CHAIN, hard(CHAIN, answers)) == {"a": [0, 0], "b": [0, 0]}
    assert by_category(CHAIN, flat(CHAIN, answers)) == {"a": [0, 1], "b": [1, 0]}


def test_pictures_count_alike_overall_and_questions_in_categories():
    one, four = asked(()), asked((), (), (), ())
    overall, categories = summary([(one, {"0": 1.0}), (four, {"0": 0.0, "1": 1.0, "2": 1.0, "3": 0.0}), (one, {})])
    assert overall == 0.75
    assert categories == {"a": 2 / 3, "b": 0.5}


graphs = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.lists(st.integers(0, n - 1), max_size=3).map(tuple), min_size=n, max_size=n),
        st.lists(st.floats(0, 1), min_size=n, max_size=n),
    )
)


@given(graphs)
def test_laws(graph):
    parents, numbers = graph
    questions = asked(*parents)
    answers = {str(n): number for n, number in enumerate(numbers)}
    sure = {name: round(number) for name, number in answers.items()}
    assert soft(questions, sure) == hard(questions, sure)
    strict, direct, free = hard(questions, answers), hard(questions, answers, "parents"), flat(questions, answers)
    gentle = soft(questions, answers)
    for name in answers:
        assert strict[name] <= direct[name] <= free[name]
        assert gentle[name] <= answers[name]
    backwards = list(reversed(questions))
    assert hard(backwards, answers) == strict
    assert soft(backwards, answers) == pytest.approx(gentle)
