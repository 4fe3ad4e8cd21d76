"""Metrics, as measures declare them, and the views of them that pages choose."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import Connection, select

from registry.store import schema

PICTURES, CAPTIONS, GROUNDING, ATTENTION, OTHER = "pictures", "captions", "grounding", "attention", "other"
ANSWERS = "answers"
"""What a metric is about: how far a repainted picture is from its original; how good a caption is against the
references of its sample; what it says against what the picture is known to show; where a vision encoder looks; what a
chat model answers about a picture."""


@dataclass(frozen=True, slots=True)
class Metric:
    """``name`` is the registry's; ``decimals`` is how many a table shows."""

    name: str
    title: str
    higher_is_better: bool | None
    decimals: int
    definition: str
    about: str = ""
    checkpoint: bool = False
    """Whether its values hang on a model's weights, so that its name alone does not say what was measured."""
    declared: bool = True
    """Whether a measure declares it; else its name is all that is known of it."""
    most: float | None = None
    """The largest value there can be; None where there is none, or it is not known."""

    @property
    def arrow(self) -> str:
        return {True: "↑", False: "↓", None: ""}[self.higher_is_better]

    @property
    def direction(self) -> str:
        return {True: "higher is better", False: "lower is better", None: "no direction"}[self.higher_is_better]


def declared(connection: Connection) -> list[Metric]:
    """Declarations of metrics, in the order of the tables."""
    table = schema.Metric
    columns = (table.name, table.label, table.higher_is_better, table.decimals, table.definition, table.about)
    statement = select(*columns, table.checkpoint, table.high).order_by(table.position, table.name)
    return [
        Metric(name, title, higher, decimals, definition, about, checkpoint, most=most)
        for name, title, higher, decimals, definition, about, checkpoint, most in connection.execute(statement)
    ]


def undeclared(name: str, regions: Collection[str], said: bool) -> Metric:
    """A metric of which the registry knows nothing but values: about captions (``said``) or pictures.

    >>> undeclared("clever", [""], said=True).about, undeclared("clever", ["region", "whole"], said=True).about
    ('captions', 'grounding')
    """
    about = (GROUNDING if any(regions) else CAPTIONS) if said else PICTURES
    return Metric(name, name, None, 3, "declared by no measure", about, declared=False)


REGIONS = {"region": "inside the mask", "outside": "outside the mask", "whole": "whole picture"}
"""Where fidelity is measured. Tables start with the first, and correlations use it."""

INSIDE, OUTSIDE, *_ = REGIONS

SCATTERED = (("lpips", "ssim", "psnr", "mse"), ("sbert", "cider", "rouge_l", "bleu_4", "bleu_1", "own_sbert"))
"""Metrics of pictures and of captions, from the one that says most: pages show the first that is there and varies."""


class View(NamedTuple):
    """Curves over layers: of what, where, how the view is called, and what its axis says."""

    metric: str
    region: str
    title: str
    axis: str


EVEN, SHARED = "tvd_even", "Σ |p − q|, if all patches moved as these do"
"""Drift that can be compared between regions of different sizes, and what its axis says."""

LAYERED = (
    View(EVEN, "region", "inside the mask", SHARED),
    View("tvd_sum", "whole", "whole picture", "Σ |p − q| over all patches"),
    View("entropy_change", "whole", "entropy", "change of entropy in nats"),
)
"""What the curves over layers show of attention, beside the comparison of regions."""
