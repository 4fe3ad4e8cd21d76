"""What people add to a plan: rates at which stages compute, and over how many devices they are spread.

A file of rates names stages as ``palimpsest plan`` does, or all of a node at once, each with items a second of one
device: its own where no run has been, or another machine's::

    inpaint: {items_per_second: 6.0, device: NVIDIA H200}
    caption@qwen: {items_per_second: 2.27, device: NVIDIA H200}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field

from models.adapters.settings import Settings, unknown, validated
from models.measures.benchmarks import ANSWERER
from registry.store.params import parsed
from registry.store.tables import read_text
from stages.care.costing import bills, name_of, number, plus
from stages.care.counting import asked_about
from stages.care.plan import Forecast
from stages.engine.answering import variants as answerers_of
from stages.engine.study import Study
from stages.recaption import variants

ENDPOINT = "openai-compatible"


class Rate(Settings):
    """How fast one device computes the items of a stage."""

    items_per_second: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    device: str = "device"


def read_rates(path: Path) -> dict[str, Rate]:
    """The rates in a file, by stage or node.

    Raises ``FileNotFoundError`` or ``ValueError``, in one sentence, for what is wrong with it.
    """
    said = parsed(read_text(path, "file of rates", "Correct the path."), path)
    if not isinstance(said, dict) or not all(isinstance(rate, dict) for rate in said.values()):
        raise ValueError(f"{path} holds no rates: write STAGE: {{items_per_second: 2.5, device: NVIDIA H200}} a line.")
    return {str(name): validated(f"{name} in {path}", Rate, rate) for name, rate in said.items()}


def at_rates(found: Sequence[Forecast], rates: Mapping[str, Rate]) -> list[Forecast]:
    """Forecasts with hours by these rates, a stage's own before its node's; others stay as they are.

    Raises ``ValueError`` with the nearest known name where one is for no stage of the study.
    """
    known = {name: None for one in found for name in (one.stage, one.stage.partition("@")[0])}
    for name in rates.keys() - known.keys():
        raise ValueError(unknown("stage of the study", name, known))
    given = []
    for one in found:
        rate = rates.get(one.stage) or rates.get(one.stage.partition("@")[0])
        if rate and (todo := one.missing + one.not_known_yet):
            one = one._replace(hours={rate.device: todo / rate.items_per_second / 3600}, scaled=False)
        given.append(one)
    return given


def requests(study: Study, found: Sequence[Forecast]) -> dict[str, dict[str, int | None]]:
    """How many requests each model of methods and benchmarks is asked at most where none is known, by stage; and each
    endpoint that captions. None where nothing bounds them before there are captions.
    """
    asked: dict[str, dict[str, int | None]] = {}
    for one in found:
        node, _, entry = one.stage.partition("@")
        todo = one.missing + one.not_known_yet
        if node == "recaption" and todo:
            some = variants(study, entry)
            counts: dict[str, int | None] = {}
            for variant in some.values():
                for bill in bills(variant, [""], {}, []):
                    many = None if bill.most is None else bill.most * todo // len(some)
                    counts[bill.model] = plus(counts.get(bill.model, 0), many)
            asked[one.stage] = counts
        elif node == "answer" and todo:
            asked[one.stage] = questions(study, entry, todo)
        elif node == "caption" and todo and study.entry("captioners", entry)["adapter"] == ENDPOINT:
            asked[one.stage] = {entry: todo}
    return asked


def questions(study: Study, entry: str, items: int) -> dict[str, int | None]:
    """How many requests so many items of an entry of ``answerers`` are at most, by model.

    An endpoint that tells no probabilities is asked each question a second time.
    """
    whole, largest = Counter[str](), Counter[str]()
    for one in answerers_of(study, entry).values():
        for asked in (asked for corpus in one.corpora for asked in asked_about(study, one, corpus).values()):
            counts = Counter[str]()
            for kind, some in asked.items():
                players = {ANSWERER: one.player, **one.others[kind]}
                for role, many in one.benchmarks[kind].most(some).items():
                    twice = players[role].entry["adapter"] == ENDPOINT
                    counts[name_of(players[role])] += many * (1 + twice)
            whole.update({model: many * (1 + len(one.trainings)) for model, many in counts.items()})
            largest |= counts
    return {model: min(many, largest[model] * items) for model, many in whole.items()}


def appendix(found: Sequence[Forecast], asked: Mapping[str, Mapping[str, int | None]], devices: int) -> str:
    """What stands below a plan: days on so many devices of each kind, and requests for each model."""
    hours = Counter[str]()
    for one in found:
        hours.update(one.hours or {})
    lines = [
        f"On {devices} x {device}, each stage spread evenly: {many / 24 / devices:.1f} days."
        for device, many in hours.items()
        if devices > 1
    ]
    lines += [
        f"{stage} asks {model}: {number(many)}" + " requests at most" * (many is not None)
        for stage, counts in asked.items()
        for model, many in counts.items()
    ]
    return "\n".join(lines)
