"""The shipped language model does through its adapter, on captions that nobody has used, what its card says."""

from __future__ import annotations

import re

import numpy as np
import pytest

from models.adapters.catalogue import build
from models.adapters.decoding import Decoding
from models.adapters.roles import Turn
from models.pocket import WEIGHTS
from models.training.errands import lesson
from models.training.language import scores

pytestmark = pytest.mark.usefixtures("one_thread")
FOLDER = WEIGHTS / "qwen2"
SEED = 3
"""One that neither the recipe nor the card uses."""
REACHED = {"named kept": 0.95, "objects kept": 0.9, "positions kept": 0.9, "caption kept": 0.9, "fused kept": 0.88,
           "judged": 0.93}  # fmt: skip
"""What recaptioning can count on. Fusing was to keep 0.9 and judging to be right in 0.95; they fall short (LOG.md)."""
SCATTER = 0.06
"""What the share of a few dozen answers' facts can lie under that of the card's two hundred."""


@pytest.fixture(scope="module")
def model():
    made = build("chat", "causal-lm", {"adapter": "causal-lm", "checkpoint": str(FOLDER), "micro_batch": 1})
    made.load()
    return made


@pytest.fixture(scope="module")
def card():
    rows = re.findall(r"^\| (.+) \| ([\d.e-]+) \|$", (FOLDER / "README.md").read_text(), re.M)
    return {name: float(value) for name, value in rows}


def test_the_card_says_what_recaptioning_can_count_on(card):
    assert {name: card[name] for name, least in REACHED.items() if card[name] < least} == {}


@pytest.mark.parametrize("task", ["named", "objects", "positions", "caption", "fused", "split"])
def test_answers_keep_the_facts_that_the_card_says(model, card, task):
    rng = np.random.default_rng(SEED)
    asked = [lesson(rng, task) for _ in range(16)]
    decoding = Decoding(beams=1, candidates=1, max_tokens=220)
    replies = model.answer([[Turn("user", one.prompt)] for one in asked], decoding, [0] * len(asked))
    assert {reply.finish for (reply,) in replies} == {"stop"}
    figures = scores(task, asked, [reply.text for (reply,) in replies])
    assert figures[f"{task} kept"] > card[f"{task} kept"] - SCATTER
    assert figures[f"{task} added"] < card[f"{task} added"] + SCATTER


def test_judgements_are_as_right_as_the_card_says(model, card):
    rng = np.random.default_rng(SEED)
    asked = [lesson(rng, "judged") for _ in range(80)]
    choices = ["yes", "no", "n/a"]
    shares = model.choose([[Turn("user", one.prompt)] for one in asked], [choices] * len(asked))
    figures = scores("judged", asked, [choices[int(share.argmax())] for share in shares])
    assert figures["judged"] > card["judged"] - SCATTER
