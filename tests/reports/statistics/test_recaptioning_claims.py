"""Claims of RICO and ScaleCap on captions whose every value was put in."""

from __future__ import annotations

import pandas as pd
import pytest

from reports.statistics.claims import recaptioning as claims
from reports.statistics.claims.recaptioning import Method, findings

RECALL = {
    "": 0.2, "rico/1": 0.4, "rico/2": 0.5, "rico/4": 0.52, "edit": 0.3, "laclip": 0.45,
    "again": 0.5, "scale/2": 0.3, "scale/6": 0.35, "unrated": 0.35,
}  # fmt: skip
"""Mean object recall of four pictures by method; "" are the first captions."""
INVENTED = dict.fromkeys(RECALL, 0.3) | {"rico/2": 0.1, "scale/6": 0.2, "scale/2": 0.2, "unrated": 0.4}
SPREAD = (-0.03, -0.01, 0.01, 0.03)
PAINTER = {"method": "rico", "painter": "flux"}
METHODS = [
    *(Method(f"rico/{n}", "rico", PAINTER | {"rounds": n}) for n in (1, 2, 4)),
    Method("again", "rico", PAINTER),  # two rounds where nothing is said
    Method("edit", "rico", {"method": "rico", "variant": "edit", "rounds": 1}),
    Method("laclip", "laclip", {"method": "laclip"}),
    *(Method(f"scale/{n}", "scalecap", {"method": "scalecap", "budget": n}) for n in (2, 6)),
    Method("unrated", "scalecap", {"method": "scalecap", "budget": 6, "threshold": -1}),
]


def rows() -> pd.DataFrame:
    """What differs from picture to picture is the same for all methods but RICO's, whose gains it spreads."""
    made = [
        {"corpus": "scenes", "captioner": "blip", "recaptioner": name, "metric": metric, "sample": f"s{n}"}
        | {"before": values[""], "after": values[name] + (more if name.startswith("rico") else 0)}
        for metric, values in (("object_recall", RECALL), ("object_hallucination", INVENTED))
        for name in list(RECALL)[1:]
        for n, more in enumerate(SPREAD)
    ]
    return pd.DataFrame(made)


@pytest.mark.parametrize(
    ("claim", "value", "verdict"),
    [
        (claims.EVERY, 0.3, "supported"),
        (claims.MITIGATES, -0.2, "supported"),
        (claims.ROUNDS, 0.02, "supported"),  # the two rounds that gain least: .5 to .52, alike for all pictures
        (claims.PLATEAU, 0.15 - 0.01, "supported"),  # .15 a round up to the second, .01 after
        (claims.PAINTING, 0.1, "supported"),  # .4 after one round, .3 by the edit
        (claims.RIVALS, 0.05, "supported"),
        (claims.BUDGET, 0.05, "supported"),
        (claims.RATING, -0.2, "supported"),
    ],
    ids=lambda one: getattr(one, "text", None),
)
def test_a_claim_is_about_the_difference_it_names(claim: claims.Claim, value: float, verdict: str) -> None:
    [found] = [one for one in findings(rows(), METHODS) if one.claim == claim.text]
    assert (found.estimate.value, found.verdict) == (pytest.approx(value), verdict)


def test_what_gains_nothing_is_not_said_to_gain() -> None:
    """Sentences without rating are no ScaleCap; leaving out tips or analysis was not tried."""
    found = findings(rows(), METHODS)
    richer = [one for one in found if one.claim == claims.RICHER.text]
    assert [one.estimate.value for one in richer] == pytest.approx([0.15])
    assert not {claims.TIPS.text, claims.ANALYSIS.text} & {one.claim for one in found}
    worse = rows().assign(after=lambda all: all["before"] - 0.1)
    said = {one.verdict for one in findings(worse, METHODS) if one.claim == claims.EVERY.text}
    assert said == {"not supported"}
