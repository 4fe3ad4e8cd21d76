"""How many items the stages of a study hold, before any is there: what ``palimpsest plan`` counts with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod

from models.measures.benchmarks import Question
from registry.store.dag import GRID, SECTIONS, STAGES, Stage
from stages import prepare
from stages.compose import sets
from stages.engine.answering import PREPARED, Answering
from stages.engine.answering import variants as answerers_of
from stages.engine.entries import Adapted
from stages.engine.shards import Outputs
from stages.engine.study import Study, swept
from stages.paint import variants as painters_of
from stages.prompt import read
from stages.recaption import Scope, variants


def concerned_by(study: Study, stage: Stage, entry: str, samples: Mapping[str, int]) -> Mapping[str, int]:
    """The corpora that a stage is about."""
    if stage.name in CHOOSING:
        return {corpus: count for corpus, count in samples.items() if CHOOSING[stage.name](study, entry, corpus)}
    if not stage.measures or not stage.section:
        return samples
    measure = Adapted(entry, study.entry(stage.section, entry), stage.section, study.models)
    return {corpus: count for corpus, count in samples.items() if measure.concerns(corpus)}


def held(study: Study, stage: Stage, entry: str, samples: Mapping[str, int]) -> int:
    """Number of items of a stage if none fails: its samples, and its corpora as wholes, at each of its points."""
    return sum((count + stage.wholes) * points(study, stage, entry, corpus) for corpus, count in samples.items())


def points(study: Study, stage: Stage, entry: str, corpus: str) -> int:
    """Number of points of a stage's axes at which a corpus has items.

    What looks at captions looks at rewritten and composed ones too, which are not of all points: their entries say of
    which.
    """
    if stage.name in CHOOSING:
        return CHOOSING[stage.name](study, entry, corpus)
    counts = {}
    for section, owner in SECTIONS.items():
        if owner.axis in stage.axes and owner.counted and owner.name not in CHOOSING:
            mine = stage.axis == owner.axis and stage.each
            some = swept(entry, study.entry(section, entry), study.models) if mine else study.variants(section)
            counts[owner.axis] = len(some)
    pictures = stage.originals + prod(count for axis, count in counts.items() if axis in GRID)
    first = pictures * prod(count for axis, count in counts.items() if axis not in GRID)
    if "recaptioner" not in stage.axes:
        return first
    chosen = ((STAGES[name], entry) for name in CHOOSING for entry in study.entries(str(STAGES[name].section)))
    return first + sum(points(study, other, entry, corpus) for other, entry in chosen)


def recaptioned(study: Study, entry: str, corpus: str) -> int:
    """Number of captions of each sample of a corpus that an entry of ``recaptioners`` rewrites."""
    return sum(rewritten(study, one.scope, corpus) for one in variants(study, entry).values())


def composed(study: Study, entry: str, corpus: str) -> int:
    """Number of captions of each sample of a corpus in the sets of an entry of ``captions``."""
    return sum(corpus in one.corpora for one in sets(study, entry).values())


CHOOSING: dict[str, Callable[[Study, str, str], int]] = {"recaption": recaptioned, "compose": composed}
"""The stages whose entries say themselves what they are about, and the number of points that a corpus has there."""


def paintings(study: Study, stage: Stage, entry: str) -> int:
    """Number of paintings that a stage makes or looks at, if no training fails."""
    looked_at = {"paint": [entry], "quality": study.entries("painters")}
    painters = [one for name in looked_at.get(stage.name, ()) for one in painters_of(study, name).values()]
    prompts = {corpus: len(read(study, corpus)[0]) for corpus in {corpus for one in painters for corpus in one.prompts}}
    concerned = concerned_by(study, stage, entry, prompts) if prompts else {}
    return sum(concerned.get(corpus, 0) * (1 + len(one.trainings)) for one in painters for corpus in one.prompts)


def answered(study: Study, stage: Stage, entry: str, samples: Mapping[str, int], outputs: Outputs) -> int:
    """Number of items of a stage that asks about pictures of which not all are known yet, if nothing fails."""
    count = 0
    some = answerers_of(study, entry).values() if stage.name == "answer" else ()
    if all(outputs.count(outputs.shards(PREPARED / name)) == samples[name] for one in some for name in one.corpora):
        return 0  # its node says so itself, and nothing is read twice
    for one in some:
        for corpus in one.corpora:
            asked = asked_about(study, one, corpus)
            count += (len(asked) + bool(asked)) * (1 + len(one.trainings))
    return count


def asked_about(study: Study, one: Answering, corpus: str) -> dict[str, dict[str, list[Question]]]:
    """The questions about the pictures of a corpus, of which none need be prepared yet."""
    return one.about({each.sample: each.annotations for each in prepare.read(study, corpus)[0]})


def rewritten(study: Study, scope: Scope, corpus: str) -> int:
    """Number of captions of each sample of a corpus that one variant of an entry of ``recaptioners`` rewrites."""
    if corpus not in scope.about(study):
        return 0
    if scope.references:
        return 1
    repainted = len(study.variants("degradations")) * len(study.variants("inpainters")) if scope.repainted else 0
    return (1 + repainted) * len(scope.said_by(study))
