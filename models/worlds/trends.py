"""The language of the ``series`` world: what is true of a series, how people say it, and the parser that reads it back.

Everything is relative to the range of the values, as a plot that is fitted to them shows it, and to three parts of the
series: beginning, middle and end. The words are those of TRUCE's annotators (Jhamtani & Berg-Kirkpatrick 2021).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

Facts = dict[str, str]

PARTS = ("beginning", "middle", "end")

RISE = 0.5
"""Share of the range that a series has to win from its first to its last value to rise, or a leg of it to its turn."""

SLIP = 0.25
"""Share of the range by which a rising series may fall back on its way, and a falling one recover."""

PART_RISE, PART_FLAT = 0.2, 0.12
"""Share of the range that a part has to win to rise, without falling back by half of that; what a flat part spans."""

MOSTLY = 0.75
"""Share of the values that lie within ``PART_FLAT`` of each other in a series that stays flat."""

NEAR = 0.1
"""A peak in one part stands out from the highest value of the others by more than this share of the range."""

STEADY = 0.35
"""Largest step of a steady series, as a share of the range; none goes back by more than a tenth of that, and every
part goes the same way."""

SWING, SWINGS = 0.25, 4
"""A series that turns so many times, each swing wider than this share of the range, fluctuates."""

JUMP = 0.5
"""Share of the range that one step has to win to be a jump; the next largest step is at most half of it."""

RECOVERY = 0.5
"""Share of the range that is won back after a dip, and lost again after a peak."""


def facts(values: Sequence[float]) -> Facts:
    """Facts of a series of at least six values; what is doubtful is left out.

    ===================  ========================================================================================
    trend                rises, falls, stays flat, rises then falls, falls then rises
    beginning, middle,   rises, falls, stays flat: the course within a third of the series
    end
    peak, dip            the part that holds the highest, the lowest values
    after peak           falls: after the peak, half of the range is lost
    after dip            rises: after the dip, half of the range is won back
    jump, jump at        up or down: one step is half of the range; and its part
    manner               steady: rising or falling all the way, without a large step; volatile: swinging to and fro
    ends                 higher, lower: where the last value lies from the first, by a quarter of the range
    ===================  ========================================================================================

    >>> facts([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])["trend"], facts([0, 0, 0, 0, 1, 4, 5, 1, 0, 0, 0, 0])["peak"]
    ('rises', 'middle')
    """
    series = np.asarray(values, float)
    span = np.ptp(series)
    if span == 0:
        return {"trend": "stays flat", **dict.fromkeys(PARTS, "stays flat")}
    unit = (series - series.min()) / span
    thirds = [int(edge) for edge in np.linspace(0, len(unit), 4).round()]
    windows = [unit[first:last] for first, last in zip(thirds, thirds[1:], strict=False)]
    found = {name: _course(window) for name, window in zip(PARTS, windows, strict=True)}
    manner = _manner(unit, {_course(window) for window in windows})
    found |= {"trend": _trend(unit), **_turns(unit, thirds), **_jump(unit, thirds), "manner": manner}
    gain = unit[-1] - unit[0]
    found["ends"] = ("higher" if gain > 0 else "lower") if abs(gain) >= SLIP else ""
    return {name: value for name, value in found.items() if value}


def _trend(unit: np.ndarray) -> str:
    high, low = int(unit.argmax()), int(unit.argmin())
    if _spanned(unit, MOSTLY) <= PART_FLAT:
        return "stays flat"
    for sign, direction, back, turn in ((1, "rises", "falls", high), (-1, "falls", "rises", low)):
        way = sign * unit
        if way[-1] - way[0] >= RISE and _setback(way) <= SLIP:
            return direction
        legs = way[: turn + 1], -way[turn:]
        if all(len(leg) > 2 and leg[-1] - leg[0] >= RISE and _setback(leg) <= SLIP for leg in legs):
            return f"{direction} then {back}"
    return ""


def _course(window: np.ndarray) -> str:
    if np.ptp(window) <= PART_FLAT:
        return "stays flat"
    gain = window[-1] - window[0]
    if abs(gain) >= PART_RISE and _setback(np.sign(gain) * window) <= abs(gain) / 2:
        return "rises" if gain > 0 else "falls"
    return ""


def _turns(unit: np.ndarray, thirds: Sequence[int]) -> Facts:
    found = {}
    for name, way, back in (("peak", unit, "falls"), ("dip", 1 - unit, "rises")):
        tops = [way[first:last].max() for first, last in zip(thirds, thirds[1:], strict=False)]
        part = int(np.argmax(tops))
        if all(top < 1 - NEAR for i, top in enumerate(tops) if i != part):
            found[name] = PARTS[part]
            if way[-1] <= 1 - RECOVERY:
                found[f"after {name}"] = back
    return found


def _jump(unit: np.ndarray, thirds: Sequence[int]) -> Facts:
    """A jump belongs to the part of the value that it leads to; where that is the first of a part, to none."""
    steps = np.diff(unit)
    sizes = np.sort(np.abs(steps))
    if sizes[-1] < JUMP or sizes[-2] > sizes[-1] / 2:
        return {}
    at = int(np.abs(steps).argmax()) + 1
    where = "" if at in thirds else PARTS[int(np.searchsorted(thirds, at, "right")) - 1]
    return {"jump": "up" if steps[at - 1] > 0 else "down", "jump at": where}


def _manner(unit: np.ndarray, courses: set[str]) -> str:
    steps = np.diff(unit) * (1 if unit[-1] > unit[0] else -1)
    if len(courses) == 1 and courses <= {"rises", "falls"} and steps.min() >= -STEADY / 10 and steps.max() <= STEADY:
        return "steady"
    turns = [unit[0]]
    for before, here, after in zip(unit, unit[1:], unit[2:], strict=False):
        if (here - before) * (after - here) < 0:
            turns.append(here)
    swings = np.abs(np.diff([*turns, unit[-1]]))
    return "volatile" if (swings > SWING).sum() > SWINGS else ""


def _setback(way: np.ndarray) -> float:
    """Largest fall of a series from the highest value so far."""
    return float((np.maximum.accumulate(way) - way).max())


def _spanned(unit: np.ndarray, share: float) -> float:
    """Range of the closest ``share`` of the values."""
    ordered, count = np.sort(unit), int(np.ceil(share * len(unit)))
    return float((ordered[count - 1 :] - ordered[: len(unit) - count + 1]).min())


_UP, _DOWN = ("rises", "increases", "climbs", "goes up"), ("falls", "decreases", "declines", "drops")
_FLAT = ("stays flat", "remains constant", "stays level")
_COURSES = {"rises": _UP, "falls": _DOWN, "stays flat": _FLAT}
_WHERE = {
    "beginning": ("at the beginning", "in the beginning", "near the start"),
    "middle": ("in the middle", "around the middle", "near the middle"),
    "end": ("at the end", "towards the end", "near the end"),
}
_PEAK = ("peaks", "peaks", "reaches its highest point", "has its maximum")
_DIP = ("dips", "bottoms out", "reaches its lowest point", "has its minimum")
_BACK = {"peak": ("then drops", "then falls off"), "dip": ("then recovers", "then rises again")}
_THROUGHOUT = (" throughout", " until the end", " from beginning to end")
_STEADILY = (" steadily", " gradually", " smoothly")
_VOLATILE = ("fluctuates throughout", "is very volatile", "zigzags up and down")
_JUMP = {"up": ("jumps up", "rises sharply", "shoots up"), "down": ("plunges", "drops sharply", "falls suddenly")}
_ENDS = {"higher": ("ends higher than it starts",), "lower": ("ends lower than it starts",)}
_SUBJECTS = ("", "", "", "the line ", "the series ")


def captions(found: Facts, rng: np.random.Generator) -> list[str] | None:
    """Three captions of what :func:`facts` found, each of one or two claims; None where there is too little to say.

    What is said of the whole series and its turns comes first: its trend, peak, dip, jump and volatility.
    """

    def pick(options: Sequence[str]) -> str:
        return options[int(rng.integers(len(options)))]

    main, parts = [], []
    whole = {found.get(part) for part in PARTS} == {found.get("trend")}
    if "trend" in found:
        words = [pick(_COURSES[course]) for course in found["trend"].split(" then ")]
        steadily = pick(_STEADILY) if found.get("manner") == "steady" else ""
        throughout = "" if len(words) > 1 else pick(_THROUGHOUT) if whole else " overall"
        main.append(("", " then ".join(words) + steadily + throughout))
    for name, verbs in (("peak", _PEAK), ("dip", _DIP)):
        if name in found:
            back = f" and {pick(_BACK[name])}" if f"after {name}" in found and rng.random() < 0.5 else ""
            main.append((found[name], f"{pick(verbs)} {pick(_WHERE[found[name]])}{back}"))
    if "jump" in found:
        at = found.get("jump at", "")
        main.append((at, " ".join([pick(_JUMP[found["jump"]]), *([pick(_WHERE[at])] if at else [])])))
    if found.get("manner") == "volatile":
        main.append(("", pick(_VOLATILE)))
    if "ends" in found and found.get("trend") not in ("rises", "falls"):
        parts.append(("last", pick(_ENDS[found["ends"]])))
    for part in PARTS:
        if part in found and found[part] != found.get("trend"):
            parts.append((part, f"{pick(_COURSES[found[part]])} {pick(_WHERE[part])}"))
    main, parts = ([claims[i] for i in rng.permutation(len(claims))] for claims in (main, parts))
    if not main or len(main) + len(parts) < 3:
        return None
    claims = main + parts
    return [pick(_SUBJECTS) + _sentence(claim, claims[3:], rng) for claim in claims[:3]]


def _sentence(claim: tuple[str, str], others: Sequence[tuple[str, str]], rng: np.random.Generator) -> str:
    """The claim, perhaps with another one about another part of the series, in the order of time."""
    when = ("", *PARTS, "last")
    others = [other for other in others if other[0] != claim[0]]
    if not others or " and " in claim[1] or " then " in claim[1] or rng.random() < 0.5:
        return claim[1]
    other = others[rng.integers(len(others))]
    return " and ".join(text for _, text in sorted((claim, other), key=lambda said: when.index(said[0])))


_READ = {
    name: re.compile(rf"\b(?:{words})\b")
    for name, words in {
        "higher": r"ends? (?:is )?(?:higher|greater) than .*",
        "lower": r"ends? (?:is )?(?:lower|less) than .*",
        "volatile": r"(?:\w+ )?up and down|fluctuat\w*|volatil\w*|zigzag\w*|oscillat\w*|erratic\w*",
        "throughout": r"throughout|overall|entire\w*|whole|from (?:the )?(?:beginning|start) to (?:the )?end|"
        r"(?:un)?till? (?:the )?end|to the end",
        "jump up": r"jump\w*(?: up\w*)?|shoots? up\w*|leap\w*|surg\w*",
        "jump down": r"plung\w*|plummet\w*|crash\w*",
        "sharp": r"sharp\w*|sudden\w*|abrupt\w*",
        "steady": r"stead\w*|gradual\w*|smooth\w*|monoton\w*",
        "peak": r"peak\w*|highest|max\w*",
        "dip": r"dip\w*|bottom\w*|trough\w*|lowest|min\w*",
        "rises": r"ris\w*|rose|increas\w*|climb\w*|go(?:es)? up\w*|grow\w*|upwards?|recover\w*",
        "falls": r"f[ae]ll\w*|decreas\w*|declin\w*|drop\w*|go(?:es)? down\w*|downwards?",
        "stays flat": r"flat\w*|constant\w*|level|stable|unchanged|plateau\w*",
        "beginning": r"beginn\w*|start\w*|initial\w*|early|first",
        "middle": r"mid\w*|halfway|center",
        "end": r"ends?|ending|last|final\w*|late",
    }.items()
}
"""What is read in a clause, in this order: what one reads, the next no longer sees."""

_CLAUSES = re.compile(r"[,.;]|\b(?:then|and|but|before|after|followed by)\b")
_TRENDS = ("rises", "falls", "stays flat", "rises then falls", "falls then rises")


def parse(caption: str) -> Facts:
    """The claims of a caption, named as in :func:`facts`; of any other text, whatever it can read.

    >>> parse("dips near the beginning and then recovers")
    {'dip': 'beginning', 'after dip': 'rises'}
    >>> parse("The values rise steadily until the end.")
    {'trend': 'rises', 'manner': 'steady'}
    """
    claims: Facts = {}
    text = caption.lower()
    if _READ["volatile"].search(text):
        claims["manner"], text = "volatile", _READ["volatile"].sub(" ", text)
    courses: list[str] = []
    turn = ""
    for clause in _CLAUSES.split(text):
        said = _said(clause)
        if not said:
            continue
        where = next((part for part in PARTS if part in said), "")
        course = next((name for name in _COURSES if name in said), "")
        jump = next((way for way in ("up", "down") if f"jump {way}" in said), "")
        if not jump and "sharp" in said and course in ("rises", "falls"):
            jump = "up" if course == "rises" else "down"
        last_turn, turn = turn, next((name for name in ("peak", "dip") if name in said), "")
        if {"higher", "lower"} & said:
            claims["ends"] = "higher" if "higher" in said else "lower"
        elif turn:
            claims |= {turn: where} if where else {}
        elif jump:
            claims |= {"jump": jump} | ({"jump at": where} if where else {})
        elif course and where:
            claims[where] = course
        elif course and last_turn and "throughout" not in said:
            claims[f"after {last_turn}"] = course
        elif course:
            courses.append(course)
            claims |= {"manner": "steady"} if "steady" in said else {}
    trend = " then ".join(courses)
    return ({"trend": trend} if trend in _TRENDS else {}) | claims


def _said(clause: str) -> set[str]:
    found = set()
    for name, words in _READ.items():
        clause, count = words.subn(" ", clause)
        found |= {name} if count else set()
    return found


def agreement(found: Facts, facts: Facts) -> float:
    """Share of the claims of a parsed caption that are right, in [0, 1]; 0 where it claims nothing.

    >>> agreement(parse("rises and peaks at the end"), {"trend": "rises", "peak": "middle"})
    0.5
    """
    right = sum(facts.get(name) == value for name, value in found.items())
    return right / len(found) if found else 0.0
