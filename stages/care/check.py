"""What ``palimpsest repro`` looks at before anything runs: every name and every value of ``params.yaml``."""

from __future__ import annotations

from models.adapters.settings import validated
from models.measures.embeddings.projection import Projection
from stages.corpora import corpus_of
from stages.degrade import degradations_of
from stages.engine.entries import ROLES, Adapted
from stages.engine.study import Study
from stages.recaption import variants


def check(study: Study) -> None:
    """Build every corpus and every adapter without loading any.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for the first that is wrong.
    """
    for name, entry in study.entries("corpora").items():
        corpus_of(entry)
        degradations_of(study, name)
    for name in study.entries("recaptioners"):
        _ = [one.identity for one in variants(study, name).values()]
    for section in ROLES:
        for name, entry in study.variants(section).items():
            adapted = Adapted(name, entry, section)
            _ = adapted.identity
            validated(f"the projection of {name}", Projection, adapted.projection)
            for corpus in adapted.corpora or ():
                study.entry("corpora", corpus)
