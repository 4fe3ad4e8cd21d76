"""``palimpsest recaption``: the pictures of a folder get better captions, by the stages that a study has.

The folder is the one corpus of a small study, which is run below ``.palimpsest/folders``; so what is known is not asked
again, after a kill as after a change of the folder. What was written into the folder is remembered there too: a caption
of ours is never taken for the first one of its picture.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.adapters.settings import unknown
from registry.store import places
from registry.store.dag import STAGES
from registry.store.database import connect
from registry.store.items import ItemStore
from registry.store.keys import digest, item_key
from registry.store.objects import ObjectStore
from registry.store.params import parsed
from stages import prepare, recaption
from stages.care.captioned import Existing, kept, of_row, one_line, sample_of
from stages.corpora import Problem, Sample
from stages.corpora.folder import Folder
from stages.corpora.watched import check_watched, shown
from stages.engine.loop import execute
from stages.engine.shards import DISK
from stages.engine.study import STUDIES, Study, read_study

CORPUS = "folder"
WRITTEN = Path("written.json")
"""What was written of a folder, below its study's."""

POCKET = ("rivals", "default")
"""The studies whose methods run on pocket models; where two set a method, the last counts."""

CAPTIONER = {"model": "llava", "max_tokens": 60}
"""Who writes first captions where they set none; one of their ``models``."""


def study_of(folder: Path, method: str, models: Path | None) -> Study:
    """The study of a folder: its pictures, and a method as ``models`` sets it.

    ``models`` is a YAML file with ``models``, as in params.yaml, and by the methods' names the settings of each.
    Without it those of our studies are taken, which run on pocket models.

    Raises ``ValueError`` or ``FileNotFoundError``, in one sentence, for what is wrong.
    """
    base = Path.cwd() if models else places.root()
    if models is None:
        own = [read_study(base / STUDIES / f"{name}.yaml") for name in POCKET]
        described = {name: said for study in own for name, said in study.models.items()}
        entries = [said for study in own for said in study.entries("recaptioners").values()]
        known = {said["method"]: said for said in entries if "method" in said}
        known = {
            name: {"captioner": CAPTIONER, "first_prompt": "Describe the image.", **said}
            for name, said in known.items()
        }
    else:
        if not models.is_file():
            raise FileNotFoundError(f"There is no file {models}; write `models` and the settings of {method} into one.")
        content = parsed(models.read_bytes(), models) or {}
        if not isinstance(content, dict) or not all(isinstance(said, dict | None) for said in content.values()):
            raise ValueError(f"{models} should map `models` and the names of methods to their settings.")
        described = content.pop("models", None) or {}
        known = {name: {"method": name, **(said or {})} for name, said in content.items()}
    if method not in known:
        raise ValueError(unknown(f"method of {models or 'pocket models'}", method, known))
    scope = ("captioners", "corpora", "repainted", "references", "sweep")
    entry = {name: value for name, value in known[method].items() if name not in scope}
    where = folder.resolve()
    study = Study.model_validate(
        {
            "study": f"folder-{digest(str(where).encode())[:12]}",
            "models": placed(described, base),
            "corpora": {CORPUS: {"adapter": "folder", "path": str(where)}},
            "recaptioners": {method: {**placed(entry, base), "references": True}},
            **{name: {} for name in ("degradations", "inpainters", "captioners", "encoders", "fidelity", "quality")},
        }
    )
    check_watched(where, f"`palimpsest recaption {folder}`", "folder")
    _ = method_of(study).identity
    return study


def placed(said: Any, base: Path) -> Any:
    """Settings in which the checkpoints below ``base`` have whole paths: another folder is worked in."""
    if not isinstance(said, Mapping):
        return said
    return {
        name: str(base / value)
        if name in ("checkpoint", "weights") and isinstance(value, str) and (base / value).exists()
        else placed(value, base)
        for name, value in said.items()
    }


def method_of(study: Study) -> recaption.Recaptioning:
    """The one method of the study of a folder."""
    [name] = study.entries("recaptioners")
    return recaption.variants(study, name)[name]


def home(study: Study) -> Path:
    """The folder of the outputs of a study of a folder."""
    there = places.home() / "folders" / study.study
    there.mkdir(parents=True, exist_ok=True)
    return there


@contextmanager
def inside(study: Study) -> Iterator[None]:
    """Work where the outputs of a study of a folder are; places that the environment names stay where they are."""
    here, named = Path.cwd(), {name: os.environ[name] for name in places.SETTINGS if os.environ.get(name)}
    there, fixed = home(study), {name: places.absolute(url) for name, url in named.items()}
    os.chdir(there)
    os.environ.update(fixed)
    try:
        yield
    finally:
        os.chdir(here)
        os.environ.update(named)


