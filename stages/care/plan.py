"""``palimpsest plan``: what a study would compute, what of it is known already, and about how long the rest takes.

The stages' own plans are walked, one after the other, over what the registry knows. A picture is not read: a key needs
no more of it than its digest, which is its address in the object store. What depends on something that is not computed
yet has no key yet, so it is counted by combination only.
"""

from __future__ import annotations

import importlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from models.chat.client import Price
from models.media.images import encode_png
from registry.health import gigabytes
from registry.store import places
from registry.store.database import connect
from registry.store.items import ItemStore, Known
from registry.store.keys import canonical, item_key
from registry.store.objects import ObjectStore
from registry.tracking import flatten
from registry.tracking.asking import Past, past
from stages.care.check import check
from stages.care.counting import answered, concerned_by, held, paintings
from stages.care.prices import money, prices
from stages.engine.loop import light_row
from stages.engine.memory import Entry
from stages.engine.node import Node
from stages.engine.shards import Outputs, Planned
from stages.engine.study import Study
from stages.engine.tasks import Task
from stages.engine.waves import Method

LOOKED_AT = 4
"""Number of pictures of a corpus that are looked at for their size."""

ALIKE = 2
"""Pictures of at most so many times the pixels, or of as much fewer, are of about one size."""

MODEL = ("adapter", "checkpoint", "revision", "weights", "method")
"""The settings that speed hangs on most, of an entry's model or of those that play its roles."""

READ = ("first",)
"""What later stages' plans read of values, beside what has a column of its own."""


class Forecast(NamedTuple):
    """Forecast of one stage. Equal items are computed once, so that ``known`` and ``missing`` may be fewer than all.

    ``not_known_yet`` items depend on missing ones: at most so many are to be computed, or known. ``hours`` are those of
    all that is missing or not known yet, by device, as past runs went and as many pixels as a picture has; ``scaled``
    where none of these runs saw pictures of about that size. ``bytes``: what its pictures take in the object store, as
    the originals do, and as much again in ``data/`` and in DVC's cache. ``money``: what endpoints take that have a
    price. None where no past run or picture says.
    """

    stage: str
    items: int
    known: int
    missing: int
    not_known_yet: int
    hours: dict[str, float] | None
    bytes: int | None
    scaled: bool = False
    money: float | None = 0.0


class Size(NamedTuple):
    """Mean size of pictures: their pixels, and their bytes as PNG."""

    pixels: float
    bytes: float


class Asked(NamedTuple):
    """A stage, the number of items that it would hold if none failed, and of samples of each corpus it is about."""

    node: Node
    items: int
    samples: Mapping[str, int]


def forecast(study: Study) -> list[Forecast]:
    """Forecast every stage of a study, in their order. Nothing is computed, loaded or written to ``data/``.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for the first thing that is wrong with the study.
    """
    check(study)
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    sizes = dict[str, Size]()
    with Planned() as outputs:
        counted = [(stage, walk(store, stage, outputs, sizes)) for stage in stages(study, outputs)]
    runs = past() if any(missing or later for _, (_, missing, later) in counted) else []
    return [estimated(runs, stage, mean_size(sizes, stage.samples), *counts) for stage, counts in counted]


def stages(study: Study, outputs: Outputs) -> Iterator[Asked]:
    """The stages of a study, parents before children; each is made when the plans of those before it are walked."""
    samples: dict[str, int] = {}
    for stage, entry in study.stages():
        node = importlib.import_module(f"stages.{stage.name}").node(study, entry, outputs)
        if not (stage.counted and node.counted):
            foretold = paintings(study, stage, entry) or answered(study, stage, entry, samples, outputs)
            yield Asked(node, foretold or node.total, {})
        elif not stage.inputs:
            samples[entry] = node.total
            yield Asked(node, node.total, {entry: node.total})
        else:
            concerned = concerned_by(study, stage, entry, samples)
            yield Asked(node, held(study, stage, entry, concerned), concerned)


