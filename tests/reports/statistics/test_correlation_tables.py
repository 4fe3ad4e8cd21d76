"""From a table to results: the paper's own table, other libraries, laws, and what is wrong with a table."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from statsmodels.stats.multitest import multipletests

from reports.statistics.analysis import as_json, correlate
from reports.statistics.cells import Roles
from reports.terminal.correlation import report

PAPER = pd.read_csv(
    StringIO(
        """config,family,mse,psnr,ssim,lpips,bleu_4,sbert
SD1.5-cm,SD1.5,0.0246,16.59,0.582,0.218,0.195,0.653
SD1.5-gc,SD1.5,0.0231,16.88,0.589,0.204,0.195,0.658
SD1.5-ld,SD1.5,0.0231,16.86,0.588,0.205,0.200,0.659
SD2-cm,SD2,0.0240,16.68,0.592,0.223,0.201,0.668
SD2-gc,SD2,0.0225,16.98,0.599,0.211,0.201,0.669
SD2-ld,SD2,0.0226,16.94,0.598,0.212,0.201,0.668
SD3-cm,SD3,0.0641,12.37,0.714,0.300,0.155,0.552
SD3-gc,SD3,0.00629,22.47,0.803,0.184,0.205,0.656
SD3-ld,SD3,0.00666,22.26,0.808,0.143,0.214,0.680
"""
    )
)
"""The inpainting paper's Flickr results with BLIP: tables 2 and 3."""

XS, YS = ["mse", "psnr", "ssim", "lpips"], ["bleu_4", "sbert"]


@pytest.fixture(scope="module")
def paper() -> dict:
    return {(r.x, r.y): r for r in correlate(PAPER, XS, YS, Roles("config"))}


def test_coefficients_are_scipys(paper: dict) -> None:
    for (x, y), found in paper.items():
        assert found.n == 9
        assert found.pearson == pytest.approx(stats.pearsonr(PAPER[x], PAPER[y]).statistic)
        assert found.spearman == pytest.approx(stats.spearmanr(PAPER[x], PAPER[y]).statistic)
        assert found.kendall == pytest.approx(stats.kendalltau(PAPER[x], PAPER[y]).statistic)
        assert found.critical_r == pytest.approx(0.666, abs=0.3), "Student's t has .666 in print for nine"


def test_leave_one_out_is_that_of_table_1(paper: dict) -> None:
    """The paper: no sign flips of MSE, LPIPS and PSNR, frequent ones of SSIM. Ranges are recomputed by hand here."""
    for (x, y), found in paper.items():
        left = [PAPER.drop(index=n)[[x, y]].corr().iloc[0, 1] for n in range(9)]
        assert (found.leave_one_out.low, found.leave_one_out.high) == pytest.approx((min(left), max(left)))
        assert found.sign_flips == sum(np.sign(left) != np.sign(found.pearson))
        assert (found.sign_flips > 0) == (x == "ssim")
        worst = int(np.argmax(np.abs(np.array(left) - found.pearson)))
        assert found.leave_one_out.driver == PAPER["config"][worst]


def test_one_family_carries_what_leave_one_out_calls_stable() -> None:
    [found] = correlate(PAPER, ["lpips"], ["bleu_4"], Roles("config", family="family"))
    rest = PAPER[PAPER["family"] != "SD3"]
    assert found.leave_family_out.driver == "SD3"
    assert found.leave_family_out.without == pytest.approx(rest["lpips"].corr(rest["bleu_4"]))
    assert (found.sign_flips, found.leave_family_out.sign_flips) == (0, 1)
    assert (found.families, found.p, found.low) == (3, None, None)
    assert found.effective_n <= 9 and found.caveat.startswith("3 families are too few to say anything of new ones")


def test_adjusted_p_are_in_order_and_q_is_statsmodels(paper: dict) -> None:
    results = list(paper.values())
    q = multipletests([r.p for r in results], method="fdr_bh")[1]
    assert [r.q for r in results] == pytest.approx(list(q))
    assert all(r.exact and r.permutations == 362_880 and r.p <= r.p_family_wise for r in results)
    assert all(r.pairs_tested == 8 and r.low < r.pearson < r.high for r in results)


