from __future__ import annotations

import subprocess
import sys

from models.adapters.catalogue import CATALOGUE
from models.measures import METRICS


def test_table_is_keyed_by_name_and_ranges_are_numbers() -> None:
    assert all(name == metric.name and metric.low < metric.high for name, metric in METRICS.items())


def test_directions() -> None:
    lower = {name for name, metric in METRICS.items() if not metric.higher_is_better}
    made_up = {f"{family}_hallucination" for family in ("object", "attribute", "relation")} | {"chair_i", "chair_s"}
    assert lower == {"mse", "lpips"} | made_up


def test_every_measure_is_declared() -> None:
    from models.measures.captions.chair import Chair
    from models.measures.captions.grounding import Grounding
    from models.measures.captions.lexical import Lexical
    from models.measures.captions.semantic import Semantic
    from models.measures.pictures.clap import Clap
    from models.measures.pictures.perceptual import Lpips
    from models.measures.pictures.pixel import Pixel

    semantic = [Semantic(Semantic.Settings(embedder=name, checkpoint="x")) for name in CATALOGUE["embedders"]]
    one_each = [name for measure in semantic for name in measure.METRICS]
    pictures, grounded = (*Pixel.METRICS, *Lpips.METRICS, *Clap.METRICS), (*Grounding.METRICS, *Chair.METRICS)
    assert [*pictures, *Lexical().METRICS, *one_each, *grounded] == list(METRICS)


def test_measures_import_without_heavy_libraries() -> None:
    code = """import sys, models.measures.scoring, models.embedders.simcse
import models.measures.captions.chair, models.measures.captions.grounding
heavy = {"torch", "lpips", "skimage", "transformers", "sentence_transformers", "cv2", "scipy", "pycocoevalcap"}
print(sorted(heavy & set(sys.modules)))"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
