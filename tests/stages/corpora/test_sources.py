"""What ``palimpsest corpora`` knows of each corpus and finds on a disk."""

from __future__ import annotations

import pytest
import yaml

from stages.corpora import CATALOGUE, corpus_class, open_corpus
from stages.corpora.sources import expanded, missing, survey
from tests.stages.corpora.protocol import CORPORA


def test_every_corpus_is_held_to_the_protocol():
    assert {name: f"{kind.__module__}:{kind.__qualname__}" for name, kind in CORPORA.items()} == CATALOGUE


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_corpus_says_where_it_comes_from_and_what_it_needs(name):
    kind = corpus_class(name)
    assert all((kind.SOURCE.about, kind.SOURCE.where, kind.SOURCE.licence))
    settings = dict.fromkeys(kind.Settings.model_fields)
    for pattern in kind.SOURCE.files:
        expanded(pattern, settings)


def test_what_is_missing_is_named_as_the_settings_name_it(tmp_path):
    corpus = open_corpus("dci", {"path": tmp_path, "annotations": "complete"})
    assert missing(corpus) == ["complete", "photos"]
    (tmp_path / "complete").mkdir()
    (tmp_path / "photos").mkdir()
    assert missing(corpus) == []
    assert missing(open_corpus("scenes", {"path": "nowhere"})) == []
    assert missing(open_corpus("rocov2", {"path": tmp_path})) == ["*_captions.csv", "**/*.jpg"]
    (tmp_path / "test_captions.csv").touch()
    (tmp_path / "test_images").mkdir()
    (tmp_path / "test_images/a.jpg").touch()
    assert missing(open_corpus("rocov2", {"path": tmp_path})) == []
    valid = missing(open_corpus("rocov2", {"path": tmp_path, "splits": ["valid"]}))
    assert valid == ["valid_captions.csv", "valid*/**/*.jpg"]


def test_studies_say_where_to_look(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "xrays").mkdir()
    here = {"corpora": {"mine": {"adapter": "indiana", "path": "xrays", "region": {"kind": "centre"}}}}
    there = {"corpora": {"theirs": {"adapter": "indiana", "path": "gone", "projections": "Frontal"}, "odd": None}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(here))
    (tmp_path / "studies/b.yaml").write_text(yaml.safe_dump(there))
    (tmp_path / "studies/c.yaml").write_text("a list")
    (found,) = survey(["indiana"])
    mine, theirs = found["uses"]
    lacks = ["indiana_reports.csv", "indiana_projections.csv", "images/images_normalized"]
    assert mine == {"study": "params.yaml", "entry": "mine", "path": "xrays", "missing": lacks, "error": None}
    assert found["needs"] == lacks
    assert 'no setting of corpus indiana "projections"; did you mean "projection"' in theirs["error"]
    (elsewhere,) = survey(["indiana"], tmp_path / "xrays")
    assert [(use["study"], use["missing"]) for use in elsewhere["uses"]] == [(None, lacks)]
    assert [each["corpus"] for each in survey([])] == sorted(CATALOGUE)
    (tmp_path / "studies/c.yaml").write_text("{")
    with pytest.raises(ValueError, match="studies/c.yaml is no valid YAML"):
        survey([])
