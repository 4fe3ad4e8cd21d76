"""Ratings of sentences as the released code of ScaleCap makes them."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.adapters.roles import Logits
from models.recaptioners.ratings import released


@pytest.mark.parametrize(
    ("text", "likelier", "golden"),
    [
        (
            "A red star, near a dog. It is 3.5 m high, maybe. He",
            "star dog 5",
            ["A red star, near a dog", "It is 3.5 m high"],
        ),
        (
            "A star\nA dog, asleep.\n\nIn 1925. It ends in 7.",
            "star dog 7 In",
            ["A star", "A dog", "In 1925. It ends in 7"],
        ),
        ("No end, at all", "No end", []),
        ("...Wait! What? A cat, a dog, a bird.", "cat bird Wait", ["...Wait", "A cat, a bird"]),
    ],
)
def test_sentences_are_those_of_the_released_code(text, likelier, golden):
    """Printed by ``get_golden_sentences`` of Cooperx521/ScaleCap at 194cedf, with a tokenizer that cuts as this one and
    a model that gives the tokens named a logit of 1 with the picture, and others -1; on 3,000 texts put together at
    random the two agreed."""
    tokens = list(re.finditer(r"\.\n\n|\n\n|\n| ?[A-Za-z]+|\d|[^\w\s]| ", text))
    spans = tuple(token.span() for token in tokens)
    gaps = np.array([1.0 if token.group().strip() in likelier.split() else -1.0 for token in tokens])
    found = released(text, Logits(gaps + 7, spans), Logits(np.full(len(gaps), 7.0), spans), 0.0)
    assert [sentence for sentence, rating in found if rating > 0] == golden
