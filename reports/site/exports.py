"""What stands beside the pages: every table as CSV, and the main numbers as JSON."""

from __future__ import annotations

from typing import Any

import pandas as pd

from reports.asking.metrics import FIDELITY, GROUNDING, QUALITY, REGIONS
from reports.chapters.corpora import SCATTERED, Found, Section
from reports.site.tables import ORIGINAL, tidy
from reports.statistics.findings import Finding


def tables(found: Found, sections: list[Section], failures: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The CSV files, by name."""
    fidelity = [tidy(found.grids[region], FIDELITY, region=region) for region in REGIONS]
    correlations = [
        {"corpus": s.name, "captioner": link.captioner, **pair._asdict(), "critical_r": link.critical}
        | dict(zip(("low", "high"), ends.get((pair.x, pair.y), ()), strict=False))
        for s in sections
        for link in s.links
        for ends in [found.intervals.get((s.name, link.captioner), {})]
        for pair in link.found.pairs
    ]
    columns = ["corpus", "captioner", "x", "y", "n", "pearson", "low", "high", "spearman", "critical_r"]
    points = [link.points.assign(corpus=s.name, captioner=link.captioner) for s in sections for link in s.links]
    moved = found.layers[found.layers["metric"] == "tvd_even"]
    drift = moved.pivot_table(index="layer", columns="region", values="mean")
    return {
        "fidelity": pd.concat(fidelity).drop(columns="captioner"),
        "grounding": pd.concat([tidy(found.grids[region], GROUNDING, region=region) for region in REGIONS]),
        "captions": tidy(found.grids[""], QUALITY),
        "captions_corpus": tidy(found.summary, QUALITY),
        "correlations": pd.DataFrame(correlations, columns=columns),
        "attention": found.layers,
        "drift": drift.reset_index(),
        "points": pd.concat(points).reset_index() if points else pd.DataFrame(),
        "failures": failures,
    }


def flat(found: list[Finding]) -> pd.DataFrame:
    """Findings as a CSV shows them."""
    rows = [{**one._asdict(), **one.estimate._asdict()} for one in found]
    columns = ["claim", "corpus", "judge", "verdict", "value", "low", "high", "n", "of"]
    return pd.DataFrame(rows, columns=columns)


def main_numbers(found: Found, sections: list[Section], items: pd.DataFrame) -> dict[str, Any]:
    """What ``dvc metrics diff`` compares: captions of the originals, correlations inside the mask, and failures."""
    numbers: dict[str, Any] = {"items": int(items["items"].sum()), "failed": int(items["failed"].sum())}
    names = [name for name in SCATTERED[1] if name in found.grids[""].value][:2]
    for s in sections:
        numbers[s.name] = {}
        for link in s.links:
            originals = found.grids[""].value.loc[(s.name, *ORIGINAL, link.captioner), names].dropna()
            numbers[s.name][link.captioner] = {
                "originals": originals.round(6).to_dict(),
                "pearson": {
                    f"{pair.x}~{pair.y}": round(pair.pearson, 6)
                    for pair in link.found.pairs
                    if pair.x in ("lpips", "mse") and pair.y in names
                },
            }
    return numbers