@contextmanager
def alone(study: Study) -> Iterator[None]:
    """Let nobody else caption the same folder in this checkout.

    Raises ``ValueError`` where somebody does.
    """
    with (home(study) / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            folder = study.entry("corpora", CORPUS)["path"]
            raise ValueError(f"Another `palimpsest recaption` is captioning {folder}; wait for its end.") from None
        yield


def names(study: Study) -> dict[str, str]:
    """By sample the picture's name, relative to the folder."""
    folder = Path(study.entry("corpora", CORPUS)["path"])
    files = Folder(Folder.Settings(path=folder)).files()
    return {sample: shown(path.relative_to(folder)) for sample, path in files.items()}


def read(study: Study, existing: Existing) -> tuple[list[Sample], list[Sample], list[Problem]]:
    """The pictures to be captioned, those to be left alone because they have captions, and what is wrong with others.

    The captions of a picture are those that it had before we wrote any.
    """
    samples, problems = prepare.read(study, CORPUS)
    ours, found = written(), []
    for sample in samples:
        one = ours.get(sample.sample, {"captions": []})
        mine = [one_line(text) for text in sample.references] in [[one_line(text)] for text in one["captions"]]
        found.append(replace(sample, references=tuple(one["references"])) if mine else sample)
    if existing != "skip":
        return found, [], problems
    return [one for one in found if not one.references], [one for one in found if one.references], problems


def rewrite(study: Study, existing: Existing, retry_failed: bool = False) -> list[dict[str, Any]]:
    """Caption anew the pictures of a folder; a record for each (:mod:`stages.care.captioned`), in the order of names.

    ``retry_failed``: models that failed in an earlier run are asked again, also where a caption was kept nevertheless.

    Raises ``ValueError`` where no picture can be read.
    """
    method = method_of(study)
    with inside(study):
        wanted, left, problems = read(study, existing)
        named = names(study)
        records = [kept(one.sample, named[one.sample], one.references, method.kind) for one in left]
        if wanted:
            records += captioned(study, wanted, problems, named, existing, retry_failed)
    records += [kept(one.sample, one.sample, (), method.kind, one.message) for one in lost(problems, records)]
    return sorted(records, key=lambda one: one["file_name"])


def captioned(
    study: Study,
    samples: Sequence[Sample],
    problems: Sequence[Problem],
    names: Mapping[str, str],
    existing: Existing,
    retry_failed: bool,
) -> Iterator[dict[str, Any]]:
    """Run the two stages over some pictures, and read their records."""
    [name] = study.entries("recaptioners")
    execute(prepare.node_of(study, CORPUS, samples, problems))
    if retry_failed:
        forget_failures(study, name)
    execute(recaption.node(study, name))
    before = {sample.sample: sample.references for sample in samples}
    folder, method = STAGES["recaption"].folder(name), method_of(study).kind
    asked = (row for path in sorted(folder.rglob("asked-*.parquet")) for row in DISK.read(path, ("key", "value")))
    replies = {row["key"]: json.loads(row["value"]) for row in asked}
    rows = {row["sample"]: row for row in DISK.rows(folder)}
    for row in DISK.rows(STAGES["prepare"].folder(CORPUS), ("sample", "reason")):
        sample = row["sample"]
        if sample in rows:
            yield of_row(rows[sample], names[sample], before[sample], replies, existing)
        else:
            yield kept(sample, names[sample], before[sample], method, row["reason"])


def forget_failures(study: Study, name: str) -> None:
    """Turn captions that some model's failure has a part in into failures, so that it is asked again."""
    store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
    tasks = [task for _, tasks in recaption.node(study, name).plan for task in tasks]
    known = store.recall(item_key(STAGES["recaption"].kind, task.parts) for task in tasks)
    failures = {key: (one.value or {}).get("failures", ()) for key, one in known.items()}
    answered = store.recall(one["request"] for some in failures.values() for one in some).keys()
    for key, some in failures.items():
        if any(one["request"] not in answered for one in some):
            store.lose(known[key], "A model did not answer; it is asked again.")


def lost(problems: Sequence[Problem], records: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """The first problem of each picture or row that got no record at all."""
    seen = {sample_of(record) for record in records}
    for problem in problems:
        if problem.sample not in seen:
            seen.add(problem.sample)
            yield problem


def remember(study: Study, records: Sequence[Mapping[str, Any]]) -> None:
    """Remember what is written into a folder; before it is, so that a kill between the two loses nothing."""
    with inside(study):
        ours = written()
        for one in (one for one in records if one["caption"]):
            mine = ours.setdefault(sample_of(one), {"references": one["references"], "captions": []})
            mine["references"] = one["references"]
            mine["captions"] = list(dict.fromkeys([*mine["captions"], one["caption"]]))
        half = WRITTEN.with_name(f".{WRITTEN.name}.half")
        half.write_text(json.dumps(ours, ensure_ascii=False), encoding="utf-8")
        half.replace(WRITTEN)


def written() -> dict[str, dict[str, list[str]]]:
    """By sample the captions that we wrote, and those that the picture had before."""
    return json.loads(WRITTEN.read_text(encoding="utf-8")) if WRITTEN.exists() else {}
