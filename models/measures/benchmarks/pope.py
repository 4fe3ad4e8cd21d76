"""POPE (Li et al. 2023, arXiv 2305.10355): is there such an object in the picture, yes or no?"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from pydantic import field_validator

from models.measures import Metric
from models.measures.benchmarks import (
    MOST,
    Annotations,
    Answer,
    Benchmark,
    OfObjects,
    Question,
    accuracies,
    objects_of,
    right,
    rng_of,
    unread,
    unreadable,
)
from models.measures.judged import share

SAMPLINGS = ("random", "popular", "adversarial")
"""How objects that are not there are chosen."""

YES, NO = YES_NO = ("yes", "no")


def _metrics(sampling: str, position: int) -> tuple[Metric, ...]:
    name, label = f"pope_{sampling}", f"POPE {sampling}"
    said = f"share of POPE's questions about {sampling} objects that are answered rightly (Li et al. 2023)"
    others = {
        "precision": ("right ones among the answers yes", True),
        "recall": ("answers yes among the questions whose answer is yes", True),
        "f1": ("harmonic mean of precision and recall of yes", True),
        "yes": ("share of the answers yes among all", None),
    }
    return (
        *accuracies(name, label, position, said),
        *(
            Metric(
                f"{name}_{short}", f"{label} {short}", position + 2 + n, "answers", f"{label}: {told} (Li et al. 2023)",
                higher_is_better=better, high=1,
            )
            for n, (short, (told, better)) in enumerate(others.items())
        ),
    )  # fmt: skip


class Pope(Benchmark):
    """Questions of a release, where a corpus has them; else made of the objects that are annotated.

    As many answers are yes as no: of up to three objects of a picture, the same for all ways of choosing, and of as
    many that are not there: any (``random``), the most frequent of the corpus (``popular``), or those that stand most
    often beside what is there (``adversarial``), by the number of pictures (section 5.1).

    Precision, recall and F1 are of yes. What cannot be read is neither yes nor no, and wrong.
    """

    METRICS: ClassVar[tuple[Metric, ...]] = (
        *(metric for n, sampling in enumerate(SAMPLINGS) for metric in _metrics(sampling, 700 + 10 * n)),
        unread("pope", "POPE", 730),
    )
    NEEDS: ClassVar[str] = "objects, or POPE's questions"

    class Settings(OfObjects):
        question: str = "Is there {a} {object} in the image?"

        @field_validator("question")
        @classmethod
        def _holds_the_object(cls, text: str) -> str:
            if "{object}" not in text:
                raise ValueError("should hold {object}, where what is asked about goes")
            return text

    def _asked(self, pictures: Mapping[str, Annotations]) -> dict[str, list[Question]]:
        released = {sample: of_release(annotations) for sample, annotations in pictures.items()}
        there = {
            sample: sorted(set(objects_of(annotations, self.settings.object)))
            for sample, annotations in pictures.items()
            if not released[sample]
        }
        counts = Counter(name for names in there.values() for name in names)
        beside: dict[str, Counter[str]] = defaultdict(Counter)
        for names in there.values():
            for name in names:
                beside[name].update(names)
        return released | {sample: self._about(sample, names, counts, beside) for sample, names in there.items()}

    def _about(
        self, sample: str, there: Sequence[str], counts: Counter[str], beside: Mapping[str, Counter[str]]
    ) -> list[Question]:
        rng, absent = rng_of(sample), sorted(counts.keys() - set(there))
        most = min(MOST, len(there), len(absent))
        together: Counter[str] = sum((beside[name] for name in there), Counter())
        present = drawn(rng, there, most)
        others = {
            "random": drawn(rng, absent, most),
            "popular": sorted(absent, key=lambda name: (-counts[name], name))[:most],
            "adversarial": sorted(absent, key=lambda name: (-together[name], name))[:most],
        }
        return [
            Question(self.settings.asked(name), answer, YES_NO, f"pope_{sampling}")
            for sampling, wrong in others.items()
            for pair in zip(present, wrong, strict=True)
            for name, answer in zip(pair, YES_NO, strict=True)
        ]

    def values(self, answers: Sequence[Answer]) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for sampling in SAMPLINGS:
            name = f"pope_{sampling}"
            own = [one for one in answers if one.group == name]
            found |= right(name, own) | {f"{name}_{short}": value for short, value in of_yes(own).items()}
        return found | unreadable("pope", answers)


def drawn(rng: np.random.Generator, names: Sequence[str], count: int) -> list[str]:
    """Some of the names, each as likely as any other."""
    return [names[place] for place in rng.permutation(len(names))[:count]]


def of_release(annotations: Mapping[str, Any]) -> list[Question]:
    """POPE's own questions about a picture."""
    asked = (one for one in annotations.get("questions", ()) if one.get("category") in SAMPLINGS)
    return [Question(one["question"], one["answer"], YES_NO, f"pope_{one['category']}") for one in asked]


def of_yes(answers: Iterable[Answer]) -> dict[str, float | None]:
    """Precision, recall and F1 of yes, and the share of yes.

    >>> told = [("yes", "yes"), ("no", "yes"), ("no", "no"), ("yes", None)]
    >>> of_yes(Answer("pope_random", "", expected, "yes", said) for expected, said in told)
    {'precision': 0.5, 'recall': 0.5, 'f1': 0.5, 'yes': 0.5}
    """
    pairs = [(one.expected == YES, one.said == YES) for one in answers]
    both, expected, said = (sum(some) for some in (map(all, pairs), (e for e, _ in pairs), (s for _, s in pairs)))
    return {
        "precision": share(both, said),
        "recall": share(both, expected),
        "f1": share(2 * both, expected + said),
        "yes": share(said, len(pairs)),
    }
