from __future__ import annotations

import subprocess
import sys
from collections import Counter

from models.adapters import catalogue
from models.measures.captions.lengths import LIMITS
from models.measures.declared import declared
from models.measures.embeddings import drift, projection
from registry.store.schema import Metric


def test_table_is_keyed_by_name_and_ranges_are_numbers() -> None:
    assert all(name == metric.name and metric.low < metric.high for name, metric in declared().items())


def test_each_is_declared_once_and_has_a_place_of_its_own_among_those_of_its_table() -> None:
    roles = ("measures", "prompted", "benchmarks")
    classes = [catalogue.target(role, name) for role in roles for name in catalogue.CATALOGUE[role]]
    metrics = [*(one for kind in classes for one in kind.METRICS), *drift.METRICS, *projection.METRICS]
    for names in (Counter(metric.name for metric in metrics), Counter(metric.position for metric in metrics)):
        assert names.most_common(1)[0][1] == 1
    tables = [metric.about for metric in declared().values()]
    assert list(dict.fromkeys(tables)) == ["pictures", "captions", "grounding", "attention", "other", "answers"]
    assert tables == sorted(tables, key=list(dict.fromkeys(tables)).index)


def test_directions() -> None:
    lower = {name for name, metric in declared().items() if metric.higher_is_better is False}
    made_up = {f"{family}_hallucination" for family in ("object", "attribute", "relation")} | {"chair_i", "chair_s"}
    made_up |= {"amber_chair", "amber_hal", "amber_cog"}
    judges = ("caption_qa", "capsbench", "capeval", "faithscore", "capture", "comprecap")
    made_up |= {f"{judged}_unreadable" for judged in (*judges, "pope", "count", "choice", "prism")}
    cut = {f"cut_{limit}" for limit in LIMITS}
    assert lower == {"mse", "lpips", "reconstruction_lpips"} | made_up | cut


def test_every_embedder_has_a_metric() -> None:
    from models.measures.captions.semantic import Semantic

    made = [Semantic(Semantic.Settings(embedder=name, checkpoint="x")) for name in catalogue.CATALOGUE["embedders"]]
    assert tuple(metric for measure in made for metric in measure.metrics) == Semantic.METRICS


def test_the_registry_has_room_for_what_is_declared() -> None:
    columns = Metric.__table__.columns
    for metric in declared().values():
        row = metric.record()
        assert set(row) == set(columns.keys())
        for name, value in row.items():
            length = getattr(columns[name].type, "length", None)
            assert not length or len(value) <= length, (metric.name, name)
            assert value is not None or columns[name].nullable


def test_measures_import_without_heavy_libraries() -> None:
    code = """import sys, models.measures.scoring, models.embedders.simcse
import models.measures.declared
models.measures.declared.declared()
heavy = {"torch", "lpips", "skimage", "transformers", "sentence_transformers", "cv2", "scipy", "pycocoevalcap"}
print(sorted(heavy & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
