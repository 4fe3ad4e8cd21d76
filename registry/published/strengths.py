"""How strong the paper calls its correlations, against the correlations of its own tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from registry.published import Number
from registry.published.columns import APPENDIX, Check, Column, captions, fidelity, strength

WEAK, STRONG = 0.3, 0.5
"""|r| below the one is called weak, from the other on strong: our choice, for the paper gives no numbers. These are
Cohen's (1988) medium and large effects; the bounds are wide apart, so that only what is clearly neither disagrees."""

SAID = {
    "flickr": {"mse": "strong", "lpips": "strong", "ssim": "weak"},
    "refcocog": {"mse": "strong", "lpips": "strong", "psnr": "strong", "ssim": "weak"},
    "rocov2": {"mse": "strong", "lpips": "strong", "psnr": "strong", "ssim": "strong"},
}
"""What the appendices call the correlations with all caption metrics."""

STRONGEST, OTHERS = ("mse", "lpips"), ("psnr", "ssim")
"""The strongest and most consistent correlations, and the rest (section 4)."""

WEAKER, THAN = "truce", ("flickr", "refcocog")
"""Where MSE, LPIPS and PSNR go with captions less strongly than elsewhere (appendix E.3)."""


def strengths(numbers: Sequence[Number]) -> Iterator[Check]:
    """A strong correlation is one with every caption metric, and so is a weak one."""
    for corpus, said in SAID.items():
        for captioner, columns in captions(numbers, corpus).items():
            for name, word in said.items():
                found = {metric: strength(fidelity(numbers, corpus)[name], y) for metric, y in columns.items()}
                beyond = [
                    metric
                    for metric, (_, least, most) in found.items()
                    if (most < STRONG if word == "strong" else least >= WEAK)
                ]
                rs = [r for r, _, _ in found.values()]
                given = f"r from {min(rs):+.2f} to {max(rs):+.2f}" + (
                    f", not {word}: {', '.join(beyond)}" * bool(beyond)
                )
                where = ", ".join(filter(None, (corpus, captioner, name.upper())))
                paper = f"calls its correlations {word} (appendix {APPENDIX[corpus]})"
                yield Check("strengths of correlations", where, paper, given, not beyond)


def strongest(numbers: Sequence[Number]) -> Iterator[Check]:
    """MSE and LPIPS go with captions more strongly than PSNR and SSIM, with every caption metric."""
    for corpus in APPENDIX:
        for captioner, columns in captions(numbers, corpus).items():
            beaten = []
            for metric, y in columns.items():
                found = {name: strength(fidelity(numbers, corpus)[name], y) for name in (*STRONGEST, *OTHERS)}
                beaten += [
                    f"{other} before {name} for {metric}"
                    for name in STRONGEST
                    for other in OTHERS
                    if found[other][1] > found[name][2]
                ]
            total = len(columns) * len(STRONGEST) * len(OTHERS)
            given = f"others stronger in {len(beaten)} of {total} comparisons" + f" ({'; '.join(beaten)})" * bool(
                beaten
            )
            where = ", ".join(filter(None, (corpus, captioner)))
            paper = "calls the correlations of MSE and LPIPS the strongest (section 4)"
            yield Check("strongest correlations", where, paper, given, not beaten)


def weaker(numbers: Sequence[Number]) -> Iterator[Check]:
    """TRUCE's mean |r| over its caption metrics is below that of either natural-image corpus, whoever captioned it."""
    [columns] = captions(numbers, WEAKER).values()
    for name in (*STRONGEST, "psnr"):
        mine, least, _ = average(fidelity(numbers, WEAKER)[name], columns)
        for corpus in THAN:
            for captioner, others in captions(numbers, corpus).items():
                theirs, _, most = average(fidelity(numbers, corpus)[name], others)
                where = f"{WEAKER}, {name.upper()}, beside {' '.join(filter(None, (corpus, captioner)))}"
                paper = f"finds lower strength than there (appendix {APPENDIX[WEAKER]})"
                given = f"a mean |r| of {mine:.2f} beside {theirs:.2f}"
                yield Check("weaker correlations", where, paper, given, least <= most)


def average(x: Column, columns: Mapping[str, Column]) -> tuple[float, float, float]:
    """Mean |r| of a column with others, and the least and the largest that rounding leaves possible."""
    found = [strength(x, y) for y in columns.values()]
    r, least, most = (fmean(values) for values in zip(*((abs(r), *ends) for r, *ends in found), strict=True))
    return r, least, most
