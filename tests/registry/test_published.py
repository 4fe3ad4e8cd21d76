"""The papers' numbers: transcribed whole, kept in the registry, and held against each other.

Numbers here were typed from the paper's tables a second time, apart from the files.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text, update
from typer.testing import CliRunner

from palimpsest import app
from registry.published import listing, numbers, publish, shipped
from registry.published.checks import captions, certain_sign, fidelity, recompute
from registry.store import database, schema

ROOT = Path(__file__).resolve().parents[2]
PAPERS = shipped()
SHIPPED = [n for n in PAPERS if n.paper == "inpainting"]
RETYPED = [
    ("1", "LPIPS", "sign_flips", "0", None),
    ("2", "SD1.5-cm", "mse", "0.0246", None),
    ("2", "SD3-gc", "mse", "0.00629", None),
    ("2", "SD3-ld", "lpips", "0.143", None),
    ("3", "BLIP SD1.5-cm", "bleu_1", "0.602", -3.68),
    ("3", "BLIP SD3-ld", "sbert", "0.680", 1.19),
    ("3", "QWEN SD3-cm", "bleu_4", "0.106", -49.28),
    ("3", "QWEN SD3-ld", "meteor", "0.346", 0.29),
    ("3", "LLAVA SD2-gc", "rouge_l", "0.568", -3.90),
    ("3", "LLAVA SD3-ld", "simcse_unsup", "0.781", -1.01),
    ("3", "LLAVA Orig.", "simcse_sup", "0.826", None),
    ("4", "SD1.5-gc", "psnr", "15.99", None),
    ("4", "SD2-ld", "ssim", "0.657", None),
    ("5", "SD3-cm", "bleu", "0.642", None),
    ("5", "SD3-gc", "sbert", "0.718", None),
    ("6", "SD3-gc", "psnr", "21.87", None),
    ("7", "SD1.5-cm", "bleu_4", "0.0260", None),
    ("7", "SD2-gc", "sbert", "0.52", None),
    ("8", "SD3-cm", "mse", "3442.00", None),
    ("8", "SD3-ld", "ssim", "0.815", None),
    ("9", "BLIP SD3-ld", "simcse_sup", "0.413", None),
    ("9", "QWEN SD3-ld", "bleu", "0.093", None),
]


@pytest.fixture
def engine(registry_url):
    return database.connect(registry_url)


@pytest.mark.parametrize(("table", "row", "metric", "printed", "change"), RETYPED)
def test_numbers_are_the_papers(table, row, metric, printed, change):
    [found] = [n for n in SHIPPED if (n.paper, n.table, n.row, n.metric) == ("inpainting", table, row, metric)]
    assert (found.text, found.change) == (printed, change)


def test_tables_are_whole():
    """Configurations × metrics; table 3 has three captioners' originals and nine percentages a repainting."""
    sizes = {"2": 9 * 4, "3": 3 * 10 * 9, "4": 9 * 4, "5": 9 * 3, "6": 6 * 4, "7": 6 * 7, "8": 9 * 4, "9": 2 * 9 * 6}
    assert Counter(n.table for n in SHIPPED) == {"1": 3, **sizes}
    assert Counter(n.table for n in SHIPPED if n.change is not None) == {"3": 3 * 9 * 9}


def test_mse_of_rocov2_is_on_the_scale_of_bytes():
    assert {(n.corpus, n.unit) for n in SHIPPED if n.metric == "mse"} == {
        *((corpus, "0-1") for corpus in ("flickr", "refcocog", "truce")),
        ("rocov2", "0-255"),
    }


@pytest.mark.parametrize(
    ("axis", "section"),
    [("corpus", "corpora"), ("degradation", "degradations"), ("inpainter", "inpainters"), ("captioner", "captioners")],
)
def test_names_are_those_of_the_papers_study(axis, section):
    study = yaml.safe_load((ROOT / "studies/inpainting.yaml").read_text())
    assert {getattr(n, axis) for n in SHIPPED} - {None} <= set(study[section])


def test_labels_and_axes_say_the_same():
    inpainters, degradations = {"SD1.5": "sd15", "SD2": "sd2", "SD3": "sd3"}, ("cm", "gc", "ld")
    ours = dict(zip(degradations, ("centre-mask", "blur", "lowdim"), strict=True))
    for n in SHIPPED:
        model, _, mask = n.row.split()[-1].partition("-")
        assert (n.inpainter, n.degradation) == (inpainters.get(model), ours.get(mask))
        assert (n.captioner or "").startswith(n.row.split()[0].lower() if " " in n.row else "")


def writes(connection) -> str | int | None:
    """Something that stays the same while nothing is written."""
    if connection.dialect.name == "sqlite":
        return connection.connection.dbapi_connection.total_changes
    return connection.scalar(text("SELECT pg_current_xact_id_if_assigned()::text"))


def test_publishing_again_writes_nothing_and_repairs_what_differs(engine):
    numbers(engine)
    rows = select(schema.Published.id, schema.Published.value).order_by(schema.Published.id)
    with engine.begin() as connection:
        first = connection.execute(rows).all()
        written = writes(connection)
        assert publish(connection) == PAPERS
        assert writes(connection) == written
        connection.execute(update(schema.Published).where(schema.Published.id == first[5].id).values(value=7.0))
        publish(connection)
        assert [row.value for row in connection.execute(rows)] == [n.value for n in PAPERS]


