"""``fidelity@measure``: how far each repainted picture is from its original, inside the mask, outside, and whole."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from models.adapters.ahead import prepared
from models.measures.regions import columns, flat
from registry.store.dag import STAGES
from stages.engine.entries import Adapted
from stages.engine.loop import command, execute
from stages.engine.node import Node
from stages.engine.pairs import REPAINTED, pairs
from stages.engine.shards import DISK, Outputs
from stages.engine.study import Study, read_study
from stages.engine.tasks import Outcome, Task


class Comparer:
    """Compares repainted pictures with their originals."""

    def __init__(self, measure: Adapted) -> None:
        self.measure = measure

    @property
    def prepares(self) -> bool:
        return self.measure.prepares

    def load(self) -> str:
        return self.measure.load()

    def compute(self, tasks: Sequence[Task], seeds: Sequence[int]) -> list[Outcome]:
        return compare(self.measure, tasks)


def compare(measure: Adapted, tasks: Sequence[Task]) -> list[Outcome]:
    """The values of one batch, one column a metric and region."""
    results = measure.adapter.measure(
        prepared(lambda task: task.inputs.original.pixels(), tasks),
        prepared(lambda task: task.inputs.repainted.pixels(), tasks),
        [task.inputs.mask.mask() for task in tasks],
    )
    return [Outcome(flat(result)) for result in results]


def node(study: Study, name: str, outputs: Outputs = DISK) -> Node:
    """The stage of the measure that a study calls NAME."""
    entry = study.entry("fidelity", name)
    measure = Adapted(name, entry, "fidelity")
    inpainters = list(study.variants("inpainters"))
    return Node(
        stage=STAGES["fidelity"],
        entry=name,
        settings=entry,
        study=study.study,
        total=outputs.count(s for n in inpainters for s in measure.shards(outputs, REPAINTED / n)),
        plan=pairs(measure, inpainters, outputs),
        worker=Comparer(measure),
        metrics=[(name, pa.float64()) for name in columns(measure.adapter.metrics)],
        batch_size=measure.batch_size,
    )


def main(name: str) -> None:
    """Compare with the measure that params.yaml calls NAME."""
    execute(node(read_study(), name))


if __name__ == "__main__":
    command(main)
