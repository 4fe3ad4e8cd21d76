"""ScaleCap against its own numbers: averages, numbers that several tables print, and what the text says of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from registry.published import Number
from registry.published.columns import EXACTLY, Check
from registry.published.tables import ahead, averages, cells, printed_twice, standing

LARGE, SMALL, INTERN = "Qwen2.5-7B + Qwen2.5-ViT", "Qwen2.5-3B + Qwen2.5-ViT", "InternLM2.5-7B + CLIP-ViT-L"
BEST = "calls it consistently best on all 11 benchmarks (section 1)"
GOLDEN = "says that golden sentences lessen hallucination most (section 4.3)"

SAID: tuple[tuple[str, str, tuple[str, ...] | None, str], ...] = (
    *(("1", f"{model}, ScaleCap-450k", among, BEST)
      for model in (LARGE, SMALL, INTERN)
      for among in [tuple(f"{model}, {other}" for other in ("Vanilla", "ShareGPT4V-450k", "DenseFusion-450k"))]),
    ("2", "ScaleCap, Qwen2-VL-7B", None, "says that it outperforms on all benchmarks (section 4.1)"),
    ("3", "ScaleCap", None, "says that both kinds of instructions are needed (section 4.3)"),
    ("4", "ScaleCap (GPT4o + GPT4o)", None, "says that it outperforms all proprietary models (section 4.1)"),
    ("7", "LLaVA-v1.5 7B + Golden Sentence",
     ("LLaVA-v1.5 7B", "LLaVA-v1.5 7B + VCD", "LLaVA-v1.5 7B + OPERA"), GOLDEN),
    ("7", "Qwen2-VL 7B + Golden Sentence", ("Qwen2-VL 7B",), GOLDEN),
)  # fmt: skip
"""Table, the better row, rows it is said to be better than (all where None), what is said."""

GAINS = (
    ("infovqa", "ShareGPT4V-450k", 4.3, 1),
    ("infovqa", "DenseFusion-450k", 2.4, 1),
    ("mmvet", "ShareGPT4V-450k", 7.0, 0),
    ("mmvet", "DenseFusion-450k", 3.5, 1),
)
"""Gains of ScaleCap-450k in table 1's first part as section 3.1.1 words them: metric, over what, points, decimals."""


def check(numbers: Sequence[Number]) -> Iterator[Check]:
    """Everything that the numbers of ScaleCap let one recompute."""
    yield from averages(numbers, "average")
    yield from printed_twice(numbers)
    yield from gains_in_words(numbers)
    for table, winner, others, says in SAID:
        yield from ahead(numbers, "comparisons", table, winner, others, says)


def gains_in_words(numbers: Sequence[Number]) -> Iterator[Check]:
    """What the text calls a gain is the difference of two values of table 1."""
    printed = cells(numbers)
    for metric, other, points, decimals in GAINS:
        n, base = printed["1", f"{LARGE}, ScaleCap-450k", metric], printed["1", f"{LARGE}, {other}", metric]
        slack = n.rounding + base.rounding + 0.5 * 10**-decimals + EXACTLY
        given = f"{n.value - base.value:+.1f} ({n.text} after {base.text})"
        says = f"says {points:+.{decimals}f} over {other} (section 3.1.1)"
        agrees = abs(n.value - base.value - points) <= slack
        yield Check("gains as the text has them", standing(n), says, given, agrees)
