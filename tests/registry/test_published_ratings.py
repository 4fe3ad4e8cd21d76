"""Correlations with published human ratings, computed again from the releases; DSG's paper prints 0.463 itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from registry.published.ratings import rated
from reports.statistics.agreement import agreement
from tests.models.measures.prompted.ratings import SCORES, pairs

DATA = Path(__file__).resolve().parents[2] / "../shared/data"


def shown(source):
    return [(one.spearman, one.low, one.high, one.n, one.clusters) for one in rated() if one.source.startswith(source)]


def rounded(found, clusters, what):
    return (*(round(end, 3) for end in found[:3]), found.n, f"{len(set(clusters))} {what}")


@pytest.mark.skipif(not (DATA / "dsg").exists(), reason="DSG's release is not in ../shared/data")
def test_dsg_and_its_answers_without_dependencies():
    some = [pairs(DATA / "dsg", SCORES[name]) for name in list(SCORES)[:2]]
    found = [rounded(agreement(s, r, np.array(prompts)), prompts, "prompts") for s, r, prompts in some]
    assert found == shown("DSG")


@pytest.mark.skipif(not (DATA / "faithscore").exists(), reason="FaithScore's labels are not in ../shared/data")
def test_length_and_number_of_facts_beside_faithscores_labels():
    lines = [json.loads(line) for line in (DATA / "faithscore/annotation.jsonl").read_text().splitlines()]
    facts = [list(one["stage 2"].values()) if isinstance(one["stage 2"], dict) else [] for one in lines]
    pictures = np.array([one["id"] for one in lines])
    count, words = np.array([len(some) for some in facts], float), np.array([len(o["answer"].split()) for o in lines])
    share = np.array([np.mean(some) if some else np.nan for some in facts])
    asked = ((count, share), (words.astype(float), share), (words.astype(float), share * count))
    assert [rounded(agreement(x, y, pictures), pictures, "pictures") for x, y in asked] == shown("FaithScore")
