"""What a thinking model says before it answers is no part of its reply."""

from __future__ import annotations

OPEN, CLOSE = "<think>", "</think>"


def answered(text: str, thinking: bool = False) -> str:
    """The reply behind a model's thoughts; ``thinking``: the prompt's template has opened these already.

    Raises
    ------
    ValueError
        The reply was cut off before the thoughts ended.

    >>> answered("<think>A dog? No, it climbs.</think> A cat."), answered("it climbs.</think>A cat.")
    ('A cat.', 'A cat.')
    >>> answered("<think>A dog? It has four")
    Traceback (most recent call last):
        ...
    ValueError: the reply was cut off while the model was still thinking: raise `max_tokens`, or turn its thinking \
off, as `enable_thinking: false` does in many chat templates
    """
    _, closed, reply = text.rpartition(CLOSE)
    if OPEN in reply or (thinking and not closed):
        raise ValueError(
            "the reply was cut off while the model was still thinking: raise `max_tokens`, or turn its thinking off, "
            "as `enable_thinking: false` does in many chat templates"
        )
    return reply.strip()