def crossed(units: int = 10, items: int = 6, seed: int = 0, **more: str) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    unit = rng.normal(size=units)
    rows = [
        {"config": f"c{u}", "image": f"i{i}", "mse": unit[u] + rng.normal(), "bleu": rng.normal() - unit[u], **more}
        for u in range(units)
        for i in range(items)
    ]
    return pd.DataFrame(rows)


ROLES = Roles("config", "image")


def fitted(frame: pd.DataFrame, column: str) -> pd.Series:
    """Unit effects of statsmodels' additive model."""
    return smf.ols(f"{column} ~ 0 + C(config) + C(image)", frame).fit().params.filter(like="config")


def test_units_are_means_over_items_and_missing_cells_are_counted() -> None:
    frame = crossed()
    frame.loc[3, "mse"] = np.nan
    frame.loc[7, "bleu"] = np.inf
    [found] = correlate(frame, ["mse"], ["bleu"], ROLES)
    means = pd.DataFrame({name: fitted(frame.replace(np.inf, np.nan), name) for name in ("mse", "bleu")})
    assert (found.n, found.items, found.cells, found.missing) == (10, 6, 60, 2)
    assert found.pearson == pytest.approx(means.corr().iloc[0, 1])
    assert found.levels.between_units == found.pearson
    assert found.mixed.items == 4
    frame.loc[[3, 7], ["mse", "bleu"]] = np.nan
    emptied, dropped = (correlate(some, ["mse"], ["bleu"], ROLES) for some in (frame, frame.drop(index=[3, 7])))
    assert as_json(emptied) == as_json(dropped), "an absent row is an empty cell"


def test_the_order_of_rows_and_a_second_run_change_nothing() -> None:
    frame = pd.concat([crossed(corpus="one"), crossed(seed=1, corpus="two")])
    roles = Roles("config", "image", by="corpus")
    first = correlate(frame, ["mse"], ["bleu"], roles)
    assert as_json(correlate(frame, ["mse"], ["bleu"], roles)) == as_json(first)
    shuffled = as_json(correlate(frame.sample(frac=1, random_state=0), ["mse"], ["bleu"], roles))
    assert shuffled == as_json(first)


def test_affine_changes_change_nothing_and_a_sign_turns_the_sign() -> None:
    frame = crossed()
    [plain] = correlate(frame, ["mse"], ["bleu"], ROLES)
    [scaled] = correlate(frame.assign(mse=255**2 * frame["mse"] + 40), ["mse"], ["bleu"], ROLES)
    [turned] = correlate(frame.assign(mse=-frame["mse"]), ["mse"], ["bleu"], ROLES)
    for name in ("pearson", "spearman", "kendall", "low", "high", "p", "p_family_wise", "q"):
        assert getattr(scaled, name) == pytest.approx(getattr(plain, name), abs=1e-9), name
    assert (turned.pearson, turned.low, turned.high) == pytest.approx((-plain.pearson, -plain.high, -plain.low))
    assert (turned.p, turned.sign_flips) == (plain.p, plain.sign_flips)


def test_corpora_are_correlated_apart_and_put_together() -> None:
    parts = [crossed(seed=n, corpus=f"k{n}") for n in range(3)]
    parts[1][["mse", "bleu"]] += 100  # what differs between corpora is no correlation
    results = correlate(pd.concat(parts), ["mse"], ["bleu"], Roles("config", "image", by="corpus"))
    assert len(results) == 1
    [found] = results
    alone = [correlate(part, ["mse"], ["bleu"], ROLES)[0].pearson for part in parts]
    assert [part.group for part in found.groups] == ["k0", "k1", "k2"]
    assert [part.pearson for part in found.groups] == pytest.approx(alone)
    assert found.pearson == pytest.approx(np.mean(alone)), "all have as many units"
    assert (found.n, found.items, found.meta.groups) == (10, 18, 3)


