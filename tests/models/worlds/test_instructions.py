"""What the pocket captioners are asked, checked by a reader of the questions who knows nothing of their making."""

import re

import numpy as np
import pytest

from models.worlds import example
from models.worlds.grammar import WORDS
from models.worlds.instructions import turns
from models.worlds.questions import COUNTED, KINDS, SIDES, yes_or_no

MEANING = {word: (name, value) for name, values in WORDS.items() for value, words in values.items() for word in words}


def described(text):
    return dict(MEANING[word] for word in re.findall(r"\w+", text) if word in MEANING)


def named(graph, text):
    wanted = described(text)
    return [one for one in graph["objects"] if all(one[name] == value for name, value in wanted.items())]


def middle(thing):
    x, y, w, h = thing["box"]
    return x + w / 2, y + h / 2


def holds(graph, question):
    """The truth of a yes/no question, read off its words."""
    for count, words in enumerate(COUNTED):
        if words in question:
            return len(graph["objects"]) == count
    if question.startswith("Is there a"):
        return bool(named(graph, question))
    side = next((one for one in sorted(SIDES.values(), key=len, reverse=True) if one in question), None)
    if side is None:  # Is the red star dotted? Is the star red?
        words = re.findall(r"\w+", question)
        (thing,) = named(graph, " ".join(words[:-1]))
        name, value = MEANING[words[-1]]
        return thing[name] == value
    (one,), (other,) = (named(graph, part) for part in question.split(side))
    (x, y), (u, v) = middle(one), middle(other)
    sideways = abs(x - u) >= abs(y - v)
    return {
        "to the left of": sideways and x < u, "to the right of": sideways and x >= u,
        "above": not sideways and y < v, "below": not sideways and y > v,
    }[side]  # fmt: skip


@pytest.mark.parametrize("world", ["scenes", "referring"])
def test_every_answer_is_true_and_both_answers_come(world):
    rng, heard = np.random.default_rng(0), []
    for index in range(120):
        graph = example(world, 3, index).graph
        for kind in KINDS:
            for yes in (True, False):
                turn = yes_or_no(graph, kind, yes, rng)
                if turn:
                    assert holds(graph, turn.question) == yes == (turn.answer == "yes"), (turn, graph)
                    heard.append(turn)
    for kind in KINDS:
        answers = [turn.answer for turn in heard if turn.kind == kind]
        assert len(answers) > 20 and 0.4 < np.mean([one == "yes" for one in answers]) < 0.6


def test_a_described_object_is_there_and_is_where_it_is_said_to_be():
    rng, places, relations = np.random.default_rng(1), 0, 0
    for index in range(80):
        made = example("scenes", 3, index)
        for turn in turns(made.graph, made.references, rng, 8)[1:]:
            if "relative" in turn.question:
                name, other = turn.question.removeprefix("Where is the ").split(" relative to the ")
                side = turn.answer.removesuffix(" it")
                assert holds(made.graph, f"Is the {name} {side} the {other}")
                relations += 1
            elif turn.question.startswith("Where") or "position" in turn.question:
                (thing,) = named(made.graph, turn.question)
                x, y = middle(thing)
                words = turn.answer.split(",")[0]
                assert ("left" in words) == (x * 3 < 64) and ("right" in words) == (x * 3 >= 128)
                assert ("upper" in words) == (y * 3 < 64) and ("lower" in words) == (y * 3 >= 128)
                places += 1
            elif turn.question.startswith("What"):
                asked, name = re.match(r"What (\w+) is the (.*)\?", turn.question).groups()
                (thing,) = named(made.graph, name)
                assert turn.answer == thing[asked] and asked not in described(name)
            elif turn.question.startswith("How many"):
                assert turn.answer == COUNTED[len(made.graph["objects"])].split()[0]
            elif not turn.kind:
                (thing,) = named(made.graph, turn.question)
                assert described(turn.answer) == {name: thing[name] for name in WORDS}
    assert places > 40 and relations > 10


def test_the_first_turn_is_a_caption_of_the_world():
    rng = np.random.default_rng(2)
    for world in ("scenes", "referring", "series", "radiographs", "spectrograms"):
        made = example(world, 3, 0)
        assert turns(made.graph, made.references, rng, 5)[0].answer in made.references
