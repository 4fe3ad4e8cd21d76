"""FaithScore: the share of a caption's facts that its picture bears out (Jing et al. 2023, arXiv 2311.01477), with the
kinds of facts of paper *Precision or Recall?* (section 5.3)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from models.adapters import roles
from models.adapters.requests import Ask, Asking
from models.adapters.roles import Reply
from models.measures import Metric
from models.measures.captions.candidates import Candidate, Need
from models.measures.judged import JudgedMeasure, given, mean, share
from models.recaptioners import filled
from models.recaptioners.sentences import spans

KINDS = ("ENTITY", "SHAPE", "COLOR", "TEXTURE", "SPATIAL", "NON-SPATIAL", "OTHER")
FACT = re.compile(rf"[\W\d]*({'|'.join(sorted(KINDS, key=len, reverse=True))})\W*:\s*(\S.*)", re.IGNORECASE)
LABEL = re.compile(r"\W*(\d+)\W+(descriptive|analytical)\b.*", re.IGNORECASE)
VERDICT = re.compile(r"\W*(yes|no)\b", re.IGNORECASE)

DESCRIPTIVE = """\
Each sentence of a caption is descriptive, if it says what is to be seen in the image, or analytical, if it concludes, \
supposes or judges. Write one line for each sentence: its number and "descriptive" or "analytical".
{sentences}"""
FACTS = """\
Take a caption apart into its smallest facts, each a short sentence that can be checked by itself. Write one line for \
each, its kind before it: "ENTITY: There is a dog." The kinds are ENTITY (something is there), SHAPE, COLOR, TEXTURE, \
SPATIAL (where something is), NON-SPATIAL (any other relation), OTHER.
Caption: {caption}"""
VERIFY = "Statement: {fact}\nIs this statement right according to the image? Answer yes or no."


class Fact(NamedTuple):
    """A fact of a caption, and whether the picture bears it out; None where the verdict cannot be read."""

    kind: str
    text: str
    right: bool | None


class Verified(NamedTuple):
    """What was found of a caption: its facts, or None where they cannot be read."""

    facts: list[Fact] | None


def labelled(reply: Reply) -> set[int]:
    """The numbers of sentences that are analytical; raises ValueError where no sentence is labelled.

    >>> labelled(Reply("1. descriptive\\n2: Analytical", "stop"))
    {2}
    """
    found = [match for line in reply.text.splitlines() if (match := LABEL.fullmatch(line))]
    if not found:
        raise ValueError(f"there is no labelled sentence in the reply {reply.text[:40]!r}")
    return {int(match[1]) for match in found if match[2].lower() == "analytical"}


def facts_of(reply: Reply) -> list[tuple[str, str]]:
    """Facts with their kinds, in order, each once; raises ValueError where there is none, or the reply was cut off.

    >>> facts_of(Reply("Facts:\\n- ENTITY: There is a dog.\\n- non-spatial: The dog chases a cat.", "stop"))
    [('ENTITY', 'There is a dog.'), ('NON-SPATIAL', 'The dog chases a cat.')]
    """
    found = [(match[1].upper(), match[2].strip()) for line in reply.text.splitlines() if (match := FACT.match(line))]
    if not found or reply.finish == "length":
        raise ValueError(f"there are no facts, or not all, in the reply {reply.text[:40]!r}")
    return list(dict.fromkeys(found))


def verdict_of(reply: Reply) -> bool:
    """Whether a reply says yes; raises ValueError where it begins with neither yes nor no.

    >>> verdict_of(Reply("No, that yes-man is wrong.", "stop"))
    False
    """
    found = VERDICT.match(reply.text)
    if not found:
        raise ValueError(f"the reply {reply.text[:40]!r} is neither yes nor no")
    return found[1].lower() == "yes"


def says_yes(reply: Reply) -> bool:
    """Whether "yes" is anywhere in a reply, which is how the authors' program reads it.

    >>> says_yes(Reply("No, that yes-man is wrong.", "stop"))
    True
    """
    return "yes" in reply.text.lower()


def faithfulness(facts: Sequence[Fact]) -> float | None:
    """The share of right facts among those with a verdict; None where there is none.

    >>> faithfulness([Fact("ENTITY", "There is a boy.", True), Fact("ENTITY", "There is a ramp.", False)])
    0.5
    """
    read = [fact.right for fact in facts if fact.right is not None]
    return share(sum(read), len(read))


class FaithScore(JudgedMeasure):
    """FaithScore of a caption, and its mean over captions (not over facts: a long caption counts as much as a short).

    A language model leaves out analytical sentences (all stay where its reply cannot be read) and takes the others
    apart; a model that sees the picture verifies each fact. A caption without a fact has no score, and counts with 0
    ``faithscore_entities``, the number of facts that something is there, for what recall stands in the paper.

    ``released`` reads verdicts as the authors' program does, by "yes" anywhere in the reply, and gives captions without
    a fact 0. (What else it does cannot be run: its labels are cut at characters, so that no sentence is recognised.)
    """

    VERSION: ClassVar[int] = 1
    NEEDS: ClassVar[frozenset[Need]] = frozenset({"picture"})
    ROLES: ClassVar[Mapping[str, str]] = {"language_model": "chat", "verifier": "chat"}
    METRICS: ClassVar[tuple[Metric, ...]] = (
        Metric(
            "faithscore",
            "FaithScore",
            351,
            "grounding",
            "share of a caption's facts that the picture bears out (Jing et al. 2023)",
            high=1,
            checkpoint=True,
        ),
        Metric(
            "faithscore_entities",
            "FaithScore entities",
            352,
            "grounding",
            "number of things that a caption says are there",
            decimals=1,
            checkpoint=True,
        ),
        Metric(
            "faithscore_unreadable",
            "FaithScore unreadable",
            561,
            "other",
            "share of captions' facts without a verdict that can be read; 1 where the facts cannot be read",
            higher_is_better=False,
            high=1,
            checkpoint=True,
        ),
        *(
            Metric(
                f"faithscore_{kind.lower().replace('-', '_')}",
                f"FaithScore {kind}",
                562 + place,
                "other",
                f"share of a caption's facts of kind {kind} that the picture bears out",
                high=1,
                checkpoint=True,
            )
            for place, kind in enumerate(KINDS)
        ),
    )

    class Settings(roles.Settings):
        descriptive: str = DESCRIPTIVE
        facts: str = FACTS
        verify: str = VERIFY
        released: bool = False

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return self.settings.model_dump()

    def judge(self, record: Candidate) -> Asking[Verified]:
        said = self.settings
        assert record.picture
        sentences = [record.text[start:end] for start, end in spans(record.text)]
        numbered = "\n".join(f"{number}. {text}" for number, text in enumerate(sentences, 1))
        labels = given((yield Ask("language_model", filled(said.descriptive, sentences=numbered), read=labelled)))
        kept = " ".join(text for number, text in enumerate(sentences, 1) if number not in (labels or ()))
        if not kept:
            return Verified([])
        found = given((yield Ask("language_model", filled(said.facts, caption=kept), read=facts_of)))
        if found is None:
            return Verified(None)
        read = says_yes if said.released else verdict_of
        replies = yield [
            Ask("verifier", filled(said.verify, fact=text), pictures=(record.picture,), read=read) for _, text in found
        ]
        return Verified([Fact(kind, text, given(reply)) for (kind, text), reply in zip(found, replies, strict=True)])

    def values(self, answered: Sequence[Verified]) -> dict[str, float | None]:
        captions = [one.facts for one in answered if one.facts is not None]
        scores = [faithfulness(facts) for facts in captions]
        if self.settings.released:
            scores = [score or 0.0 for score in scores]
        missing = [sum(one.right is None for one in facts) / len(facts) for facts in captions if facts]
        by_kind = {
            f"faithscore_{kind.lower().replace('-', '_')}": mean(
                [faithfulness([one for one in facts if one.kind == kind]) for facts in captions]
            )
            for kind in KINDS
        }
        return {
            "faithscore": mean(scores),
            "faithscore_entities": mean([sum(one.kind == "ENTITY" for one in facts) for facts in captions]),
            "faithscore_unreadable": mean([*missing, *(1.0 for one in answered if one.facts is None)]),
            **by_kind,
        }
