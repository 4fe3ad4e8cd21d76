"""What ``palimpsest repro`` looks at before anything runs: every name and every value of ``params.yaml``."""

from __future__ import annotations

from stages.adapted import ROLES, Adapted
from stages.corpora import corpus_of
from stages.degrade import degradations_of, region_of
from stages.study import Study


def check(study: Study) -> None:
    """Build every corpus and every adapter without loading any.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for the first that is wrong.
    """
    for entry in study.corpora.values():
        corpus_of(entry)
        region_of(entry)
    degradations_of(study)
    for section in ROLES:
        for name, entry in getattr(study, section).items():
            adapted = Adapted(name, entry, section)
            _ = adapted.identity
            for corpus in adapted.corpora or ():
                study.entry("corpora", corpus)
