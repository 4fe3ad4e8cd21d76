"""``palimpsest use``: another study file becomes ``params.yaml``."""

from __future__ import annotations

from pathlib import Path

from registry.store import git
from stages.care.check import check
from stages.corpora import Sample, corpus_of
from stages.engine.study import PARAMS, STUDIES, Study, completed, read_study
from stages.prepare import read


def choose(path: Path) -> Study:
    """Check a study file and copy it to ``params.yaml``, which DVC reads.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for what is wrong with the study and its corpora,
    and where ``params.yaml`` has edits that are kept nowhere else.
    """
    study = read_study(path)
    check(study)
    for name, entry in study.entries("corpora").items():
        if not any(isinstance(each, Sample) for each in corpus_of(entry).samples()):
            read(study, name)  # says why
    if PARAMS.is_file() and not is_kept(PARAMS.read_bytes(), path):
        raise ValueError(
            f"{PARAMS} has edits that are kept nowhere else; commit them, or copy the file to "
            f"{STUDIES}/NAME.yaml, and run again."
        )
    if path.resolve() != PARAMS.resolve():
        PARAMS.write_text(completed(path.read_text(encoding="utf-8")), encoding="utf-8")
    return study


def is_kept(content: bytes, *others: Path) -> bool:
    """Whether some other study file holds this content, or the last commit does."""
    committed = git.answer("show", f"HEAD:./{PARAMS}").encode()
    known = [*(file.read_bytes() for file in (*others, *STUDIES.glob("*.yaml"))), committed]
    return content in known or content in map(whole, known)


def whole(content: bytes) -> bytes:
    """A study file as it becomes ``params.yaml``; what is no study stays as it is."""
    try:
        return completed(content.decode()).encode()
    except ValueError:
        return content
