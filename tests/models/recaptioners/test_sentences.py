"""Sentences are cut where a reader would cut them."""

from __future__ import annotations

import pytest

from models.recaptioners.sentences import critical, sentences


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It is 3.5 m high. A dog.", ["It is 3.5 m high.", "A dog."]),
        ("a red star. a blue disc", ["a red star.", "a blue disc"]),
        ("Fruit, e.g. apples, lie there. Mr. Hill sits.", ["Fruit, e.g. apples, lie there.", "Mr. Hill sits."]),
        ('He says "Stop!" and goes. (A dog barks.) Why?!', ['He says "Stop!" and goes.', "(A dog barks.)", "Why?!"]),
        ('The sign reads "Open." It is red.', ['The sign reads "Open."', "It is red."]),
        ("1. Preheat the oven\n2. Wait...\n\nDone", ["1. Preheat the oven", "2. Wait...", "Done"]),
        ("J. R. Smith came. So did I. We ate.", ["J. R. Smith came.", "So did I.", "We ate."]),
        ("", []),
        (" ... \n", []),
    ],
)
def test_sentences_end_where_they_end(text, parts):
    assert sentences(text) == parts


def test_sentences_cover_every_word():
    text = "One. Two! Three? four\nfive (six). seven"
    assert " ".join(sentences(text)).split() == text.split()


def test_critical_words_are_of_open_classes():
    """The released code's weights: 1 for nouns, verbs, adjectives, adverbs, numbers, names; 0 for function words."""
    text = "There's a large dog which isn't on the couch, and two cats sleep beside it."
    assert [text[a:b] for a, b in critical(text)] == ["large", "dog", "couch", "two", "cats", "sleep"]
