"""How much a picture makes the sentences of a text likelier: by paper *ScaleCap*, section 2.2, and as its code does."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from models.adapters.roles import Logits, Scores, Tagged
from models.recaptioners.sentences import critical, spans

OPEN = frozenset({"ADJ", "ADV", "INTJ", "NOUN", "NUM", "PROPN", "VERB"})
"""The parts of speech to which the released code gives the weight 1."""

ENDS = frozenset({".", "?", "!", "\n", "\n\n", ".\n\n"})
"""Tokens that end a sentence in the released code."""

DIGITS = frozenset("0123456789")


def open_words(words: Iterable[Tagged]) -> list[tuple[int, int]]:
    """The spans of a text's words of open classes, by a tagger.

    >>> open_words([Tagged(0, 3, "DET"), Tagged(4, 8, "NOUN"), Tagged(9, 11, "AUX"), Tagged(12, 15, "ADJ")])
    [(4, 8), (12, 15)]
    """
    return [(word.start, word.end) for word in words if word.tag in OPEN]


def ratings(text: str, seeing: Scores, blind: Scores, words: Sequence[tuple[int, int]] | None = None) -> list[float]:
    """How much the picture makes each sentence of a text likelier: max over its critical tokens of p - p' (eq. 4, 5).

    Critical are tokens of ``words``, where absent those of :func:`~models.recaptioners.sentences.critical`. A sentence
    without one has -1, the least that there can be.
    """
    gaps = np.exp(seeing.log_probabilities) - np.exp(blind.log_probabilities)
    words = critical(text) if words is None else words
    ends = [end for _, end in words]
    begins, stops = ([span[side] for span in seeing.spans] for side in (0, 1))
    counts = [
        (word := bisect_right(ends, begin)) < len(words) and words[word][0] < stop for begin, stop in seeing.spans
    ]
    rated = []
    for start, end in spans(text):
        own = slice(bisect_right(stops, start), bisect_left(begins, end))
        rated.append(float(max(gaps[own][np.array(counts[own], bool)], default=-1.0)))
    return rated


def released(text: str, seeing: Logits, blind: Logits, threshold: float) -> list[tuple[str, float]]:
    """Sentences and their ratings as the released code has them (``get_golden_sentences`` at 194cedf).

    A token's gap is that of logits, and every token counts. Judged are clauses, each ended by a comma; of a sentence
    those above the threshold are left, and where none is, it is whole and rated no higher. A token that is ``. ? !`` or
    a line break and nothing else ends a sentence and is no part of it, unless it is beside a digit and not the last;
    then it counts as a point. What has no end at the end of the text is dropped.
    """
    tokens = [text[start:end] for start, end in seeing.spans]
    starts = [0, *(end for _, end in seeing.spans)]
    pieces = [text[start:end] for start, (_, end) in zip(starts, seeing.spans, strict=False)]  # with blanks before
    ends = [False] * len(tokens)
    for place, token in enumerate(tokens[1:], 1):
        ends[place] = token in ENDS and (ends[place - 1] or tokens[place - 1] not in ENDS)
    for place in range(len(tokens) - 1):
        if ends[place] and not DIGITS.isdisjoint((tokens[place - 1], tokens[place + 1])):
            ends[place], pieces[place] = False, "."
    rated: list[tuple[str, float]] = []
    clauses: list[tuple[str, float]] = []
    words, gaps = "", list[float]()
    for token, piece, ended, gap in zip(tokens, pieces, ends, (seeing.logits - blind.logits).tolist(), strict=True):
        if not ended and token != ",":
            words, gaps = words + piece, [*gaps, gap]
            continue
        clauses += [(words, max(gaps))] if gaps else []
        words, gaps = "", []
        if ended:
            left = [one for one in clauses if one[1] > threshold] or clauses
            whole = ",".join(clause for clause, _ in left).removeprefix(" ")
            rated += [(line, max(gap for _, gap in left)) for line in whole.split("\n") if line]
            clauses = []
    return rated
