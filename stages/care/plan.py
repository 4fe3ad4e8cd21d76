"""``palimpsest plan``: what a study would compute, what of it is known already, and about how long the rest takes.

The stages' own plans are walked, one after the other, over what the registry knows. A picture is not read: a key needs
no more of it than its digest, which is its address in the object store. What depends on something that is not computed
yet has no key yet, so it is counted by combination only.
"""

from __future__ import annotations

import importlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import NamedTuple

from registry.health import gigabytes
from registry.store import places
from registry.store.dag import GRID, SECTIONS, Stage
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.keys import item_key
from registry.store.objects import ObjectStore
from registry.tracking import flatten
from registry.tracking.asking import Past, past
from stages.care.check import check
from stages.engine.entries import Adapted
from stages.engine.loop import row_of
from stages.engine.memory import Entry
from stages.engine.node import Node
from stages.engine.shards import Outputs, Planned
from stages.engine.study import Study, swept

MODEL = ("adapter", "checkpoint", "revision", "weights")
"""The settings that a model's speed hangs on most."""

HEAVY = {"image", "mask", "parts", "value"}
"""The columns that no later stage's plan reads."""


class Forecast(NamedTuple):
    """Forecast of one stage. Equal items are computed once, so that ``known`` and ``missing`` may be fewer than all.

    ``not_known_yet`` items depend on missing ones: at most so many are to be computed, or known. ``hours`` are those of
    all that is missing or not known yet, by device, as past runs went; ``bytes`` what its pictures take in the object
    store, and as much again in ``data/`` and in DVC's cache. None where no past run or picture says.
    """

    stage: str
    items: int
    known: int
    missing: int
    not_known_yet: int
    hours: dict[str, float] | None
    bytes: int | None


class Asked(NamedTuple):
    """A stage, and the number of items that it would hold if none failed."""

    node: Node
    items: int


def forecast(study: Study) -> list[Forecast]:
    """Forecast every stage of a study, in their order. Nothing is computed, loaded or written to ``data/``.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for the first thing that is wrong with the study.
    """
    check(study)
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    runs, outputs = past(), Planned()
    return [estimated(store, runs, stage, *walk(store, stage, outputs)) for stage in stages(study, outputs)]


def stages(study: Study, outputs: Outputs) -> Iterator[Asked]:
    """The stages of a study, parents before children; each is made when the plans of those before it are walked."""
    samples: dict[str, int] = {}
    for stage, entry in study.stages():
        node = importlib.import_module(f"stages.{stage.name}").node(study, entry, outputs)
        if not stage.inputs:
            samples[entry] = node.total
            yield Asked(node, node.total)
        else:
            yield Asked(node, held(study, stage, entry, samples))


def held(study: Study, stage: Stage, entry: str, samples: Mapping[str, int]) -> int:
    """Number of items of a stage if none fails: its samples, and its corpora as wholes, at each of its points."""
    points = dict.fromkeys(stage.axes, 1)
    for section, owner in SECTIONS.items():
        if owner.axis in points:
            mine = stage.axis == owner.axis and stage.each
            points[owner.axis] = len(
                swept(entry, study.entry(section, entry), study.models) if mine else study.variants(section)
            )
    pictures = stage.originals + prod(count for axis, count in points.items() if axis in GRID)
    others = prod(count for axis, count in points.items() if axis not in GRID)
    concerned = samples
    if stage.measures and stage.section:
        measure = Adapted(entry, study.entry(stage.section, entry), stage.section)
        concerned = {corpus: count for corpus, count in samples.items() if measure.concerns(corpus)}
    return (sum(concerned.values()) + stage.wholes * len(concerned)) * pictures * others


