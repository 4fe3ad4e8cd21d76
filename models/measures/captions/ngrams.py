"""BLEU, ROUGE-L and CIDEr of one caption at a time, with the references' side of the work done once per corpus.

pycocoevalcap scores a whole corpus per call, counts the references again in every call, and takes CIDEr's document
frequencies from whichever references come with the call. Here they come from all of the corpus, so that one caption can
be scored, and scored again, on its own. BLEU's counting and formula are pycocoevalcap's own functions; ROUGE-L and
CIDEr are its formulas over cached counts, equal to 1e-12 (tests).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Ngram = tuple[str, ...]
Texts = tuple[str, ...]
"""An image's references, tokenised."""


class Bleu:
    """BLEU-1..4 (Papineni et al. 2002) with the reference length closest to the caption's, without smoothing."""

    def __init__(self) -> None:
        self._references: dict[Texts, Any] = {}

    def counts(self, references: Texts, caption: str) -> dict[str, Any]:
        """Matches and lengths of one caption, from which :func:`bleu` makes its value and the corpus's."""
        from pycocoevalcap.bleu.bleu_scorer import cook_refs, cook_test

        if references not in self._references:
            self._references[references] = cook_refs(references)
        return cook_test(caption, self._references[references])


def bleu(counts: Iterable[dict[str, Any]]) -> list[float]:
    """Corpus BLEU-1..4 of pooled counts; of a single caption, its sentence BLEU."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=4)
    scorer.ctest = list(counts)
    return scorer.compute_score(option="closest")[0]


class Rouge:
    """ROUGE-L (Lin 2004) as in coco-caption: the best precision and the best recall over references, beta 1.2."""

    BETA = 1.2

    def __init__(self) -> None:
        self._references: dict[Texts, list[tuple[dict[str, int], int]]] = {}

    def score(self, references: Texts, caption: str) -> tuple[float, float]:
        """F-measure and recall of one caption, each in [0, 1]."""
        if references not in self._references:
            self._references[references] = [_positions(text.split(" ")) for text in references]
        words = caption.split(" ")
        common = [(_common_length(words, *reference), reference[1]) for reference in self._references[references]]
        precision = max(length for length, _ in common) / len(words)
        recall = max(length / size for length, size in common)
        if not precision or not recall:
            return 0.0, 0.0
        return (1 + self.BETA**2) * precision * recall / (recall + self.BETA**2 * precision), recall


def _positions(words: Sequence[str]) -> tuple[dict[str, int], int]:
    """Positions of each word in a sentence, as a bit set; and the sentence's length."""
    positions: dict[str, int] = {}
    for index, word in enumerate(words):
        positions[word] = positions.get(word, 0) | 1 << index
    return positions, len(words)


def _common_length(words: Sequence[str], positions: Mapping[str, int], size: int) -> int:
    """Length of the longest common subsequence, a row of the table per word as one integer (Hyyrö 2004).

    >>> _common_length("a man on a horse".split(), *_positions("man and horse".split()))
    2
    """
    full = (1 << size) - 1
    row = full
    for word in words:
        match = row & positions.get(word, 0)
        row = ((row + match) | (row - match)) & full
    return size - row.bit_count()


class Cider:
    """CIDEr of coco-caption: CIDEr-D of Vedantam et al. 2015 (clipped counts, Gaussian on length), without stemming.

    Document frequencies are those of all references of the ``corpus``, an entry an image: a caption's value depends on
    the whole corpus. With one image every weight is log 1 = 0, and so is the score.
    """

    ORDERS, SIGMA = 4, 6.0

    def __init__(self, corpus: Sequence[Texts]) -> None:
        counts = [[self._counts(text) for text in texts] for texts in corpus]
        documents = Counter(ngram for texts in counts for ngram in set().union(*texts))
        self._unseen = math.log(len(counts))
        self._weights = {ngram: self._unseen - math.log(count) for ngram, count in documents.items()}
        vectors = ([self._vector(text) for text in texts] for texts in counts)
        self._references = dict(zip(corpus, vectors, strict=True))

    def score(self, references: Texts, caption: str) -> float:
        """10 times the mean over orders 1..4 of the mean similarity to the references."""
        if references not in self._references:
            self._references[references] = [self._vector(self._counts(text)) for text in references]
        hypothesis = self._vector(self._counts(caption))
        total = sum(self._similarity(hypothesis, reference) for reference in self._references[references])
        return 10 * total / self.ORDERS / len(references)

    def _counts(self, text: str) -> dict[Ngram, int]:
        from pycocoevalcap.cider.cider_scorer import precook

        return precook(text, self.ORDERS)

    def _vector(self, counts: Mapping[Ngram, int]) -> tuple[list[dict[Ngram, float]], list[float], int]:
        """tf-idf weights and norm of each order, and the length (coco-caption's: the number of bigrams)."""
        vector: list[dict[Ngram, float]] = [{} for _ in range(self.ORDERS)]
        for ngram, count in counts.items():
            vector[len(ngram) - 1][ngram] = count * self._weights.get(ngram, self._unseen)
        norms = [math.sqrt(sum(weight * weight for weight in order.values())) for order in vector]
        return vector, norms, sum(count for ngram, count in counts.items() if len(ngram) == 2)

    def _similarity(self, hypothesis: tuple, reference: tuple) -> float:
        (vector, norms, length), (other_vector, other_norms, other_length) = hypothesis, reference
        total = 0.0
        for order, other, norm, other_norm in zip(vector, other_vector, norms, other_norms, strict=True):
            if norm and other_norm:
                shared = (min(weight, other[ngram]) * other[ngram] for ngram, weight in order.items() if ngram in other)
                total += sum(shared) / (norm * other_norm)
        return total * math.exp(-((length - other_length) ** 2) / (2 * self.SIGMA**2))
