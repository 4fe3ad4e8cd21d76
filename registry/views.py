"""The views: what the registry holds, one row a number, a caption or a picture, in words that stay.

``v_measurements``, ``v_captions`` and ``v_images`` are made by a migration in SQLite and in PostgreSQL, so that pandas,
DuckDB, Datasette and plain SQL read the registry without knowing its tables::

    SELECT inpainter, avg(value) FROM v_measurements
    WHERE study = 'default' AND metric = 'lpips' AND region = 'region' GROUP BY inpainter

A column may be added; none is renamed or taken away, nor changes its meaning. Every row belongs to one study: an item
that stands in two studies, or at two places of one, is in two rows. What does not apply is null: originals have no
degradation, caption metrics no region, most metrics no layer.
"""

from __future__ import annotations

from registry.store.axes import AXES

AXIS = {
    "degradation": "the name of what was done to the picture; null for originals",
    "inpainter": "the name of the model that repainted it; null where none did",
    "captioner": "the name of the model that described it; null where none did",
    "recaptioner": "the name of the method that rewrote the description; null where none did",
    "painter": "the name of the model that painted it from words; null where none did",
    "training": "the name of the training whose model made it; null where none did",
}
WHERE = {
    "study": "the study's name in params.yaml",
    "corpus": "the corpus' name in the study",
    "sample": "the sample's id in its corpus",
    "split": "the split that the corpus puts it in",
    **{axis: AXIS.get(axis, f"the name of the {axis}; null where there is none") for axis in AXES},
}
ORIGIN = {
    "item": "the item's key: `palimpsest trace` shows where it came from",
    "run": "the id of the execution that computed it, in the registry and in MLflow",
    "stage": "the DVC stage of that execution",
    "git_commit": "its git commit, with + behind it where files differed from it",
    "device": "what it was computed on",
}
STATE = {
    "status": "ok or failed",
    "reason": "why it failed; else null",
}
MADE = {
    "model": "JSON: what made it, with adapter, version, checkpoint or its digest, and settings; null where none did",
    "prompt": "what the model was told; null where it takes no words",
}
VIEWS = {
    "v_measurements": {
        **WHERE,
        "kind": "the stage and entry that measured, such as quality.lexical",
        "metric": "the metric's name, such as lpips or bleu_4",
        "region": "region (inside the mask), outside or whole; null where a metric has no region",
        "layer": "the encoder's layer, from 0; null where a metric has no layer",
        "value": "the number; null where it is undefined",
        **ORIGIN,
        "model": "JSON: the measure, with adapter, version, checkpoint or its digest, and settings",
    },
    "v_captions": {
        **WHERE,
        "caption": "what was said, by a captioner or, where a recaptioner is named, by that; null where it failed",
        **STATE,
        **ORIGIN,
        "model": "JSON: what made it, with adapter, version, checkpoint or its digest, and settings; or the method "
        "that rewrote it, with its models",
        "prompt": "what the model was told; null where it takes no words, and of a rewritten caption",
    },
    "v_images": {
        **WHERE,
        "kind": "original, degraded or repainted",
        "object": "the sha256 of its PNG, its address in the object store",
        "width": "of the original, in pixels",
        "height": "of the original, in pixels",
        **STATE,
        **ORIGIN,
        **MADE,
    },
}
"""The columns of each view, in their order, and what they mean."""
