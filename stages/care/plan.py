"""``palimpsest plan``: what a study would compute, what of it is known already, and about how long the rest takes.

The stages' own plans are walked, one after the other, over what the registry knows. A picture is not read: a key needs
no more of it than its digest, which is its address in the object store. What depends on something that is not computed
yet has no key yet, so it is counted by combination only.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from registry.health import gigabytes
from registry.store import places
from registry.store.axes import AXES
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.keys import Absent, item_key
from registry.store.objects import ObjectStore
from registry.tracking import flatten
from registry.tracking.asking import Past, past
from stages import caption, degrade, fidelity, inpaint, prepare, project, quality, represent
from stages.care.check import check
from stages.engine.entries import Adapted
from stages.engine.loop import Entry, Node, row_of
from stages.engine.shards import PLANNED
from stages.engine.study import Study, swept

MODEL = ("adapter", "checkpoint", "revision", "weights")
"""The settings that a model's speed hangs on most."""

READ = {
    "corpus", "sample", "key", "status", "image", "mask", "width", "height", "references", "annotations", "caption",
    "embedding", *AXES,
}  # fmt: skip
"""The columns that a later stage's plan reads."""


class Forecast(NamedTuple):
    """What one stage would do. Equal items are computed once, so that ``known`` and ``missing`` may be fewer than all.

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
    """A stage, the number of items that it would hold if none failed, and whether each depends on all of a corpus."""

    node: Node
    items: int
    together: bool = False


def forecast(study: Study) -> list[Forecast]:
    """What every stage of a study would compute, in their order. Nothing is computed, loaded or written to ``data/``.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for the first thing that is wrong with the study.
    """
    check(study)
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    runs = past()
    token = PLANNED.set({})
    try:
        return [estimated(store, runs, stage, *walk(store, stage)) for stage in stages(study)]
    finally:
        PLANNED.reset(token)


def stages(study: Study) -> Iterator[Asked]:
    """The stages of a study, parents before children; each is made when the plans of those before it are walked."""
    samples = {}
    for name in study.corpora:
        node, _ = prepare.node(study, name)
        samples[name] = node.total
        yield Asked(node, node.total)
    everywhere = sum(samples.values())
    ways, painters, tellers = (len(study.variants(section)) for section in ("degradations", "inpainters", "captioners"))
    pictures = 1 + ways * painters
    yield Asked(degrade.node(study), everywhere * ways)
    for name, entry in study.inpainters.items():
        yield Asked(inpaint.node(study, name), everywhere * ways * len(swept(name, entry)))
    for name, entry in study.captioners.items():
        yield Asked(caption.node(study, name), everywhere * pictures * len(swept(name, entry)))
    for name, entry in study.encoders.items():
        held = concerned(samples, Adapted(name, entry, "encoders")) * pictures
        yield Asked(represent.node(study, name), held)
        yield Asked(project.node(study, name), held, together=True)
    for name, entry in study.fidelity.items():
        held = concerned(samples, Adapted(name, entry, "fidelity")) * ways * painters
        yield Asked(fidelity.node(study, name), held)
    for name, entry in study.quality.items():
        measure = Adapted(name, entry, "quality")
        wholes = sum(map(measure.concerns, samples))
        yield Asked(quality.node(study, name), (concerned(samples, measure) + wholes) * pictures * tellers)


def concerned(samples: Mapping[str, int], measure: Adapted) -> int:
    """How many samples a measure looks at."""
    return sum(count for corpus, count in samples.items() if measure.concerns(corpus))


def walk(store: ItemStore, stage: Asked) -> tuple[int, int, int]:
    """How many of a stage's items are known, missing, and not known yet; the known ones are left for later plans."""
    planned, node = PLANNED.get(), stage.node
    tasks_known, keys_missing, found = Counter[bool](), defaultdict(set), Counter[bool]()
    for path, tasks in node.plan:
        keyed = [(item_key(node.kind, task.parts), task) for task in tasks]
        known = store.recall(key for key, _ in keyed)
        planned[node.out / path] = rows = []
        for key, task in keyed:
            whole = stage.together or not task.sample
            found[whole] += 1
            if key not in known:
                keys_missing[whole].add(key)
                continue
            tasks_known[whole] += 1
            data = known[key].object
            row = row_of(node, key, task, Entry(known[key].run, known[key].value or {}, data and Absent(data)))
            rows.append({name: row[name] for name in READ & row.keys()})
    if found.total() < stage.items:  # what is about a whole has another key when all of it is there
        del found[True], tasks_known[True]
        keys_missing.pop(True, None)
    return tasks_known.total(), sum(map(len, keys_missing.values())), stage.items - found.total()


def estimated(store: ItemStore, runs: Sequence[Past], stage: Asked, known: int, missing: int, later: int) -> Forecast:
    """A stage's forecast, with the time and room that past runs and pictures speak for."""
    node, todo = stage.node, missing + later
    settings = flatten(node.settings)
    alike = [run for run in runs if run.stage.partition("@")[0] == node.name.partition("@")[0]]
    alike = [run for run in alike if all(run.params.get(name) == settings.get(name) for name in MODEL)]
    alike = [run for run in alike if run.params == settings] or alike
    seconds, computed = Counter[str](), Counter[str]()
    for run in alike:
        seconds[run.device] += run.seconds
        computed[run.device] += run.computed
    hours = {device: todo * seconds[device] / computed[device] / 3600 for device in sorted(seconds)}
    pictures = todo if any(name == "image" for name, _ in node.fields) else 0
    size = store.mean_size(node.kind) if pictures else 0
    room = None if size is None else round(size * pictures)
    return Forecast(node.name, stage.items, known, missing, later, (hours or None) if todo else {}, room)


def listing(stages: Sequence[Forecast]) -> str:
    """Forecasts as a table for people, with their sum."""
    whole = [sum(getattr(stage, name) for stage in stages) for name in ("items", "known", "missing", "not_known_yet")]
    rows = [("stage", "items", "known", "missing", "not known yet", "time", "pictures")]
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
    """Hours by device for people.

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
