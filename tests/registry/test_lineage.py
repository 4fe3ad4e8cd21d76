"""Lineage against what was put in: every way back, every way to name a thing, and what is said of wrong names."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import event
from typer.testing import CliRunner

from palimpsest import app
from registry.lineage.changes import changed_since, explain, nearest_places
from registry.lineage.ids import trace
from registry.lineage.text import formatted
from registry.store.items import Execution, Finding, ids_of
from registry.store.keys import digest, item_key, item_seed

from .conftest import BEGAN, CHECKPOINT


def way(node) -> list[str]:
    """The kinds and degradations on the way back, where every item has one parent kind."""
    found = [f"{node.kind} {node.place.degradation or ''}".strip()]
    return found + (way(node.parents[0]) if node.parents else [])


def test_a_measurement_leads_back_to_the_original(lineage):
    key = lineage.keys["fidelity.pixel", "s1", "blur", "as-is"]
    found = trace(lineage.engine, f"{key[:10]}:mse@region")
    assert [(n.metric, n.region, n.layer, n.value) for n in found.numbers] == [("mse", "region", None, 0.5)]
    assert way(found.item) == ["fidelity.pixel blur", "repainted blur", "degraded blur", "original"]
    repainted = found.item.parents[0]
    assert repainted.key == lineage.keys["repainted", "s1", "blur", "as-is"]
    assert repainted.own == {"prompt": "a cat", "model": {"adapter": "identity"}}, "picture and mask are inherited"
    assert repainted.seed == item_seed(repainted.key)
    assert (repainted.run.stage, repainted.run.device, repainted.run.started_at) == ("inpaint@as-is", "cpu", BEGAN)
    assert repainted.parents[0].parents[0].references == ("a cat of s1", "a cat")


def test_layers_are_numbers_of_their_own(lineage):
    found = trace(lineage.engine, lineage.keys["fidelity.pixel", "s0", "blur", "as-is"] + ":tvd")
    assert [(n.layer, n.value) for n in found.numbers] == [(0, 0.0), (1, 0.25)]


@pytest.mark.parametrize("degradation", ["black", "blur"])
@pytest.mark.parametrize("inpainter", ["telea", "as-is"])
def test_a_cell_leads_back_through_itself(lineage, degradation, inpainter):
    """Scores are shared by all cells, and telea's picture by both degradations; each still sees its own way back."""
    found = trace(lineage.engine, f"scenes/{degradation}/{inpainter}/blip/cider")
    assert way(found.example.item) == [
        f"quality.lexical {degradation}", f"caption {degradation}", f"repainted {degradation}",
        f"degraded {degradation}", "original",
    ]  # fmt: skip
    caption = found.example.item.parents[0]
    assert caption.place.inpainter == caption.parents[0].place.inpainter == inpainter
    assert found.example.item.places == 4
    assert [(m.kind, m.mean, m.items) for m in found.means] == [("quality.lexical", 0.25, 2)]
    assert found.items == {"quality.lexical": 2}


def test_a_cell_sums_up_its_items(lineage):
    found = trace(lineage.engine, "toy:scenes/none/none/blip")
    assert (found.items, found.failed) == ({"caption": 2, "quality.lexical": 2}, 0)
    assert {run.stage: items for run, items in found.runs} == {"caption@blip": 2, "quality@lexical": 2}
    assert {"adapter": "blip", "checkpoint": CHECKPOINT} in found.models
    assert found.commits == ["c0ffee" * 6 + "beef"]
    assert found.example.item.caption == "a cat in s0"
    whole = trace(lineage.engine, "scenes/none/none/blip/cider").means
    assert [(m.kind, m.mean, m.items) for m in whole] == [("quality.lexical", 0.5, 2), (None, 0.75, 2)]
    assert trace(lineage.engine, "scenes/blur/telea/none/mse@whole").means[0].mean == 0.125


def test_a_stage_is_named_like_in_dvc(lineage):
    found = trace(lineage.engine, "inpaint@telea")
    assert (found.items, found.models) == ({"repainted": 2}, ({"adapter": "telea", "radius": 3},))
    assert way(found.example.item) == ["repainted black", "degraded black", "original"]


