"""All that is measured, gathered from where it is declared."""

from __future__ import annotations

from models.adapters import catalogue
from models.measures import Metric
from models.measures.embeddings import drift, projection


def declared() -> dict[str, Metric]:
    """The metrics of all measures, judges and benchmarks of the catalogue and of embeddings, by name, as tables are.

    >>> [metric.label for metric in declared().values()][:3]
    ['MSE', 'PSNR', 'SSIM']
    """
    roles = ("measures", "prompted", "benchmarks")
    measures = (catalogue.target(role, name) for role in roles for name in catalogue.CATALOGUE[role])
    metrics = [*(one for measure in measures for one in measure.METRICS), *drift.METRICS, *projection.METRICS]
    return {metric.name: metric for metric in sorted(metrics, key=lambda metric: metric.position)}