def test_one_corpus_is_no_group_of_corpora() -> None:
    frame = crossed(corpus="only")
    [found] = correlate(frame, ["mse"], ["bleu"], Roles("config", "image", by="corpus"))
    assert as_json([found]) == as_json(correlate(frame, ["mse"], ["bleu"], ROLES))


def test_what_has_no_correlation_says_why() -> None:
    frame = PAPER.assign(flat=0.1, empty=np.nan)
    results = {r.x: r for r in correlate(frame, ["flat", "empty", "mse"], ["sbert"], Roles("config"))}
    assert (results["flat"].pearson, results["flat"].note) == (None, "flat is constant")
    assert (results["empty"].n, results["empty"].note) == (0, "empty was not measured")
    assert results["mse"].pairs_tested == 1
    listed = as_json(list(results.values()))
    assert json.loads(json.dumps(listed, allow_nan=False))[0]["p"] is None
    assert "flat is constant" in report(list(results.values()), Roles("config"))


def test_three_units_are_enough_and_say_little() -> None:
    [found] = correlate(PAPER[:3], ["mse"], ["sbert"], Roles("config"))
    assert (found.n, found.permutations, found.low, found.leave_one_out, found.sign_flips) == (3, 6, None, None, None)
    assert (found.p, found.decided) == (None, False) and "3 units are too few" in found.caveat


def test_a_correlation_of_one_unit_is_undefined() -> None:
    frame = pd.DataFrame({"config": list("abcdefg"), "x": [1, 1, 1, 1, 1, 1, 2], "y": [3, 1, 2, 4, 5, 6, 9]})
    [found] = correlate(frame, ["x"], ["y"], Roles("config"))
    assert found.pearson == pytest.approx(0.77, abs=0.005)
    assert (found.low, found.high, found.p, found.decided) == (None, None, None, False)
    assert (found.leave_one_out.driver, found.leave_one_out.without) == ("g", None)
    assert found.caveat == "undefined: without g x or y is constant"
    assert "undefined: without g" in report([found], Roles("config"))


@pytest.mark.parametrize(
    ("change", "roles", "sentence"),
    [
        ({}, Roles("confg"), "no column 'confg'; did you mean 'config'?"),
        ({}, Roles("config", "picture"), "no column 'picture'; it has config, "),
        ({"mse": ["n/a!"] * 9}, Roles("config"), "'mse' holds 'n/a!' in row 1, where a number was expected"),
        ({"config": list("aaaabbbbb")}, Roles("config"), "'config' names 2 units; a correlation needs 3"),
        ({"config": ["a", None, *"cdefghi"]}, Roles("config"), "Row 2 has nothing in column 'config'"),
        ({"config": list("abcabcabc")}, Roles("config", family="family"), "Unit 'a' has several families"),
        ({"sbert": 1.0}, Roles("config"), ""),
    ],
)
def test_a_faulty_table_is_one_sentence(change: dict, roles: Roles, sentence: str) -> None:
    frame = PAPER.assign(**change)
    if not sentence:
        assert correlate(frame, ["mse"], ["sbert"], roles)[0].note == "sbert is constant"
        return
    with pytest.raises(ValueError, match=sentence.replace("?", r"\?").replace("!", r"\!")) as caught:
        correlate(frame, ["mse"], ["sbert"], roles)
    assert len(str(caught.value).splitlines()) == 1


def test_a_column_does_not_go_with_itself() -> None:
    with pytest.raises(ValueError, match="'mse' is given as both x and y"):
        correlate(PAPER, ["mse", "psnr"], ["mse"], Roles("config"))


def test_the_text_states_the_estimand(tmp_path: Path) -> None:
    frame = pd.concat([crossed(corpus="one", family="f"), crossed(seed=1, corpus="two", family="f")])
    frame["family"] = frame["config"].isin(["c0", "c1"]).map({True: "f", False: "g"})
    roles = Roles("config", "image", "corpus", "family")
    said = report(correlate(frame, ["mse"], ["bleu"], roles), roles)
    for phrase in ("10 units (config)", "12 × image", "0 of 120 cells", "Leaving one family out", "corpus two"):
        assert phrase in said
    for phrase in ("Between and within", "Crossed mixed model", "random effects"):
        assert phrase in said