def test_every_percentage_but_one_follows_from_its_value():
    """By numpy and whole columns: the changes that the printed values allow at most and at least."""
    half = 0.0005
    wrong = []
    for captioner in ("blip", "qwen2_5-vl", "llava-onevision"):
        for metric in {n.metric for n in SHIPPED if n.table == "3"}:
            column = [n for n in SHIPPED if (n.table, n.captioner, n.metric) == ("3", captioner, metric)]
            values = np.array([n.value for n in column])
            printed = np.array([n.change for n in column[:-1]], float)
            low, high = (100 * ((values[:-1] + s * half) / (values[-1] - s * half) - 1) for s in (-1, 1))
            outside = (printed < low - 0.0050001) | (printed > high + 0.0050001)
            wrong += [(column[i].row, metric) for i in np.flatnonzero(outside)]
    assert wrong == [("BLIP SD2-cm", "bleu_3")]
    assert [each.where for each in recompute(SHIPPED) if each.kind == "percentages" and not each.agrees] == [
        "Table 3, BLIP SD2-cm, bleu_3"
    ]


def test_signs_are_numpys_and_llava_turns_them():
    """r of MSE on Flickr is negative for everyone; without SD3-cm, LLaVA's BLEU-1 goes up with it (r = 0.103)."""
    mse = fidelity(SHIPPED, "flickr")["mse"]
    out = ("sd3", "centre-mask")
    for captioner, columns in captions(SHIPPED, "flickr").items():
        for metric, y in columns.items():
            r = np.corrcoef([mse[c].value for c in mse], [y[c].value for c in mse])[0, 1]
            assert certain_sign(mse, y) == np.sign(r) == -1
            left = [c for c in mse if c != out]
            r = np.corrcoef([mse[c].value for c in left], [y[c].value for c in left])[0, 1]
            assert certain_sign(mse, y, out) in (0, np.sign(r))
            if (captioner, metric) == ("llava-onevision", "bleu_1"):
                assert r == pytest.approx(0.103, abs=5e-4)
                assert certain_sign(mse, y, out) == 1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_rounding_turns_a_certain_sign(data):
    corpus = data.draw(st.sampled_from(["flickr", "refcocog", "truce", "rocov2"]))
    columns = captions(SHIPPED, corpus)
    x = data.draw(st.sampled_from(list(fidelity(SHIPPED, corpus).values())))
    y = data.draw(st.sampled_from(list(columns[data.draw(st.sampled_from(list(columns)))].values())))
    out = data.draw(st.sampled_from([None, *x]))
    inside = st.floats(-1, 1)
    pairs = [[column[c].value + column[c].rounding * data.draw(inside) for column in (x, y)] for c in x if c != out]
    assert np.cov(np.transpose(pairs))[0, 1] * certain_sign(x, y, out) >= 0


@pytest.mark.parametrize(
    ("table", "row", "metric", "change", "kind"),
    [
        ("3", "LLAVA SD2-gc", "meteor", {"change": -6.0}, "percentages"),
        ("8", "SD2-gc", "psnr", {"value": 16.8}, "PSNR against MSE"),
        ("1", "LPIPS", "sign_flips", {"value": 4.0}, "sign flips"),
        ("8", "SD3-gc", "mse", {"value": 9000.0}, "signs of correlations"),
        ("7", "SD1.5-cm", "bleu_1", {"value": 0.4}, "best values"),
    ],
)
def test_an_error_in_a_table_is_found(table, row, metric, change, kind):
    changed = [replace(n, **change) if (n.table, n.row, n.metric) == (table, row, metric) else n for n in SHIPPED]
    before, after = (Counter(c.kind for c in recompute(given) if not c.agrees) for given in (SHIPPED, changed))
    assert after[kind] > before[kind]


def test_listing_prints_every_number_as_the_paper_does():
    shown = listing(PAPERS).split()
    assert not Counter(n.text for n in PAPERS) - Counter(shown)
    assert not Counter(f"({n.change:+.2f})" for n in SHIPPED if n.change is not None) - Counter(shown)
    assert not Counter(f"({n.change_text})" for n in PAPERS if n.change is not None) - Counter(shown)


@pytest.fixture
def published(registry_url, monkeypatch):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", registry_url)
    return lambda *options: CliRunner().invoke(app, ["registry", "published", *options])


def test_numbers_are_listed(published):
    done = published("--table", "8", "--metric", "mse")
    assert done.stdout.splitlines()[:3] == [
        "inpainting, table 8: rocov2, inside the mask",
        "            mse [0-255]",
        "  SD1.5-cm      2217.34",
    ]
    found = json.loads(published("--corpus", "truce", "--metric", "sbert", "--json").stdout)
    assert [each["value"] for each in found] == [0.47, 0.48, 0.49, 0.52, 0.51, 0.50]


def test_contradictions_are_told_in_a_sentence_each(published):
    lines = published("--check").stdout.splitlines()
    told = lines[: lines.index("")]
    assert told[0] == (
        "Table 3, BLIP SD2-cm, bleu_3: the paper prints -4.47 %; its own numbers give -4.79 % (0.298 after 0.313)."
    )
    checks = json.loads(published("--check", "--json").stdout)
    assert len(told) == sum(not each["agrees"] for each in checks)
    assert f"{len(checks)} statements could be checked; {len(told)} disagree beyond rounding." in lines


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--corpus", "rocov3"], "Did you mean 'rocov2'?"),
        (["--paper", "inpainting", "--table", "5", "--metric", "psnr"], "There are: bleu, meteor, sbert."),
        (["--paper", "ricoh"], "Did you mean 'rico'?"),
        (["--check", "--table", "3"], "leave out --paper, --table"),
    ],
)
def test_bad_wishes_end_in_one_sentence(published, options, said):
    done = published(*options)
    assert done.exit_code == 2
    assert said in done.stderr
