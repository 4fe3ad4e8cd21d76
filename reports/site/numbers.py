"""Numbers as pages, tables and terminals show them."""

from __future__ import annotations

import math


def number(value: float, decimals: int) -> str:
    """A number as tables show it.

    >>> number(-0.12345, 3), number(math.nan, 3)
    ('−0.123', '–')
    """
    return f"{value:.{decimals}f}".replace("-", "−") if math.isfinite(value) else "–"


def signed(value: float, decimals: int) -> str:
    """A difference with its sign.

    >>> signed(-0.0123, 3), signed(0.0, 2), signed(1e-9, 2)
    ('−0.012', '±0.00', '±0.00')
    """
    text = f"{value:+.{decimals}f}"
    return text.replace("-", "−") if float(text) else f"±{abs(value):.{decimals}f}"


def percent(change: float | None) -> str:
    """A relative change with its sign.

    >>> percent(-12.34), percent(0.0), percent(None)
    ('−12.3%', '±0.0%', '')
    """
    if change is None:
        return ""
    sign = "±" if round(change, 1) == 0 else "+" if change > 0 else "−"
    return f"{sign}{abs(change):.1f}%"


def small(p: float | None) -> str:
    """A probability.

    >>> small(0.00001), small(0.0421), small(None)
    ('<.0001', '.0421', '–')
    """
    if p is None:
        return "–"
    return "<.0001" if p < 0.0001 else f"{p:.4f}".removeprefix("0")
