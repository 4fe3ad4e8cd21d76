"""Models that ``params.yaml`` names once, under ``models``, and that its other entries refer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.adapters.settings import unknown


def resolved(entry: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """An entry in which ``model``, where it stands in place of ``adapter``, is written out as ``models`` describes it.

    What the entry says itself goes before what the model says, so it has the keys of one that describes its model in
    place. Beside an ``adapter``, ``model`` is a setting of that adapter like others.

    Raises ``ValueError`` with the nearest known name where there is no such model.

    >>> models = {"qwen": {"adapter": "qwen2.5-vl", "checkpoint": "here", "max_pixels": 1000}}
    >>> resolved({"model": "qwen", "beams": 3, "max_pixels": 500}, models)
    {'adapter': 'qwen2.5-vl', 'checkpoint': 'here', 'max_pixels': 500, 'beams': 3}
    >>> resolved({"adapter": "blip", "checkpoint": "there"}, models)
    {'adapter': 'blip', 'checkpoint': 'there'}
    >>> resolved({"model": "qwem"}, models)
    Traceback (most recent call last):
        ...
    ValueError: There is no model in `models` of params.yaml "qwem"; did you mean "qwen"? Known: qwen.
    """
    settings = dict(entry)
    if "adapter" in settings or "model" not in settings:
        return settings
    name = settings.pop("model")
    if not isinstance(name, str) or name not in models:
        raise ValueError(unknown("model in `models` of params.yaml", name, models))
    return {**models[name], **settings}