def walk(store: ItemStore, asked: Asked, outputs: Planned, sizes: dict[str, Size]) -> tuple[int, int, int]:
    """Count a stage's items that are known, missing, and not known yet; the known ones are left for later plans.

    ``sizes`` gets that of a corpus' pictures.
    """
    node = asked.node
    tasks_known, found = Counter[bool](), Counter[bool]()
    # beginnings of keys, of 64 bits: of ten million two are alike by accident in one case of 300,000
    keys_missing: dict[bool, array[int]] = defaultdict(lambda: array("Q"))
    for path, tasks in node.plan:
        keyed = [(item_key(node.kind, task.parts), task) for task in tasks]
        known = store.recall(key for key, _ in keyed)
        if (
            not node.stage.inputs
            and node.stage.counted
            and node.entry not in sizes
            and (size := size_of(store, keyed, known))
        ):
            sizes[node.entry] = size
        rows = []
        for key, task in keyed:
            whole = node.stage.together or not task.sample
            found[whole] += 1
            if key not in known:
                keys_missing[whole].append(int(key[:16], 16))
                continue
            tasks_known[whole] += 1
            one = known[key]
            row = light_row(node, key, task, Entry(one.run, one.value or {}, None, digest=one.object))
            read = canonical({name: row[name] for name in READ if name in row})
            rows.append({**row, "value": read, "image": None, "mask": None})  # of a picture a plan reads the digest
        outputs.write(node.out / path, rows, node.fields)
    if found.total() < asked.items:  # what is about a whole has another key when all of it is there
        del found[True], tasks_known[True]
        keys_missing.pop(True, None)
    missing = sum(len(np.unique(np.asarray(keys))) for keys in keys_missing.values())
    return tasks_known.total(), missing, asked.items - found.total()