def test_files_are_named_by_what_is_in_them(lineage, tmp_path, monkeypatch):
    picture = tmp_path / "any.png"
    picture.write_bytes(b"s0 telea")
    assert trace(lineage.engine, str(picture)).item.key == lineage.keys["repainted", "s0", "black", "telea"]
    keys = [lineage.keys["caption", s, "blur", "telea", "blip"] for s in ("s0", "s1")]
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "dvc.lock").write_text("stages: {caption@blip: {cmd: python, outs: [{path: out}]}}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out/scenes").mkdir(parents=True)
    pq.write_table(pa.table({"key": keys}), tmp_path / "out/scenes/part-00.parquet")
    for path in ("out", "out/scenes", tmp_path / "out", "out/scenes/part-00.parquet", "."):
        found = trace(lineage.engine, str(path))
        assert (found.items, found.example.item.key) == ({"caption": 2}, keys[0])


def test_an_item_that_stands_nowhere_is_traced_all_the_same(lineage_again):
    """As before the first index: of several parents one is followed, the others are counted."""
    parents = tuple(lineage_again.keys["repainted", "s0", d, "as-is"] for d in ("black", "blur"))
    odd = Finding(item_key("odd", {}), "odd", {}, parents, reason="OSError: broken")
    lineage_again.store.remember(digest(b"degrade")[:32], [odd])
    found = trace(lineage_again.engine, odd.key).item
    assert (found.place, found.places, found.status, found.reason) == (None, 0, "failed", "OSError: broken")
    assert [(p.kind, p.alike) for p in found.parents] == [("repainted", 1)]
    assert "at no place of a study" in formatted(trace(lineage_again.engine, odd.key))


def test_equal_ancestors_are_printed_once(lineage_again):
    parents = lineage_again.keys["degraded", "s0", "blur"], lineage_again.keys["caption", "s0", "blur", "as-is", "blip"]
    both = Finding(item_key("both", {}), "both", {}, parents, value={})
    lineage_again.store.remember(digest(b"degrade")[:32], [both])
    lines = formatted(trace(lineage_again.engine, both.key)).splitlines()
    degraded = [line.strip(" │├└─") for line in lines if parents[0][:12] in line]
    assert len(degraded) == 2
    assert degraded[1] == f"degraded {parents[0][:12]} (above)"
    assert sum("original" in line for line in lines) == 1


def test_what_models_say_has_no_power_over_the_terminal(lineage_again):
    evil = Finding(item_key("caption", {"x": 1}), "caption", {"x": 1}, value={"caption": "a\x1b[2J\nb"})
    lineage_again.store.remember(digest(b"degrade")[:32], [evil])
    assert 'says "a\\u001b[2J\\nb"' in formatted(trace(lineage_again.engine, evil.key))


