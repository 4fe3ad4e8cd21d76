"""Entries with their adapters."""

import torch

from stages.engine.entries import Adapted, Variants

VIT = {"adapter": "vit", "checkpoint": "models/pocket/weights/vit"}


def test_float32_is_float32_once_a_model_is_loaded():
    """torch lets convolutions on a GPU round to ten bits of mantissa by default."""
    with torch.backends.cudnn.flags(allow_tf32=True):
        Adapted("vit", VIT, "encoders").load()
        assert not torch.backends.cudnn.allow_tf32


def test_one_variant_is_loaded_at_a_time_and_kept_while_it_is_asked_for():
    models = Variants("telea", {"adapter": "telea", "batch_size": 4, "sweep": {"radius": [2, 5]}}, "inpainters")
    assert models.names == ["telea/radius=2", "telea/radius=5"] and models.batch_size == 4
    first = models.ready("telea/radius=2")
    assert models.ready("telea/radius=2") is first and first.adapter.settings.radius == 2
    second = models.ready("telea/radius=5")
    assert second.adapter.settings.radius == 5 and models.ready("telea/radius=2") is not first
    planned = models.plan(lambda model: iter([("scenes/part-00.parquet", [model.name])]))
    assert dict(planned) == {f"radius={r}/scenes/part-00.parquet": [f"telea/radius={r}"] for r in (2, 5)}
