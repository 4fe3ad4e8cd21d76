"""CAPTURE: how far the scene graphs of a caption and of its references agree (Dong et al. 2024, arXiv 2405.19092)."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from models.adapters import roles
from models.adapters.requests import Ask, Asking, Embed
from models.measures import Metric
from models.measures.captions.candidates import Candidate, Need
from models.measures.captions.references import check_own, reference_digest
from models.measures.captions.wordnet import synonyms
from models.measures.judged import JudgedMeasure, given, mean, share
from models.measures.judged.scene_graphs import Graph, Named, alike, facts, graph, paired, triples
from models.recaptioners import filled
from models.recaptioners.sentences import sentences

WEIGHTS = {"objects": 0.5, "attributes": 0.5, "relations": 0.2}
EPSILON = 1e-6
OURS = Path(__file__).with_name("nothing_seen.txt")


class Part(NamedTuple):
    """One family of a caption's graph against a reference's: how many there are in each, and how many are matched."""

    said: int
    right: float
    true: int
    found: float


class Compared(NamedTuple):
    """What was found of a caption: its parts by family, a row a reference whose graph can be read; and how many
    sentences, of the caption and its references, there are and have no graph that can be read."""

    rows: list[dict[str, Part]]
    sentences: int
    unread: int


class Matched(NamedTuple):
    """A family of two graphs: how many there are in each, how many are equal or synonyms, and the texts of the rest."""

    said: int
    true: int
    pairs: int
    left: list[str]
    right: list[str]


def f1(part: Part) -> float | None:
    """The F1 of a family; None where neither graph has any.

    >>> f1(Part(2, 1.0, 4, 1.0)), f1(Part(0, 0.0, 1, 0.0)), f1(Part(0, 0.0, 0, 0.0))
    (0.3333333333333333, 0.0, None)
    """
    if not part.said and not part.true:
        return None
    precision, recall = share(part.right, part.said) or 0.0, share(part.found, part.true) or 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def released_f1(part: Part) -> float:
    """As the authors' program has it: a small number is added below every line, and F1 is 0 where there is none.

    >>> round(released_f1(Part(2, 1.0, 4, 1.0)), 4), released_f1(Part(0, 0.0, 0, 0.0))
    (0.3333, 0.0)
    """
    precision, recall = part.right / (part.said + EPSILON), part.found / (part.true + EPSILON)
    return 2 * precision * recall / (precision + recall + EPSILON)


def combined(scores: Mapping[str, float | None]) -> float | None:
    """(0.5 objects + 0.5 attributes + 0.2 relations) / 1.2, without the families that there are not.

    >>> combined({"objects": 0.8, "attributes": 0.5, "relations": 0.25}), combined({"objects": 1.0, "relations": None})
    (0.5833333333333334, 1.0)
    """
    known = {name: score for name, score in scores.items() if score is not None}
    return share(sum(WEIGHTS[name] * score for name, score in known.items()), sum(WEIGHTS[name] for name in known))


def overlapping(one: str, other: str) -> bool:
    """Whether the authors' program takes two phrases for synonyms: one lies in the other, letter by letter, or any set
    of synonyms of the one shares a word with any of the other.

    >>> overlapping("man", "woman"), overlapping("circle", "ring")
    (True, True)
    """
    return one in other or other in one or bool(synonyms(one) & synonyms(other))


class Capture(JudgedMeasure):
    """CAPTURE of a caption, the mean over its references; of captions, their mean.

    A parser writes the graph of each sentence; those of a text are merged, in base forms. Objects, attributes (whatever
    they are of) and relations are matched in three stages: equal ones, then synonyms (for relations all three parts),
    then what is left, to whose precision each of the caption's adds its largest cosine to one of the reference's, by an
    embedder, and to whose recall the other way round: even what is unlike all adds something. A caption that is its
    reference has 1.

    ``form`` says how the parser writes: ``graph`` as "( cat , is , black ) , ( cat , on , mat )", which
    lizhuang144/flan-t5-base-VG-factual-sg (adapter ``seq2seq-lm``, 5 beams, 128 tokens), the paper's, does when asked
    with ``prompt`` as it is, and a chat model when asked to; ``facts`` in sentences of one fact each, which the pocket
    language model does. ``stop_words``, which name no object: a list of this project's own, a file of words between
    blanks, or the release's ``stop_words.py``. The paper asks a tagger which words are nouns; here a thing counts whose
    words stand in the text as words of open classes. Synonyms are in one set of WordNet's.

    ``released`` is what the authors' program does instead: "man" is a synonym of "woman", which holds its letters, and
    "circle" of "ring", since both can be "band"; synonyms are matched in turn (there in no fixed order), cosines may be
    negative, and a family that neither has counts 0.
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"references"})
    ROLES: ClassVar[Mapping[str, str]] = {"parser": "chat", "embedder": "embedders"}
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "capture",
            "CAPTURE",
            241,
            "captions",
            "F1 of objects, attributes and relations with a reference, (0.5 + 0.5 + 0.2) / 1.2 (Dong et al. 2024)",
            high=1,
            checkpoint=True,
        ),
        *(
            Metric(
                f"capture_{name}",
                f"CAPTURE {name}",
                581 + place,
                "other",
                f"F1 of {name} with a reference: equal, synonyms, and what cosines give the rest",
                high=1,
                checkpoint=True,
            )
            for place, name in enumerate(WEIGHTS)
        ),
        Metric(
            "capture_unreadable",
            "CAPTURE unreadable",
            584,
            "other",
            "share of the sentences, of captions and references, without a graph that can be read",
            higher_is_better=False,
            high=1,
            checkpoint=True,
        ),
    )

    class Settings(roles.Settings):
        prompt: str = "Generate Scene Graph: {sentence}"
        form: Literal["graph", "facts"] = "graph"
        stop_words: Path = OURS
        released: bool = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        """Settings, with a digest of the stop words; raises as :func:`stop_words`."""
        words = {"": sorted(stop_words(self.settings.stop_words))}
        return self.settings.model_dump(exclude={"stop_words"}) | {"stop_words": reference_digest(words)}

    def judge(self, record: Candidate) -> Asking[Compared]:
        check_own(record.sample, record.references)
        read = triples if self.settings.form == "graph" else facts
        texts = (record.text, *record.references)
        cut = [sentences(text) for text in texts]
        replies = yield [
            Ask("parser", filled(self.settings.prompt, sentence=one), read=read) for some in cut for one in some
        ]
        left = iter(map(given, replies))
        parsed = [[next(left) for _ in some] for some in cut]
        said, *true = [self._graph(text, some) for text, some in zip(texts, parsed, strict=True)]
        matched = [self._matched(said, one) for one in true if said and one]
        loose = sorted({text for row in matched for one in row.values() if one.left and one.right
                        for text in (*one.left, *one.right)})  # fmt: skip
        vectors = map(given, (yield [Embed("embedder", text) for text in loose]))
        known = dict(zip(loose, vectors, strict=True))
        rows = [{name: self._softly(one, known) for name, one in row.items()} for row in matched]
        flat = [one for some in parsed for one in some]
        return Compared(rows, len(flat), sum(one is None for one in flat))

    def _graph(self, text: str, parsed: Sequence[Any]) -> Graph | None:
        """The graph of a text; None where no sentence's can be read."""
        if parsed and not any(parsed):
            return None
        return graph(text, (one for some in parsed for one in some or ()), stop_words(self.settings.stop_words))

    def _matched(self, said: Graph, true: Graph) -> dict[str, Matched]:
        greedy = self.settings.released
        same = overlapping if greedy else alike

        def matched(some: Sequence[Named], others: Sequence[Named]) -> Matched:
            pairs, *rest = paired(some, others, same, greedy)
            left, right = ([one if isinstance(one, str) else " ".join(one) for one in part] for part in rest)
            return Matched(len(some), len(others), pairs, left, right)

        mine, yours = ([attribute for _, attribute in one.attributes] for one in (said, true))
        return {
            "objects": matched(said.objects, true.objects),
            "attributes": matched(mine, yours),
            "relations": matched(said.relations, true.relations),
        }

    def _softly(self, one: Matched, vectors: Mapping[str, np.ndarray]) -> Part:
        right = found = float(one.pairs)
        if one.left and one.right:
            cosines = (
                np.array([vectors[text] for text in one.left], np.float64)
                @ np.array([vectors[text] for text in one.right], np.float64).T
            )
            if not self.settings.released:
                cosines = cosines.clip(0, 1)
            right, found = right + float(cosines.max(1).sum()), found + float(cosines.max(0).sum())
        return Part(one.said, right, one.true, found)

    def values(self, answered: Sequence[Compared]) -> dict[str, float | None]:
        captions = [self._scores(one) for one in answered if one.rows]
        names = ("capture", *(f"capture_{name}" for name in WEIGHTS))
        return {
            **{name: mean([caption[name] for caption in captions]) for name in names},
            "capture_unreadable": share(sum(one.unread for one in answered), sum(one.sentences for one in answered)),
        }

    def _scores(self, compared: Compared) -> dict[str, float | None]:
        score = released_f1 if self.settings.released else f1
        rows = [{name: score(part) for name, part in row.items()} for row in compared.rows]
        wholes = [combined(row) for row in rows]
        return {"capture": mean(wholes), **{f"capture_{name}": mean([row[name] for row in rows]) for name in WEIGHTS}}


@cache
def stop_words(path: Path) -> frozenset[str]:
    """The words of a file; raises FileNotFoundError or ValueError where there are none.

    >>> "photo" in stop_words(OURS)
    True
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file of stop words '{path}': set `stop_words`, or leave it out for our own."
        )
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return frozenset(text.split())
    try:
        return frozenset(ast.literal_eval(text.partition("=")[2].strip()))
    except (SyntaxError, TypeError, ValueError) as error:
        raise ValueError(f"'{path}' is no list of stop words ({error}): take CAPTURE's `stop_words.py`.") from error
