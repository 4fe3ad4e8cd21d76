"""How far scores of pictures go with what people said of them: DSG's release for the 800 pictures of TIFA-160.

Its Likert ratings (1 to 5, five a picture) against scores of its questions as mPLUG answered them::

    python -m tests.models.measures.prompted.ratings ../shared/data/dsg
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from scipy.stats import kendalltau, spearmanr

from models.measures.prompted import Question
from models.measures.prompted.dependencies import Answers, Scores, flat, hard, mean, soft
from stages.corpora import Problem
from stages.corpora.prompts import open_prompts

Picture = tuple[str, str]
"""The prompt's id, and who painted it."""

Scored = Callable[[Sequence[Question], Answers], Scores]
SCORES: dict[str, Scored] = {
    "parents, as they were answered (DSG's code)": lambda questions, answers: hard(questions, answers, "parents"),
    "no dependencies": flat,
    "all ancestors": hard,
    "parents, as they are scored (DPG-Bench's code)": lambda questions, answers: hard(questions, answers, "in-order"),
    "products": soft,
}


def rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        yield from csv.DictReader(lines)


def rated(folder: Path) -> dict[Picture, float]:
    """The mean rating of each picture."""
    found = defaultdict(list)
    for row in rows(folder / "tifa160-likert-anns.csv"):
        found[row["item_id"], row["t2i_model"]].append(float(row["answer"]))
    return {picture: fmean(ratings) for picture, ratings in found.items()}


def answered(folder: Path) -> dict[Picture, dict[str, float]]:
    """The answers about each picture; what is not "yes", such as "no bus", is a no."""
    found: dict[Picture, dict[str, float]] = defaultdict(dict)
    for row in rows(folder / "mplug_dsg.csv"):
        found[row["item_id"], row["t2i_model"]][row["question_id"]] = float(row["answer"] == "yes")
    return found


def pairs(folder: Path, scored: Scored, unanswered: float | None = 0.0) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Scores, ratings and prompts of the rated pictures; without answers a picture scores ``unanswered`` as in the
    authors' code, and is left out where that is None."""
    prompts = open_prompts("dsg", {"path": folder}).samples()
    questions = {one.sample: one.questions for one in prompts if not isinstance(one, Problem)}
    answers, ratings = answered(folder), rated(folder)
    scores = {
        picture: mean(scored(questions[picture[0]], answers[picture])) if picture in answers else unanswered
        for picture in ratings
    }
    known = [picture for picture, score in scores.items() if score is not None]
    return (
        np.array([scores[picture] for picture in known], float),
        np.array([ratings[picture] for picture in known]),
        [prompt for prompt, _ in known],
    )


def interval(scores: np.ndarray, ratings: np.ndarray, prompts: list[str], draws: int = 2000) -> tuple[float, float]:
    """95 % bootstrap interval of Spearman's correlation over prompts, whose pictures stay together."""
    rng = np.random.default_rng(0)
    of_prompt = defaultdict(list)
    for place, prompt in enumerate(prompts):
        of_prompt[prompt].append(place)
    groups = [np.array(places) for places in of_prompt.values()]
    found = []
    for _ in range(draws):
        chosen = np.concatenate([groups[n] for n in rng.integers(len(groups), size=len(groups))])
        found.append(spearmanr(scores[chosen], ratings[chosen]).statistic)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def main(folder: Path) -> None:
    for unanswered in (0.0, None):
        for name, scored in SCORES.items():
            scores, ratings, prompts = pairs(folder, scored, unanswered)
            low, high = interval(scores, ratings, prompts)
            spearman, kendall = (correlation(scores, ratings).statistic for correlation in (spearmanr, kendalltau))
            print(f"{len(scores)} {spearman:.4f} [{low:.3f}, {high:.3f}] {kendall:.4f} {name}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
