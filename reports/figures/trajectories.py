"""Trajectories: how a method went from a first caption to a new one, step by step, with what it saw and asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from reports.asking.rewritten import Marks, Place, Rewriting, rewritings
from reports.asking.study import Study
from reports.figures.pictures import Picture, taken_up
from reports.site.numbers import signed
from reports.statistics.wordings import changed_words, shortened

OF_EACH = 2
"""How many examples of each corpus, method and first captioner stand at either end."""

WEIGHT = 2_000_000
"""No example is added after the pictures have more characters than this."""


class Words(NamedTuple):
    """Some words of a caption in a row, of which the same is to be said."""

    text: str
    changed: bool
    """Whether the caption before has none of them here."""
    verdict: str
    """``right``, ``wrong``, or "" where nothing is known or claimed."""


class Step(NamedTuple):
    """A caption on the way, behind what was seen and said before it was written."""

    title: str
    painting: str | None
    """The address of the painting that it was revised by; None where there was none, or the store has lost it."""
    analysis: str
    words: list[Words]


class Sentence(NamedTuple):
    words: list[Words]
    rating: float | None
    """How much likelier the picture made it, from −1 to 1."""
    golden: bool


class Trajectory(NamedTuple):
    """One example."""

    at: Place
    gain: str
    original: str | None
    steps: list[Step]
    refused: str
    """A revision that was not taken, because its painting was no closer."""
    sentences: list[Sentence]
    questions: list[tuple[str, str | None]]
    summaries: list[str]
    failures: list[str]


class Gallery(NamedTuple):
    """Examples, and the pictures they show, by address."""

    entries: list[Trajectory]
    pictures: dict[str, Picture]
    of: int
    """How many rewritten captions there were to choose from."""
    marked: bool
    """Whether words are known to be right or wrong."""


def gallery(study: Study, shown: Sequence[str], gains: Mapping[tuple[str, ...], float]) -> Gallery:
    """Examples of some methods, by gains of (corpus, captioner, recaptioner, sample): the largest and the smallest."""
    found, marks = rewritings(study)
    found = [one for one in found if one.at.recaptioner in shown]
    pictures: dict[str, Picture | None] = {}
    entries = []
    for one in chosen(found, gains):
        if sum(len(picture.uri) for picture in pictures.values() if picture) > WEIGHT:
            break
        entries.append(trajectory(one, gains.get(one.at), marks, study, pictures))
    return Gallery(entries, {at: one for at, one in pictures.items() if one}, len(found), bool(marks))


def chosen(found: Sequence[Rewriting], gains: Mapping[tuple[str, ...], float]) -> list[Rewriting]:
    """Of each corpus, method and first captioner those that gained most, and those that lost or else gained least.

    Captions that changed come before those that did not.
    """
    groups: dict[tuple[str, str, str], list[Rewriting]] = {}
    for one in found:
        groups.setdefault((one.at.recaptioner, one.at.corpus, one.at.captioner), []).append(one)
    picked = []
    for some in groups.values():
        some.sort(key=lambda one: (-gains.get(one.at, 0.0), one.at.sample))
        changed = [one for one in some if one.value["caption"] != one.value["first"]] or some[:1]
        picked += changed[:OF_EACH] + changed[max(OF_EACH, len(changed) - OF_EACH) :]
    return picked


def trajectory(
    one: Rewriting, gain: float | None, marks: Marks, study: Study, pictures: dict[str, Picture | None]
) -> Trajectory:
    """One example; ``pictures`` takes up what it shows."""

    def picture(address: str | None) -> str | None:
        return taken_up(address, study.load, pictures)

    def said(before: str, after: str) -> list[Words]:
        return worded(before, after, marks.get((one.at.corpus, one.at.sample, after), {}))

    value, first = one.value, one.value["first"]
    steps, refused = [Step("first caption", None, "", said(first, first))], ""
    asked: Mapping[str, Any] = {}
    if isinstance(value["steps"], list):
        for number, (before, after) in enumerate(zip(value["steps"], value["steps"][1:], strict=False), 1):
            words = said(before["caption"], after["caption"])
            steps.append(Step(f"round {number}", picture(before.get("painting")), before.get("analysis", ""), words))
        refused = value["steps"][-1].get("refused", "") if value["steps"] else ""
    elif isinstance(value["steps"], Mapping):
        asked = value["steps"]
    if len(steps) == 1:
        steps.append(Step("new caption", None, "", said(first, value["caption"])))
    method = (study.params.get("recaptioners") or {}).get(one.at.recaptioner) or {}
    threshold = float(method.get("threshold", 0.0))
    return Trajectory(
        one.at,
        "" if gain is None else signed(gain, 2),
        picture(one.original),
        steps,
        refused,
        sentences(first, asked.get("sentences", ()), marks.get((one.at.corpus, one.at.sample, first), {}), threshold),
        [(part["question"], part["answer"]) for part in asked.get("questions", ())],
        [text for text in asked.get("summaries", {}).values() if text],
        list(dict.fromkeys(failure["reason"] for failure in value.get("failures", ()))),
    )


def sentences(
    first: str, rated: Sequence[Mapping[str, Any]], marks: Mapping[str, Any], threshold: float
) -> list[Sentence]:
    """The sentences of a first caption with their ratings, words marked as in the caption."""
    found, start = [], 0
    if " ".join(part["text"] for part in rated).split() != first.split():
        marks = {}
    for part in rated:
        end = start + len(part["text"].split())
        own = {verdict: [n - start for n in places if start <= n < end] for verdict, places in marks.items()
               if isinstance(places, list)}  # fmt: skip
        golden = part["rating"] is None or part["rating"] > threshold
        found.append(Sentence(worded(part["text"], part["text"], own), part["rating"], golden))
        start = end
    return found


def worded(before: str, after: str, marks: Mapping[str, Any]) -> list[Words]:
    """A caption as words in a row of which the same is to be said.

    >>> worded("a red star", "a blue star", {"right": [2], "wrong": [1]})[1:]
    [Words(text='blue', changed=True, verdict='wrong'), Words(text='star', changed=False, verdict='right')]
    """
    changed = [flag for text, flag in changed_words(before, after)[1] for _ in text.split()]
    verdicts = {place: verdict for verdict in ("right", "wrong") for place in marks.get(verdict, ())}
    found: list[Words] = []
    for place, (word, flag) in enumerate(zip(shortened(after), changed, strict=True)):
        verdict = verdicts.get(place, "")
        if found and found[-1][1:] == (flag, verdict):
            found[-1] = Words(f"{found[-1].text} {word}", flag, verdict)
        else:
            found.append(Words(word, flag, verdict))
    return found
