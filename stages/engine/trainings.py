"""Entries of ``training``: which trainer, from which model it starts, and whose captions it learns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field

from models.adapters import catalogue
from models.adapters.roles import Trainer
from models.adapters.settings import Settings, unknown, validated
from registry.store.dag import STAGES
from stages.engine.handling import identity_of
from stages.engine.players import player
from stages.engine.study import Study, swept

SOURCES = tuple(STAGES[name] for name in STAGES["train"].inputs if name != "prepare")
"""The stages whose captions can be learnt from."""


class Scope(Settings):
    """What an entry learns from: whose ``captions``, of which ``corpus`` (the only one where absent), with which
    ``seed``; and of how many pictures (``size``; of all where absent). Which these are hangs on the seed and the
    pictures alone, and the fewer are part of the more."""

    captions: str
    corpus: str | None = None
    seed: int = Field(0, ge=0)
    size: int | None = Field(None, ge=1)


class Training:
    """A variant of an entry of ``training``: the trainer with its base, and what it learns from.

    Raises ``ValueError``, in one sentence, for what is wrong or missing in it.
    """

    def __init__(self, name: str, entry: Mapping[str, Any], study: Study) -> None:
        settings = dict(entry)
        self.name = name
        self.kind = settings.pop("kind", None)
        known = catalogue.CATALOGUE["trainers"]
        if self.kind not in known:
            raise ValueError(unknown(f"kind of training (entry {name})", self.kind, known))
        own = {key: settings.pop(key) for key in settings.keys() & Scope.model_fields}
        self.scope = validated(name, Scope, own)
        self.folder = source(name, self.scope.captions, settings, study, own)
        corpora = study.entries("corpora")
        if self.scope.corpus is None and len(corpora) != 1:
            raise ValueError(f"{name} does not say of which corpus its captions are: set `corpus` to one of them.")
        self.corpus = self.scope.corpus or next(iter(corpora))
        study.entry("corpora", self.corpus)
        kind = catalogue.target("trainers", self.kind)
        (role, of), *_ = kind.ROLES.items()
        if role not in settings:
            raise ValueError(f"{name} names no {role}: {self.kind} trains one of {of}.")
        self.base = player(name, role, settings.pop(role), of, study.models)
        self.role = role
        self.settings = validated(f"{self.kind} (entry {name})", kind.Settings, settings)
        first = getattr(self.settings, "initial_captions", None)
        self.initial = first and source(name, first, {}, study)
        """The folder of the captions of a first stage, where the trainer has one."""
        self.instructions: str | None = getattr(self.settings, "instructions", None)
        """The corpus whose questions are learnt, where the trainer learns any."""
        if self.instructions:
            study.entry("corpora", self.instructions)

    @cached_property
    def trainer(self) -> Trainer:
        base = catalogue.build(self.base.role, self.base.name, self.base.entry)
        made: Trainer = catalogue.target("trainers", str(self.kind))(self.settings, base)
        return made

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Part of the key of every item, beside the lessons and the seed."""
        return identity_of(str(self.kind), self.trainer)

    @cached_property
    def encoding(self) -> dict[str, Any]:
        """Part of the key of every piece."""
        return {"adapter": self.kind, "version": self.trainer.VERSION, **self.trainer.encoding()}


def source(
    name: str, captions: str, settings: dict[str, Any], study: Study, own: Mapping[str, Any] = MappingProxyType({})
) -> Path:
    """The folder of the captions that an entry names; what it says of their sweep is taken out of its settings, and
    stays among its ``own``: a seed is that of captions and training alike, where the captions have several.

    Raises ``ValueError`` where nobody of that name says captions, or one of several is meant.
    """
    known = {entry: stage for stage in SOURCES for entry in study.entries(str(stage.section))}
    if captions not in known:
        raise ValueError(unknown(f"captioner, recaptioner or caption set (entry {name})", captions, known))
    stage = known[captions]
    sweep = study.entry(str(stage.section), captions).get("sweep", {})
    if lacking := sorted(sweep.keys() - settings.keys() - own.keys()):
        raise ValueError(
            f"{captions} sweeps over {lacking[0]}, and {name} does not say which it learns from: give it a "
            f"`{lacking[0]}`, or sweep over it, too."
        )
    chosen = {key: settings.pop(key) if key in settings else own[key] for key in sweep}
    variant = "/".join([captions, *[",".join(f"{key}={one}" for key, one in chosen.items())] * bool(chosen)])
    if variant not in study.variants(str(stage.section)):
        raise ValueError(unknown(f"variant of {captions} (entry {name})", variant, study.variants(str(stage.section))))
    return stage.folder(variant)


def variants(study: Study, name: str) -> dict[str, Training]:
    """The variants of an entry of ``training``; raises ``ValueError`` where it is wrong."""
    entry = study.entry("training", name)
    return {one: Training(one, said, study) for one, said in swept(name, entry, study.models).items()}


def starting(
    study: Study, name: str, named: Sequence[str] | None, starts: Callable[[Training], bool], must: str
) -> dict[str, Training]:
    """The trainings that start from the model of the entry ``name``: all such of a study, or those that it names.

    Raises ``ValueError`` where it names one that is not there, or that does not do what it ``must``.
    """
    known = study.entries("training")
    found: dict[str, Training] = {}
    for entry in known if named is None else named:
        if entry not in known:
            raise ValueError(unknown(f"training (entry {name})", entry, known))
        some = {variant: one for variant, one in variants(study, entry).items() if starts(one)}
        found |= some
        if not some and named is not None:
            raise ValueError(f"{entry} does not {must}.")
    return found
