"""What ``palimpsest corpora`` says: where each corpus comes from, and what of it is missing on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from string import Formatter
from typing import Any

from registry.store.params import parsed
from stages.corpora import CATALOGUE, Corpus, corpus_class, corpus_of
from stages.engine.study import PARAMS, STUDIES


def survey(names: Sequence[str], path: Path | None = None) -> list[dict[str, Any]]:
    """Describe the corpora with these names; without names, all in the catalogue.

    Each is ``{"corpus", "about", "where", "licence", "needs", "uses"}``: ``needs`` are the files of a corpus with
    default settings, and a use is a place where it is looked for, ``{"study", "entry", "path", "missing", "error"}``.
    The places are the entries of params.yaml and of ``studies/*.yaml`` or, where a ``path`` is given, that folder
    alone, with no study and no entry; generated corpora are looked for nowhere. An error is what is wrong with an
    entry's settings.

    Raises ValueError for an unknown name and for a study that is no YAML.
    """
    kinds = {name: corpus_class(name) for name in names or sorted(CATALOGUE)}
    entries = list(_entries())
    found = []
    for name, kind in kinds.items():
        source, uses = kind.SOURCE, []
        if source.files and path is not None:
            uses = [_use(name, {"path": path})]
        elif source.files:
            uses = [_use(name, entry, study, called) for study, called, entry in entries if entry["adapter"] == name]
        defaults = {setting: field.default for setting, field in kind.Settings.model_fields.items()}
        needs = [each for pattern in source.files for each in expanded(pattern, defaults)]
        said = {"about": source.about, "where": source.where, "licence": source.licence}
        found.append({"corpus": name, **said, "needs": needs, "uses": uses})
    return found


def missing(corpus: Corpus) -> list[str]:
    """List what a corpus would look for in its path and not find; the path itself where that is missing.

    >>> missing(corpus_of({"adapter": "dci", "path": "nowhere"}))
    ['the folder nowhere']
    """
    settings = corpus.settings
    if not corpus.SOURCE.files:
        return []
    if not settings.path.is_dir():
        return [f"the folder {settings.path}"]
    asked = [name for pattern in corpus.SOURCE.files for name in expanded(pattern, settings.model_dump())]
    return [name for name in asked if not _is_there(settings.path, name)]


def expanded(pattern: str, settings: Mapping[str, Any]) -> list[str]:
    """A pattern with its settings filled in: once for each value of a list, not at all for one that is absent.

    >>> expanded("{halves}{splits}.json", {"halves": ("a", "b"), "splits": ("test",)})
    ['atest.json', 'btest.json']
    >>> expanded("{images}", {"images": None})
    []
    """
    names = [name for _, name, _, _ in Formatter().parse(pattern) if name]
    values = [settings[name] for name in names]
    choices = [value if isinstance(value, tuple) else () if value is None else (value,) for value in values]
    return [pattern.format_map(dict(zip(names, chosen, strict=True))) for chosen in product(*choices)]


def _is_there(folder: Path, name: str) -> bool:
    return any(folder.glob(name)) if "*" in name else (folder / name).exists()


def _use(name: str, entry: Mapping[str, Any], study: str | None = None, called: str | None = None) -> dict[str, Any]:
    lacks, wrong = [], None
    try:
        lacks = missing(corpus_of({"adapter": name, **entry}))
    except ValueError as error:
        wrong = str(error)
    return {"study": study, "entry": called, "path": str(entry.get("path")), "missing": lacks, "error": wrong}


def _entries() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """The corpora of params.yaml and of the studies: the file, the name that the entry has there, and the entry."""
    for file in (PARAMS, *sorted(STUDIES.glob("*.yaml"))):
        study = parsed(file.read_bytes(), file) if file.is_file() else None
        corpora = study.get("corpora") if isinstance(study, dict) else None
        for name, entry in (corpora if isinstance(corpora, dict) else {}).items():
            if isinstance(entry, dict) and "adapter" in entry:
                yield str(file), name, entry