def walk(store: ItemStore, asked: Asked, outputs: Planned) -> tuple[int, int, int]:
    """Count a stage's items that are known, missing, and not known yet; the known ones are left for later plans."""
    node = asked.node
    tasks_known, keys_missing, found = Counter[bool](), defaultdict[bool, set[str]](set), Counter[bool]()
    for path, tasks in node.plan:
        keyed = [(item_key(node.kind, task.parts), task) for task in tasks]
        known = store.recall(key for key, _ in keyed)
        outputs.known[node.out / path] = rows = []
        for key, task in keyed:
            whole = node.stage.together or not task.sample
            found[whole] += 1
            if key not in known:
                keys_missing[whole].add(key)
                continue
            tasks_known[whole] += 1
            one = known[key]
            row = row_of(node, key, task, Entry(one.run, one.value or {}, None, digest=one.object))
            rows.append({name: row[name] for name in row.keys() - HEAVY})
    if found.total() < asked.items:  # what is about a whole has another key when all of it is there
        del found[True], tasks_known[True]
        keys_missing.pop(True, None)
    return tasks_known.total(), sum(map(len, keys_missing.values())), asked.items - found.total()


def estimated(store: ItemStore, runs: Sequence[Past], stage: Asked, known: int, missing: int, later: int) -> Forecast:
    """A stage's forecast, with the time and room that past runs and pictures speak for."""
    node, todo = stage.node, missing + later
    settings = flatten(node.settings)
    alike = [run for run in runs if run.stage.partition("@")[0] == node.name.partition("@")[0]]
    alike = [run for run in alike if all(run.params.get(name) == settings.get(name) for name in MODEL)]
    alike = [run for run in alike if run.params == settings] or alike
    seconds: dict[str, float] = defaultdict(float)
    computed = Counter[str]()
    for run in alike:
        seconds[run.device] += run.seconds
        computed[run.device] += run.computed
    hours = {device: todo * seconds[device] / computed[device] / 3600 for device in sorted(seconds)}
    pictures = todo if any(name == "image" for name, _ in node.fields) else 0
    size = store.mean_size(node.kind) if pictures else 0
    room = None if size is None else round(size * pictures)
    return Forecast(node.name, stage.items, known, missing, later, (hours or None) if todo else {}, room)


def listing(stages: Sequence[Forecast]) -> str:
    """Format forecasts as a table, with their sum."""
    whole = [sum(getattr(stage, name) for stage in stages) for name in ("items", "known", "missing", "not_known_yet")]
    rows: list[tuple[str, ...]] = [("stage", "items", "known", "missing", "not known yet", "time", "pictures")]
    rows += [
        (
            stage.stage,
            *map(str, stage[1:5]),
            timing(stage.hours),
            "unknown" if stage.bytes is None else room(stage.bytes),
        )
        for stage in stages
    ]
    known = [stage.hours for stage in stages if stage.hours is not None]
    hours = Counter[str]()
    for some in known:
        hours.update(some)
    unknown = len(stages) - len(known)
    sizes = [stage.bytes for stage in stages if stage.bytes is not None]
    rows.append(("all", *map(str, whole), timing(hours) + f", {unknown} unknown" * bool(unknown), room(sum(sizes))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *numbers, time, size in rows:
        middle = (text.rjust(width) for text, width in zip(numbers, widths[1:5], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *middle, time.ljust(widths[5]), size]).rstrip())
    lines += [
        "",
        "Times are those of past runs of the same adapter and checkpoint, at most; pictures are in the object store,",
    ]
    lines += ["and take as much again in data/ and in DVC's cache. What is not known yet depends on what is missing."]
    lines += ["Equal items are missing once, wherever they stand, so that a row need not add up."]
    return "\n".join(lines)


def timing(hours: Mapping[str, float] | None) -> str:
    """Format hours by device.

    >>> timing({"cpu": 0.05, "NVIDIA H200": 2.5}), timing(None)
    ('3 min cpu, 2.5 h NVIDIA H200', 'unknown')
    """
    if hours is None:
        return "unknown"
    shown = []
    for device, many in hours.items():
        amount = f"{many:.1f} h" if many >= 1 else f"{many * 60:.0f} min" if many >= 1 / 60 else f"{many * 3600:.0f} s"
        shown.append(f"{amount} {device}")
    return ", ".join(shown) or "-"


def room(size: int) -> str:
    return gigabytes(size) if size else "-"
