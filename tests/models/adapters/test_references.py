"""Entries that refer to a model of ``models``, against entries that describe it in place."""

from __future__ import annotations

import pytest

from models.adapters.catalogue import build
from models.adapters.references import resolved

MODELS = {
    "qwen": {"adapter": "qwen2.5-vl", "checkpoint": "models/pocket/weights/qwen2.5-vl", "max_pixels": 4096},
    "judge": {"adapter": "openai-compatible", "endpoint": "http://there/v1", "model": "big", "revision": "1"},
}


@pytest.mark.parametrize(
    ("referring", "in_place"),
    [
        ({"model": "qwen", "beams": 3}, {**MODELS["qwen"], "beams": 3}),
        ({"model": "qwen", "max_pixels": 1024, "prompt": "?"}, {**MODELS["qwen"], "max_pixels": 1024, "prompt": "?"}),
        ({"model": "judge"}, MODELS["judge"]),
        (MODELS["judge"], MODELS["judge"]),
    ],
)
def test_an_entry_that_refers_has_the_keys_of_one_in_place(referring, in_place):
    assert resolved(referring, MODELS) == in_place
    one, other = (build("captioners", "mine", entry) for entry in (resolved(referring, MODELS), in_place))
    assert one.settings == other.settings and one.identity() == other.identity()


def test_the_same_entry_is_a_chat_model():
    assert build("chat", "qwen", resolved({"model": "qwen"}, MODELS)).settings.max_pixels == 4096


def test_nothing_given_is_changed():
    entry, models = {"model": "qwen", "beams": 3}, {"qwen": dict(MODELS["qwen"])}
    resolved(entry, models)["max_pixels"] = 1
    assert (entry, models) == ({"model": "qwen", "beams": 3}, {"qwen": MODELS["qwen"]})


@pytest.mark.parametrize("name", ["qwem", ["qwen"]])
def test_an_unknown_model_is_named_with_what_is_known(name):
    with pytest.raises(ValueError, match="There is no model in `models` of params.yaml") as caught:
        resolved({"model": name}, MODELS)
    assert str(caught.value).endswith("Known: judge, qwen.")


def test_an_entry_without_any_is_left_to_the_catalogue():
    assert resolved({"beams": 3}, MODELS) == {"beams": 3}
