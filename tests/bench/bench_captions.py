"""Lexical scoring of 50 configurations of one corpus against the plain pycocoevalcap loop, one thread, without Java.

    python tests/bench/bench_captions.py [images] [configurations]

Captions are drawn from a vocabulary with Zipf's frequencies, five references of 8 to 12 words an image; every
configuration captions every image anew, so that nothing is won by remembering captions. Prints seconds and ratios.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable

from models.measures.captions.candidates import Candidate, Corpus
from models.measures.captions.lexical import Lexical


def captions(random_: random.Random, images: int, each: int) -> dict[str, list[str]]:
    words, weights = [f"w{i}" for i in range(2000)], [1 / (i + 1) for i in range(2000)]
    return {
        str(image): [" ".join(random_.choices(words, weights, k=random_.randint(8, 12))) for _ in range(each)]
        for image in range(images)
    }


def plain(metric: str, references: dict[str, list[str]], cells: list[dict[str, list[str]]]) -> list[list[float]]:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    scores = []
    for cell in cells:
        if metric == "bleu":
            scores.append(list(Bleu().compute_score(references, cell, verbose=0)[1][3]))
        else:
            scores.append(list((Cider() if metric == "cider" else Rouge()).compute_score(references, cell)[1]))
    return scores


def ours(metric: str, references: dict[str, list[str]], cells: list[dict[str, list[str]]]) -> list[list[float]]:
    measure = Lexical(Lexical.Settings(metrics=(metric,), tokenizer="none"))
    measure.fit(Corpus(references))
    name = "bleu_4" if metric == "bleu" else metric
    return [
        [
            item[name]
            for item in measure.score([Candidate(key, texts[0], references[key]) for key, texts in cell.items()])
        ]
        for cell in cells
    ]


def timed(function: Callable[..., list[list[float]]], *arguments: object) -> tuple[float, list[list[float]]]:
    start = time.perf_counter()
    scores = function(*arguments)
    return time.perf_counter() - start, scores


def main(images: int = 1000, configurations: int = 50) -> None:
    random_ = random.Random(0)
    references = captions(random_, images, 5)
    cells = [captions(random_, images, 1) for _ in range(configurations)]
    count = images * configurations
    totals = [0.0, 0.0]
    for metric in ("bleu", "rouge_l", "cider"):
        (loop, expected), (fitted, got) = (
            timed(plain, metric, references, cells),
            timed(ours, metric, references, cells),
        )
        worst = max(abs(a - b) for one, two in zip(expected, got, strict=True) for a, b in zip(one, two, strict=True))
        totals = [totals[0] + loop, totals[1] + fitted]
        print(
            f"{metric:8} plain {loop:6.1f} s ({count / loop:6.0f}/s)  ours {fitted:6.1f} s ({count / fitted:6.0f}/s)  "
            f"ratio {loop / fitted:4.1f}  largest difference {worst:.1e}"
        )
    print(f"all      plain {totals[0]:6.1f} s  ours {totals[1]:6.1f} s  ratio {totals[0] / totals[1]:4.1f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