def test_few_queries_whatever_is_asked(lineage):
    asked = []
    event.listen(lineage.engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    trace(lineage.engine, lineage.keys["quality.lexical", "s0", "blur", "telea", "blip"])
    assert len(asked) <= 20


@pytest.mark.parametrize(
    ("id", "sentence"),
    [
        ("scenes/blur/telae/blip", "did you mean 'scenes/blur/telea/blip'"),
        ("inpaint@tela", "did you mean 'inpaint@telea'"),
        ("scenes/blur/telea/blip/cidre", "did you mean 'cider'?"),
        ("0123456789abcdef" * 4, "the nearest"),
        ("", "names no item, cell, stage or file here"),
        ("z" * 300, "names no item, cell, stage or file here"),
        ("a" * 65, "looks like a key, and has 65 digits: a key is 64 hex digits in lower case"),
        ("0123ABCD", "looks like a key, and has 8 digits: a key is 64 hex digits in lower case"),
        ("0123ABCD:mse", "looks like a key"),
    ],
)
def test_wrong_names_are_met_with_the_nearest(lineage, id, sentence):
    with pytest.raises(ValueError, match="no |Nothing|looks") as error:
        trace(lineage.engine, id)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_ambiguous_names_are_met_with_the_candidates(lineage, tmp_path):
    degraded, repainted = lineage.keys["degraded", "s0", "blur"], lineage.keys["repainted", "s0", "blur", "as-is"]
    (tmp_path / "picture.png").write_bytes(b"s0 blur")
    for id in (digest(b"s0 blur"), str(tmp_path / "picture.png")):
        with pytest.raises(ValueError, match="ore than one item") as error:
            trace(lineage.engine, id)
        assert f"degraded {degraded[:12]}" in str(error.value)
        assert f"repainted {repainted[:12]}" in str(error.value)
    with pytest.raises(ValueError, match="has no measurement 'mze'; did you mean 'mse"):
        trace(lineage.engine, lineage.keys["fidelity.pixel", "s0", "blur", "as-is"] + ":mze")
    (tmp_path / "other.png").write_bytes(b"nothing of ours")
    with pytest.raises(ValueError, match=r"other.png is no output .* and no item's picture"):
        trace(lineage.engine, str(tmp_path / "other.png"))


def test_the_command_prints_a_tree_or_nested_objects(lineage, monkeypatch):
    monkeypatch.setenv("PALIMPSEST_REGISTRY", lineage.url)
    key = lineage.keys["fidelity.pixel", "s0", "blur", "as-is"]
    tree = CliRunner().invoke(app, ["trace", f"{key}:mse@whole"]).stdout
    assert tree.splitlines()[0] == "mse@whole: 0.25"
    assert f"   └─ degraded {lineage.keys['degraded', 's0', 'blur'][:12]} · scenes/s0 · blur" in tree
    nested = json.loads(CliRunner().invoke(app, ["trace", f"{key}:mse@whole", "--json"]).stdout)
    assert nested["measurements"] == [{"metric": "mse", "region": "whole", "layer": None, "value": 0.25}]
    original = nested["item"]["parents"][0]["parents"][0]["parents"][0]
    assert (original["kind"], original["sample"], original["parents"]) == ("original", "s0", [])
    assert original["run"]["git_commit"].startswith("c0ffee")
    cell = json.loads(CliRunner().invoke(app, ["trace", "scenes/blur/telea/none", "--json"]).stdout)
    assert cell["items"] == {"fidelity.pixel": 2, "repainted": 2}
    wrong = CliRunner().invoke(app, ["trace", "inpaint@tela"])
    assert (wrong.exit_code, wrong.stdout, len(wrong.stderr.splitlines())) == (2, "", 1)


@pytest.fixture
def two_runs(lineage_again, monkeypatch, tmp_path):
    """Telea's run, and another with another radius and prompt on the one sample's pictures."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    later = Execution("f" * 32, "inpaint@telea", "d" * 40, "cuda", "local", BEGAN.replace(year=2027))
    lineage_again.store.open_run(later)
    keys = []
    for prompt, degradation in (("a cat", "black"), ("a dog", "blur")):
        parts = {"picture": digest(b"s0 as it was"), "mask": digest(b"mask"), "prompt": prompt, "model": {"radius": 7}}
        parts["model"]["adapter"] = "telea"
        key = item_key("repainted", parts)
        lineage_again.store.remember(
            later.id, [Finding(key, "repainted", parts, (lineage_again.keys["degraded", "s0", degradation],), value={})]
        )
        keys.append(key)
    return digest(b"inpaint@telea")[:32], later.id, keys


def test_runs_are_explained(lineage_again, two_runs):
    first, second, _ = two_runs
    found = explain(lineage_again.engine, first[:8], second[:8])
    assert [d[:3] for d in found.differences] == [
        ("git_commit", "c0ffee" * 6 + "beef", "d" * 40),
        ("device", "cpu", "cuda"),
    ]
    assert (found.shared.items, found.shared.common) == ((2, 2), (1, 2))
    assert found.shared.parts == {"model.radius": 1}, "the nearest of the two is that with the same prompt"
    assert found.text().splitlines()[0] == 'git_commit: "c0ffeec0ffee" -> "dddddddddddd"'


def test_one_and_the_same_is_said_to_be_so(lineage):
    for id, what in ((digest(b"degrade")[:32], "run"), (lineage.keys["degraded", "s0", "blur"], "item")):
        same = explain(lineage.engine, id, id[:8])
        assert same.text() == f"Both are the same {what}."
        assert same.as_json() == {"what": f"{what}s", "differences": [], "shared": None}


def test_items_are_explained_by_what_their_ancestors_differ_in(lineage):
    """A caption's picture, as the fixture lays it: telea repaints the original, as-is leaves the degraded bytes."""
    keys = [lineage.keys["caption", "s0", "blur", inpainter, "blip"] for inpainter in ("telea", "as-is")]
    repainted = [lineage.keys["repainted", "s0", "blur", inpainter] for inpainter in ("telea", "as-is")]
    found = explain(lineage.engine, *keys).as_json()["differences"]
    assert [(d["of"], d["name"], d["a"], d["b"]) for d in found] == [
        (None, "picture", digest(b"s0 telea"), digest(b"s0 blur")),
        ("repainted", "model", {"adapter": "telea", "radius": 3}, {"adapter": "identity"}),
        ("repainted", "picture", digest(b"s0 as it was"), digest(b"s0 blur")),
    ]
    assert [end["key"] for end in found[0]["from"]] == repainted
    assert found[1]["from"] is None
    assert [end["kind"] for end in found[2]["from"]] == ["original", "degraded"]
    lines = explain(lineage.engine, *keys).text().splitlines()
    ends = " -> ".join(f"repainted {key[:12]}" for key in repainted)
    assert lines[0] == f'picture: "{digest(b"s0 telea")[:12]}" -> "{digest(b"s0 blur")[:12]}", from {ends}'
    assert lines[1] == 'repainted model: {"adapter":"telea","radius":3} -> {"adapter":"identity"}'


def test_scores_are_explained_by_captions_and_pictures(lineage):
    """What all repainted pictures of a sample share: one caption is followed, the others are counted."""
    original = lineage.keys["quality.lexical", "s0", "", "", "blip"]
    shared = lineage.keys["quality.lexical", "s0", "blur", "telea", "blip"]
    caption, picture = explain(lineage.engine, original, shared).differences
    assert (caption.a, caption.b) == ("a cat in s0", "a dog in s0")
    assert [(node.kind, node.alike) for node in caption.brought] == [("caption", 0), ("caption", 2)]
    assert (picture.of, [node.kind for node in picture.brought]) == ("caption", ["original", "repainted"])
    assert " and 2 more like it" in caption.text()


def test_items_are_compared_where_they_stand_closest(lineage):
    """Telea's picture stands for both degradations, black first by name."""
    keys = lineage.keys["repainted", "s0", "black", "telea"], lineage.keys["caption", "s0", "blur", "as-is", "blip"]
    with lineage.engine.connect() as connection:
        ids = ids_of(connection, keys)
        places = nearest_places(connection, *(ids[key] for key in keys))
    assert [(p.sample, p.degradation, p.inpainter) for p in places] == [
        ("s0", "blur", "telea"),
        ("s0", "blur", "as-is"),
    ]


def test_settings_of_runs_come_from_mlflow(lineage_again, two_runs, monkeypatch):
    logged = {two_runs[0]: {"radius": "3", "seed": "0"}, two_runs[1]: {"radius": "7", "seed": "0"}}
    monkeypatch.setattr("registry.tracking.asking.logged", logged.__getitem__)
    differences = explain(lineage_again.engine, *two_runs[:2]).differences
    assert ("settings.radius", "3", "7") in [difference[:3] for difference in differences]


def test_items_and_runs_are_not_compared_with_each_other(lineage_again, two_runs):
    with pytest.raises(ValueError, match="is a run and .* is none here; give two items, or two runs"):
        explain(lineage_again.engine, two_runs[0], two_runs[2][0])
    with pytest.raises(ValueError, match="no item or picture whose digest begins with"):
        explain(lineage_again.engine, "zz", "yy")
    items = explain(lineage_again.engine, *two_runs[2])
    assert items.as_json() == {
        "what": "items",
        "differences": [{"name": "prompt", "a": "a cat", "b": "a dog", "of": None, "from": None}],
        "shared": None,
    }


def test_causes_without_a_commit_are_those_of_the_nearest_item(lineage_again, two_runs):
    """Of the same original: the radius alone for the one, the prompt as well for the other."""
    found = changed_since(lineage_again.engine, two_runs[1], two_runs[2])
    assert [found[key] for key in two_runs[2]] == ["model.radius", "model.radius, prompt"]
    first = changed_since(lineage_again.engine, two_runs[0], [lineage_again.keys["repainted", "s0", "black", "telea"]])
    assert list(first.values()) == [None]
