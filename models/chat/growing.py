"""A cache of keys and values in which those of a new token are written behind the others."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

ROOM = 64
"""For how many tokens more there is room where memory is taken."""


class Growing(DynamicLayer):
    """The keys and values (rows, heads, tokens, D) of a layer; transformers' own copies all of them for every token."""

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """All keys and values, the new ones last."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None and self.values is not None
        self.keys, self.values = behind(self.keys, key_states), behind(self.values, value_states)
        return self.keys, self.values


def behind(some: Tensor, more: Tensor) -> Tensor:
    """Tokens and ``more`` behind them: in the same memory where there is room between the heads, else in another.

    >>> import torch
    >>> first = behind(torch.zeros(0), torch.zeros(2, 3, 5, 4))
    >>> second = behind(first, torch.ones(2, 3, 1, 4))
    >>> second.shape, second.data_ptr() == first.data_ptr()
    (torch.Size([2, 3, 6, 4]), True)
    """
    rows, heads, count, width = more.shape
    begin = some.shape[-2] if some.ndim == 4 else 0
    end = begin + count
    if begin and some.stride(1) >= end * width:
        grown = some.as_strided((rows, heads, end, width), some.stride())
    else:
        grown = more.new_empty(rows, heads, end + ROOM, width)[:, :, :end]
        if begin:
            grown[:, :, :begin] = some
    grown[:, :, begin:] = more
    return grown


def cached(model: Any) -> dict[str, Any]:
    """Arguments of ``generate`` by which a model's layers grow so; none where some keep something else, or where its
    checkpoint says what keeps them."""
    said = model.generation_config.cache_implementation or model.generation_config.use_cache is False
    if said or model.config.is_encoder_decoder or not model._supports_default_dynamic_cache():
        return {}
    cache = DynamicCache(config=model.config)
    if any(type(layer) is not DynamicLayer for layer in cache.layers):
        return {}
    cache.layers = [Growing() for _ in cache.layers]
    return {"past_key_values": cache}
