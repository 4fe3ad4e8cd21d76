"""What ``palimpsest repro`` looks at before anything runs: every name and every value of ``params.yaml``."""

from __future__ import annotations

from pathlib import Path

from models.adapters.settings import validated
from models.measures.embeddings.projection import Projection
from stages.compose import sets
from stages.corpora import corpus_of
from stages.corpora.watched import check_watched
from stages.degrade import degradations_of
from stages.engine.answering import variants as answerers_of
from stages.engine.entries import ROLES, Adapted
from stages.engine.study import PARAMS, Study, absent, completed, make_empty_folders
from stages.engine.trainings import variants as trainings_of
from stages.paint import variants as painters_of
from stages.prompt import opened, read
from stages.recaption import variants


def check(study: Study) -> None:
    """Build every corpus and every adapter without loading any.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for the first that is wrong.
    """
    if not study.entries("corpora"):
        raise ValueError("The study has no corpora, so there is nothing to look at; name one under `corpora`.")
    paths: dict[str, Path] = {}
    for name, entry in study.entries("corpora").items():
        paths[name] = Path(corpus_of(entry).settings.path)
        degradations_of(study, name)
    for name in study.entries("recaptioners"):
        _ = [one.identity for one in variants(study, name).values()]
    for name in study.entries("captions"):
        sets(study, name)
    prompts = {name: opened(study, name) for name in study.entries("prompts")}
    for name in study.entries("training"):
        _ = [one.identity for one in trainings_of(study, name).values()]
    for name in study.entries("painters"):
        _ = painters_of(study, name)
    for name in study.entries("answerers"):
        _ = [one.identity(one.player) for one in answerers_of(study, name).values()]
    for section in ROLES:
        for name, entry in study.variants(section).items():
            adapted = Adapted(name, entry, section, study.models)
            _ = adapted.identity
            validated(f"the projection of {name}", Projection, adapted.projection)
            for corpus in adapted.corpora or ():
                study.entry("prompts" if adapted.role == "prompted" else "corpora", corpus)
    for name, path in paths.items():  # a mistake in writing is told first
        check_watched(path, f"corpora.{name} in {study.file}", study.entry("corpora", name)["adapter"])
    for name, asked in prompts.items():
        where, path, source = f"prompts.{name} in {study.file}", Path(asked.settings.path), asked.SOURCE.where
        if not path.exists():
            raise FileNotFoundError(f"There is no folder {path} for {where}. Correct its path; its files: {source}.")
        check_watched(path, where, "prompts")
        _ = read(study, name)


def fill_in(study: Study) -> list[str]:
    """Give ``params.yaml`` the sections that it lacks, empty, and ``data/`` the folders of stages without entries.

    DVC wants both to be there; those that come after find nothing in them. Returns the sections.
    """
    text = PARAMS.read_text(encoding="utf-8")
    if lacking := absent(text):
        PARAMS.write_text(completed(text), encoding="utf-8")
    make_empty_folders(study)
    return lacking
