"""Contrast of the page's colours, by the WCAG formula (https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio)."""

from __future__ import annotations

import re

import pytest

from reports.site.pages import SITE

LIGHT, DARK = (
    dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block))
    for block in (SITE / "style.css").read_text().split("prefers-color-scheme: dark")[:2]
)


def luminance(colour: str) -> float:
    levels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in levels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_reaches_aa_and_marks_reach_three(theme: dict[str, str]) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for ink, ground in (("ink", "paper"), ("quiet", "paper"), ("quiet", "raised"), ("accent", "paper")):
        assert contrast(theme[ink], theme[ground]) >= 4.5, (ink, ground)
    for ground in ("zero", "positive", "negative"):
        assert contrast(theme["ink"], theme[ground]) >= 4.5, ground
    for number in range(8):
        assert contrast(theme[f"c{number}"], theme["paper"]) >= 3, number
