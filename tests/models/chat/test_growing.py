"""Keys and values that grow where they are, against transformers' layer, which copies them."""

from __future__ import annotations

from unittest.mock import patch

import torch
from transformers import MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM
from transformers.cache_utils import DynamicLayer

from models.chat.growing import ROOM, Growing, cached


def test_a_layer_holds_what_that_of_transformers_holds():
    """Beams choose rows between two tokens; and there are more tokens than there was room for at first."""
    ours, theirs, draws = Growing(), DynamicLayer(), torch.Generator().manual_seed(0)
    for step, tokens in enumerate((7, *(1,) * (2 * ROOM))):
        new = [torch.randn(3, 2, tokens, 4, generator=draws) for _ in range(2)]
        for mine, right in zip(ours.update(*new), theirs.update(*new), strict=True):
            assert torch.equal(mine, right)
        if step % 10 == 9:
            for layer in (ours, theirs):
                layer.reorder_cache(torch.tensor([2, 0, 0]))


def test_a_new_token_moves_no_other():
    layer, one = Growing(), torch.ones(2, 2, 1, 4)
    layer.update(one, one)
    places = {layer.update(one, one)[0].data_ptr() for _ in range(ROOM)}
    assert len(places) == 1


def test_a_model_that_keeps_a_window_of_tokens_or_says_how_it_keeps_them_has_its_own():
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    assert cached(MistralForCausalLM(MistralConfig(**sizes, num_key_value_heads=1, sliding_window=4))) == {}
    model = Qwen2ForCausalLM(Qwen2Config(**sizes, num_key_value_heads=1))
    assert cached(model)["past_key_values"].layers
    for said in ({"cache_implementation": "static"}, {"use_cache": False}):
        with patch.multiple(model.generation_config, **said):
            assert cached(model) == {}
