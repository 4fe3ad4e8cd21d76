"""The paper's claims on studies whose answers are known, because they were made so."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from reports.statistics.analysis import Correlation, estimate
from reports.statistics.cells import Roles
from reports.statistics.claims.judging import OPEN, REFUTED, SUPPORTED, UNCLAIMED, WORDS, Estimate, mean, verdict
from reports.statistics.claims.kinds import AUDIO, KINDS, MEDICAL, NATURAL, REFERRING, SERIES, XRAY
from reports.statistics.claims.links import over_corpora
from reports.statistics.findings import CLAIMS, Observed, asked, findings, not_asked
from stages.corpora import CATALOGUE

DEGRADATIONS = {"centre": "zero", "soft": "blur"}
INPAINTERS = [f"model-{number}" for number in range(6)]
LPIPS, MSE = "Lower LPIPS goes with better captions", "Lower MSE goes with better captions"


def study(link, gain, rng=None):
    """12 configurations × 20 pictures: captions follow LPIPS by ``link``, blur adds ``gain``, MSE is noise."""
    rng = rng or np.random.default_rng(1)
    rows = []
    for place, inpainter in enumerate(INPAINTERS):
        for degradation in DEGRADATIONS:
            noise = rng.normal()
            for sample in range(20):
                level = 0.1 * place + 0.01 * rng.normal()
                sbert = 0.8 + link * level + gain * (degradation == "soft") + 0.01 * rng.normal()
                where = {"corpus": "one", "degradation": degradation, "inpainter": inpainter, "sample": f"s{sample}"}
                rows.append({**where, "configuration": f"{inpainter} ({degradation})", "lpips": level, "mse": noise,
                             "ssim": 1 - level, "sbert@blip": sbert})  # fmt: skip
    return pd.DataFrame(rows)


def attention(deeper, inside):
    rows = [
        {"corpus": "one", "kind": "represent.vit", "degradation": d, "inpainter": i, "metric": metric,
         "region": region, "layer": layer,
         "mean": share * (0.1 + deeper * layer + 0.001 * n)}
        for n, i in enumerate(INPAINTERS) for d in DEGRADATIONS for layer in range(4)
        for metric, region, share in (
            ("tvd_sum", "whole", 1), ("tvd_even", "region", inside), ("tvd_even", "outside", 1 - inside)
        )
    ]  # fmt: skip
    return pd.DataFrame(rows)


def told(frame, layers, varied=None, kind=NATURAL):
    if "mask" in frame:
        frame = frame.assign(configuration=frame["configuration"] + " " + frame["mask"])
    columns = ["mse", "ssim", "lpips"], ["sbert@blip"], Roles("configuration", "sample")
    several = {corpus: rows for corpus, rows in frame.groupby("corpus") if rows["configuration"].nunique() > 2}
    correlated = {corpus: estimate(rows, *columns) for corpus, rows in several.items()}
    frame = frame.assign(kind=frame["degradation"].map(DEGRADATIONS), mask=frame.get("mask", "half"))
    kinds, seen = dict.fromkeys(frame["corpus"], kind), pd.DataFrame(columns=["corpus", "encoder"])
    found = Observed(frame, ["sbert@blip"], correlated, layers, seen, kinds, varied or {"one": 9.0}, {})
    return {one.claim: one for one in findings(found)}


def test_what_is_so_is_supported_and_its_opposite_is_not():
    true = told(study(-0.5, 0.2), attention(0.05, 0.7))
    assert true[LPIPS].verdict == true["Attention drift grows with depth"].verdict == SUPPORTED
    assert true["Smoother degradation preserves captions"].verdict == SUPPORTED
    assert true["Attention drift sits inside the mask"].verdict == SUPPORTED
    false = told(study(0.5, -0.2), attention(-0.02, 0.3))
    assert false[LPIPS].verdict == false["Attention drift grows with depth"].verdict == REFUTED
    assert false["Smoother degradation preserves captions"].verdict == REFUTED
    assert false["Attention drift sits inside the mask"].verdict == REFUTED
    assert true[LPIPS].judge == "blip" and true[LPIPS].estimate.n == 12


def test_what_is_noise_is_undecidable():
    found = told(study(-0.5, 0.0), attention(0.05, 0.7))
    assert found[MSE].verdict == OPEN
    assert found["Smoother degradation preserves captions"].verdict == OPEN


def test_a_steady_ssim_is_not_unstable():
    found = told(study(-0.5, 0.02), attention(0.05, 0.7))["SSIM is unstable"]
    assert found.verdict == REFUTED and "turns 0 times" in found.of


def test_estimates_are_those_of_the_data():
    frame = study(-0.5, 0.2)
    found = told(frame, attention(0.05, 0.7))
    means = frame.groupby("configuration")[["lpips", "sbert@blip"]].mean()
    assert found[LPIPS].estimate.value == pytest.approx(np.corrcoef(means.T)[0, 1])
    per = frame.pivot_table(index="sample", columns="degradation", values="sbert@blip")
    gain = stats.ttest_rel(per["soft"], per["centre"])
    interval = gain.confidence_interval()
    assert found["Smoother degradation preserves captions"].estimate == pytest.approx(
        ((per["soft"] - per["centre"]).mean(), interval.low, interval.high, 20)
    )


def test_captions_that_see_no_difference_between_degradations_say_nothing_of_them():
    one_kind = study(-0.5, 0.2).query("degradation == 'soft'")
    found = told(one_kind, attention(0.05, 0.7))["Smoother degradation preserves captions"]
    assert found.verdict == OPEN and found.estimate == Estimate(None, None, None, 0)


def test_degradations_are_compared_at_equal_masks():
    """A mask half as large spoils captions half as much; degradations of one mask differ in nothing."""
    small, large = (study(-0.5, 0.0).assign(mask=mask) for mask in ("a quarter", "half"))
    small["sbert@blip"] += 0.3
    mixed = pd.concat([small.query("degradation == 'soft'"), large.query("degradation == 'centre'")])
    found = told(mixed, attention(0.05, 0.7))["Smoother degradation preserves captions"]
    assert found.estimate == Estimate(None, None, None, 0), "no mask has both"
    found = told(pd.concat([small, large]), attention(0.05, 0.7))["Smoother degradation preserves captions"]
    assert found.verdict == OPEN and abs(found.estimate.value) < 0.01 and found.estimate.n == 20


def test_an_inpainter_that_cannot_see_has_no_say_however_many_masks_there_are():
    """A blind one has one distinct configuration a mask; captions of others do not stand in for what it lacks."""
    blind = [study(-0.5, 0.2).query("degradation == 'centre'").assign(mask=mask) for mask in ("a quarter", "half")]
    blind[1]["sbert@blip"] -= 0.5
    found = told(pd.concat(blind), attention(0.05, 0.7))["Smoother degradation preserves captions"]
    assert found.estimate == Estimate(None, None, None, 0)
    one = study(-0.5, 0.2).query("inpainter == 'model-0'").assign(mask="half")
    alone = told(one, attention(0.05, 0.7))["Smoother degradation preserves captions"]
    rest = [rows.query("inpainter != 'model-0'") for rows in blind]
    mixed = told(pd.concat([one, *rest]), attention(0.05, 0.7))["Smoother degradation preserves captions"]
    assert mixed.estimate == alone.estimate


def test_the_link_over_corpora_needs_corpora():
    claim = "Poor captions break the link"
    assert told(study(-0.5, 0.2), attention(0.05, 0.7))[claim].verdict == OPEN
    several, slopes = [], (-0.02, -0.05, -0.1, -0.5, -2.0, -4.0, -8.0)
    for number, link in enumerate(slopes):
        rng = np.random.default_rng(number)
        several.append(study(link, 0.3, rng).assign(corpus=f"c{number}"))
    varied = {f"c{number}": float(number) for number in range(len(slopes))}
    found = told(pd.concat(several), attention(0.05, 0.7), varied=varied)[claim]
    assert found.estimate.n == 7 and found.estimate.value > 0.7 and found.verdict == SUPPORTED


def test_a_claim_is_judged_only_where_the_paper_makes_it():
    frame, layers = study(-0.5, 0.2), attention(0.05, 0.7)
    success = told(frame, layers, kind=SERIES)
    assert success[LPIPS].verdict == SUPPORTED and success["SSIM is unstable"].verdict == UNCLAIMED
    for kind in (XRAY, AUDIO, ""):
        failure = told(frame, layers, kind=kind)
        assert failure[LPIPS].verdict == failure["SSIM is unstable"].verdict == UNCLAIMED
        assert failure[LPIPS].estimate == success[LPIPS].estimate, "the number stands there nonetheless"
        assert failure["Attention drift grows with depth"].verdict == (SUPPORTED if kind else UNCLAIMED)
    assert {one.text: set(one.kinds) for one in CLAIMS}["SSIM is unstable"] == {NATURAL, REFERRING}
    texts = [claim.text for claim in CLAIMS]
    shown = [claim.text for claim in asked(list(success.values()))]
    assert shown == sorted(shown, key=texts.index) and set(shown) | set(not_asked(success.values())) == set(texts)


def test_every_corpus_with_an_adapter_has_a_kind():
    assert set(KINDS) == set(CATALOGUE) - {"folder"}
    assert KINDS["rocov2"] == MEDICAL and KINDS["indiana"] == KINDS["radiographs"] == XRAY


def test_intervals_are_scipys():
    values = np.array([0.1, 0.4, 0.2, 0.9])
    wanted = stats.ttest_1samp(values, 0).confidence_interval()
    assert mean(values) == pytest.approx((0.4, wanted.low, wanted.high, 4))
    assert mean(np.array([1.0, np.nan])) == Estimate(1.0, None, None, 1)
    assert verdict(mean(values + 10), 1) == SUPPORTED


def test_two_configurations_have_no_correlation_and_still_a_difference():
    few = study(-0.5, 0.2).query("inpainter == 'model-0'")
    found = told(few, attention(0.05, 0.7))
    assert LPIPS not in found and found["Smoother degradation preserves captions"].verdict == SUPPORTED
    assert found["Poor captions break the link"].estimate.n == 0


def test_over_all_corpora_a_claim_is_judged_where_the_paper_makes_it_of_each():
    """Intervals decide, as for one corpus; the number stands there in any case."""
    pooled = Correlation("lpips", "sbert@blip", "", 10, 8, 80, 0, pearson=-0.8, low=-0.9, high=-0.4)
    found = over_corpora(pooled, [NATURAL, REFERRING])
    assert (found.verdict, found.corpus, found.judge) == (SUPPORTED, "", "blip")
    assert (found.interval, found.estimate.value) == ("[−0.90, −0.40]", -0.8)
    beyond = over_corpora(pooled, [NATURAL, "chest X-rays"])
    assert (beyond.verdict, beyond.estimate.value) == (UNCLAIMED, -0.8)
    assert over_corpora(replace(pooled, x="ssim"), [NATURAL]) is None, "no such claim"
    open_ = over_corpora(replace(pooled, high=0.1), [NATURAL])
    assert WORDS[open_.verdict] == "open"
