"""Paired effects and interactions against scipy, pingouin, statsmodels, and laws."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pingouin
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports.statistics.effects import interactions, paired_effects

DEGRADATIONS, INPAINTERS, CAPTIONERS = ["blur", "centre", "lowdim"], ["sd2", "telea"], ["blip", "llava"]
AXES = ["degradation", "inpainter", "captioner"]


@pytest.fixture
def frame() -> pd.DataFrame:
    """Twelve pictures under twelve configurations; SD 2 gains more from blur."""
    rng = np.random.default_rng(0)
    rows = []
    for image in range(12):
        level = rng.normal()
        for d, degradation in enumerate(DEGRADATIONS):
            for i, inpainter in enumerate(INPAINTERS):
                for captioner in CAPTIONERS:
                    value = level + 0.3 * d - 0.2 * i + 1.5 * (d == i == 0) + 0.3 * rng.normal()
                    rows.append((f"p{image}", degradation, inpainter, captioner, value))
    return pd.DataFrame(rows, columns=["image", *AXES, "bleu"])


def test_one_setting_is_a_paired_t_test(frame: pd.DataFrame) -> None:
    one = frame[(frame["inpainter"] == "sd2") & (frame["captioner"] == "blip")]
    found = paired_effects(one, "degradation", "bleu", "image", AXES)
    assert [(e.level, e.other) for e in found] == [("blur", "centre"), ("blur", "lowdim"), ("centre", "lowdim")]
    wide = one.pivot(index="image", columns="degradation", values="bleu")
    for effect in found:
        a, b = wide[effect.level], wide[effect.other]
        theirs = stats.ttest_rel(a, b)
        interval = theirs.confidence_interval()
        assert (effect.n, effect.settings) == (12, 1)
        assert effect.effect == pytest.approx((a - b).mean())
        assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
        assert effect.p == pytest.approx(theirs.pvalue)
        assert effect.d == pytest.approx(float(pingouin.ttest(a, b, paired=True)["T"].iloc[0]) / np.sqrt(12))
    assert [e.p_holm for e in found] == pytest.approx(list(multipletests([e.p for e in found], method="holm")[1]))


def test_an_item_counts_once_however_many_settings_it_has(frame: pd.DataFrame) -> None:
    [effect] = paired_effects(frame, "inpainter", "bleu", "image", AXES)
    means = frame.groupby(["image", "inpainter"])["bleu"].mean().unstack()
    theirs = stats.ttest_rel(means["sd2"], means["telea"])
    assert (effect.n, effect.settings) == (12, 6)
    assert effect.p == pytest.approx(theirs.pvalue)
    twice = pd.concat([frame, frame.assign(captioner=frame["captioner"] + " again")])
    [again] = paired_effects(twice, "inpainter", "bleu", "image", AXES)
    assert (again.effect, again.low, again.p) == pytest.approx((effect.effect, effect.low, effect.p)), "nothing new"
    assert again.settings == 12


def test_only_items_that_both_levels_have_are_compared(frame: pd.DataFrame) -> None:
    """What the pictures of one level have in advance does not enter."""
    easy = frame["image"].isin(["p0", "p1"])
    partial = frame[~(easy & (frame["inpainter"] == "sd2"))].copy()
    partial.loc[easy, "bleu"] += 100
    [effect] = paired_effects(partial, "inpainter", "bleu", "image", AXES)
    [without] = paired_effects(frame[~easy], "inpainter", "bleu", "image", AXES)
    assert effect == without
    assert effect.n == 10


def test_settings_that_disagree_are_told(frame: pd.DataFrame) -> None:
    turned = frame.copy()
    llava = turned["captioner"] == "llava"
    turned.loc[llava & (turned["degradation"] == "blur"), "bleu"] -= 10
    effects = {(e.level, e.other): e for e in paired_effects(turned, "degradation", "bleu", "image", AXES)}
    assert effects["blur", "centre"].agree == 0.75, "SD 2 with BLIP alone still gains from blur"
    assert effects["centre", "lowdim"].agree == 1.0


def test_equal_differences_have_no_effect_size(frame: pd.DataFrame) -> None:
    exact = pd.DataFrame({"kind": list("ababab"), "image": list("112233"), "v": [0.5, 0.25] * 3})
    [effect] = paired_effects(exact, "kind", "v", "image")
    assert (effect.effect, effect.low, effect.high, effect.d, effect.p) == (0.25, 0.25, 0.25, None, 0.0)


@pytest.mark.parametrize("factors", [["degradation", "inpainter"], AXES])
def test_interactions_are_those_of_the_linear_model(frame: pd.DataFrame, factors: list[str]) -> None:
    found = interactions(frame, factors, "bleu", "image")
    main = smf.ols("bleu ~ " + " + ".join(f"C({f}, Sum)" for f in factors), frame).fit()
    means = frame.groupby(factors)["bleu"].mean()
    additive = frame.assign(fit=main.fittedvalues).groupby(factors)["fit"].mean()
    assert [one.levels for one in found] == list(means.index)
    assert [one.mean for one in found] == pytest.approx(list(means))
    assert [one.additive for one in found] == pytest.approx(list(additive))
    assert [one.interaction for one in found] == pytest.approx(list(means - additive))
    assert sum(one.interaction for one in found) == pytest.approx(0)
    blurred = {one.levels: one for one in found}[("blur", "sd2", "blip")[: len(factors)]]
    assert blurred.low > 0.2
    assert blurred.p_holm < 0.01


def test_with_two_levels_the_interaction_is_the_difference_of_differences(frame: pd.DataFrame) -> None:
    some = frame[frame["degradation"] != "lowdim"]
    found = interactions(some, ["degradation", "inpainter"], "bleu", "image")
    wide = some.groupby(["image", "degradation", "inpainter"])["bleu"].mean().unstack([1, 2])
    contrast = wide["blur", "sd2"] - wide["blur", "telea"] - wide["centre", "sd2"] + wide["centre", "telea"]
    assert found[0].interaction == pytest.approx(contrast.mean() / 4)
    assert found[0].p == pytest.approx(stats.ttest_1samp(contrast, 0).pvalue)


def test_items_that_lack_a_combination_are_left_out(frame: pd.DataFrame) -> None:
    holed = frame.drop(index=frame[(frame["image"] == "p3") & (frame["degradation"] == "blur")].index[:2])
    found = interactions(holed, ["degradation", "inpainter"], "bleu", "image")
    assert found == interactions(frame[frame["image"] != "p3"], ["degradation", "inpainter"], "bleu", "image")
    assert found[0].n == 11


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda f: paired_effects(f, "degradatoin", "bleu", "image"), "did you mean 'degradation'?"),
        (lambda f: paired_effects(f[:1], "degradation", "bleu", "image"), "No two levels of 'degradation' share 2"),
        (lambda f: interactions(f, ["degradation"], "bleu", "image"), "needs two factors or more; given: degradation"),
        (lambda f: interactions(f[:3], AXES, "bleu", "image"), "of 'image' have a value in all"),
        (lambda f: interactions(f, AXES, "image", "bleu"), "'image' holds 'p0' in row 1"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(frame: pd.DataFrame, call, sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        call(frame)
    assert sentence in str(caught.value)