def size_of(store: ItemStore, keyed: Sequence[tuple[str, Task]], known: Mapping[str, Known]) -> Size | None:
    """Size of a corpus' pictures, of which a few are looked at; one that is not known yet is read, or drawn."""
    seen = []
    for key, task in keyed[:: max(1, len(keyed) // LOOKED_AT)][:LOOKED_AT]:
        if (one := known.get(key)) and one.object and (size := store.objects.size(one.object)) and one.value:
            seen.append(Size(one.value["width"] * one.value["height"], size))
            continue
        with suppress(ValueError, OSError):  # what cannot be read fails in its stage
            picture = task.inputs()
            seen.append(Size(picture.shape[0] * picture.shape[1], len(encode_png(picture))))
    return Size(*(sum(each) / len(seen) for each in zip(*seen, strict=True))) if seen else None


def mean_size(sizes: Mapping[str, Size], samples: Mapping[str, int]) -> Size | None:
    """Mean size of the pictures of several corpora.

    >>> mean_size({"a": Size(100, 10), "b": Size(400, 40)}, {"a": 2, "b": 1})
    Size(pixels=200.0, bytes=20.0)
    """
    counted = [(sizes[corpus], count) for corpus, count in samples.items() if corpus in sizes]
    if not (total := sum(count for _, count in counted)):
        return None
    pixels, taken = (sum(size[n] * count for size, count in counted) for n in range(2))
    return Size(pixels / total, taken / total)


def estimated(runs: Sequence[Past], stage: Asked, size: Size | None, known: int, missing: int, later: int) -> Forecast:
    """A stage's forecast, with the time that past runs speak for and the room that its pictures take."""
    node, todo = stage.node, missing + later
    settings = flatten(node.settings)
    alike = [run for run in runs if run.stage.partition("@")[0] == node.stage.name]
    alike = [run for run in alike if models_of(run.params) == models_of(settings)]
    alike = [run for run in alike if run.params == settings] or alike
    scaled, factors = False, dict.fromkeys(range(len(alike)), 1.0)
    if not (node.stage.wholes or node.stage.together):  # those do not look at pictures
        ratios = {n: size.pixels / run.pixels for n, run in enumerate(alike) if size and run.pixels}
        factors = {n: ratio for n, ratio in ratios.items() if 1 / ALIKE <= ratio <= ALIKE}
        scaled = bool(todo and ratios and not factors)
        factors = factors or ratios
    seconds: dict[str, float] = defaultdict(float)
    computed = Counter[str]()
    for n, factor in factors.items():
        seconds[alike[n].device] += alike[n].seconds * factor
        computed[alike[n].device] += alike[n].computed
    hours = {device: todo * seconds[device] / computed[device] / 3600 for device in sorted(seconds)}
    pictures = todo if any(name == "image" for name, _ in node.fields) else 0
    taken = 0 if not pictures else None if size is None else round(size.bytes * pictures)
    due = [money(price, model, alike, items=todo) for model, price in asked_at_a_price(node).items()] if todo else []
    return Forecast(
        node.name,
        stage.items,
        known,
        missing,
        later,
        (hours or None) if todo else {},
        taken,
        scaled,
        None if None in due else sum(one for one in due if one),
    )


def asked_at_a_price(node: Node) -> dict[str, Price]:
    """The models that a stage pays for, with their prices."""
    players = node.worker.players.values() if isinstance(node.worker, Method) else ()
    return prices([node.settings, *(player.entry for player in players)])


def models_of(settings: Mapping[str, str]) -> dict[str, str]:
    """Those of some flattened settings that name a model or a method.

    >>> models_of({"method": "rico", "rounds": "2", "painter.adapter": "flux"})
    {'method': 'rico', 'painter.adapter': 'flux'}
    """
    return {name: value for name, value in settings.items() if name.rpartition(".")[2] in MODEL}


def listing(stages: Sequence[Forecast]) -> str:
    """Format forecasts as a table, with their sum."""
    whole = [sum(getattr(stage, name) for stage in stages) for name in ("items", "known", "missing", "not_known_yet")]
    paid = any(stage.money != 0 for stage in stages)
    rows: list[tuple[str, ...]] = [
        ("stage", "items", "known", "missing", "not known yet", "time", "pictures", *["money"] * paid)
    ]
    rows += [
        (
            stage.stage,
            *map(str, stage[1:5]),
            timing(stage.hours) + " *" * stage.scaled,
            "unknown" if stage.bytes is None else room(stage.bytes),
            *[amount(stage.money)] * paid,
        )
        for stage in stages
    ]
    known = [stage.hours for stage in stages if stage.hours is not None]
    hours = Counter[str]()
    for some in known:
        hours.update(some)
    unknown = len(stages) - len(known)
    sizes = [stage.bytes for stage in stages if stage.bytes is not None]
    bills = [stage.money for stage in stages if stage.money is not None]
    due = amount(sum(bills)) + f", {len(stages) - len(bills)} unknown" * (len(bills) < len(stages))
    time = timing(hours) + f", {unknown} unknown" * bool(unknown)
    rows.append(("all", *map(str, whole), time, room(sum(sizes)), *[due] * paid))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for name, *cells in rows:
        middle = (text.rjust(width) for text, width in zip(cells[:4], widths[1:5], strict=True))
        last = (text.ljust(width) for text, width in zip(cells[4:], widths[5:], strict=True))
        lines.append("  ".join([name.ljust(widths[0]), *middle, *last]).rstrip())
    lines += [
        "",
        "Times are those of past runs of the same adapter and checkpoint, at most; pictures are in the object store,",
    ]
    if any(stage.scaled for stage in stages):
        lines.insert(
            -1, "* No past run saw pictures of about this size: scaled by their pixels from those that there are."
        )
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


def amount(money: float | None) -> str:
    """Format money, in whatever prices are given in.

    >>> amount(12.345), amount(0.0021), amount(0), amount(None)
    ('12.35', '0.0021', '-', 'unknown')
    """
    if money is None:
        return "unknown"
    return (f"{money:.2f}" if money >= 1 else f"{money:.2g}") if money else "-"


def room(size: int) -> str:
    return gigabytes(size) if size else "-"
