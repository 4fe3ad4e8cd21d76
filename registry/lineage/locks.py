"""What ``dvc.lock`` says of stages and their outputs, now and in the commits before."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from registry.store import git, places

COMMITS = 50
"""Number of commits of ``dvc.lock`` that are looked at, from the newest back."""


@dataclass(frozen=True, slots=True)
class Locked:
    """Entry of a stage in ``dvc.lock``: command, parameters, and dependencies and outputs with their MD5 by path."""

    stage: str
    command: str
    dependencies: Mapping[str, str | None]
    parameters: Mapping[str, Any]
    outputs: Mapping[str, str | None]

    @property
    def link(self) -> str | None:
        """The path of its run link; None for a stage that leaves none, since it computes no items."""
        path = f"{places.RUN_LINKS}/{self.stage}.json"
        return path if path in self.outputs else None


@dataclass(frozen=True, slots=True)
class Output:
    """The lineage of what is no item: the stage that wrote it, and with what."""

    name: str
    locked: Locked
    makers: Mapping[str, tuple[str, ...]]
    """The stages that wrote each dependency; none for code, and for data from elsewhere."""
    commit: str | None
    """The first commit that has this entry of ``dvc.lock``; None where none has it yet."""
    run: Mapping[str, Any] | None
    """The run link; None where the stage leaves none, or it is not here."""

    def as_json(self) -> dict[str, Any]:
        dependencies = [
            {"path": path, "md5": md5, "stages": list(self.makers[path])}
            for path, md5 in self.locked.dependencies.items()
        ]
        stage = asdict(self.locked) | {"dependencies": dependencies}
        return {"name": self.name, **stage, "commit": self.commit, "run": self.run}


def read_lock(text: str) -> dict[str, Locked]:
    """The stages of a lock file.

    >>> lock = read_lock("stages: {draw: {cmd: pen, params: {params.yaml: {ink: 3}}, outs: [{path: a.png, md5: 0f}]}}")
    >>> lock["draw"].parameters, lock["draw"].outputs
    ({'ink': 3}, {'a.png': '0f'})

    Raises ``ValueError`` where it is none, such as one that was cut off or that a merge left in two versions.
    """
    try:
        return _stages(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) or {})
    except (yaml.YAMLError, LookupError, TypeError, AttributeError) as error:
        what = "holds a merge that is not settled" if "\n<<<<<<< " in f"\n{text}" else "is no lock file any more"
        raise ValueError(
            f"dvc.lock {what} ({' '.join(str(error).split())[:100]}); take either side of it, or `git checkout "
            "dvc.lock`, and run `palimpsest repro`: what is known is recalled, not computed."
        ) from None


def _stages(found: Mapping[str, Any]) -> dict[str, Locked]:
    return {
        name: Locked(
            name,
            stage["cmd"],
            {dep["path"]: dep.get("md5") for dep in stage.get("deps", ())},
            {name: value for values in stage.get("params", {}).values() for name, value in values.items()},
            {out["path"]: out.get("md5") for out in stage.get("outs", ())},
        )
        for name, stage in found.get("stages", {}).items()
    }


def lock() -> dict[str, Locked]:
    """The stages that ``dvc.lock`` has in this checkout; none outside a checkout, or before the first run."""
    try:
        return read_lock((places.root() / "dvc.lock").read_text())
    except FileNotFoundError:
        return {}


def history(stage: str) -> Iterator[tuple[str, Locked]]:
    """The commits that changed ``dvc.lock``, the newest first, with what each says of a stage, where it has it."""
    for commit in git.answer("log", f"-{COMMITS}", "--format=%H", "--", "dvc.lock").split():
        with suppress(ValueError):  # a merge that was committed as it stood
            if then := read_lock(git.answer("show", f"{commit}:./dvc.lock")).get(stage):
                yield commit, then


def first_commit(locked: Locked) -> str | None:
    """The commit from which on ``dvc.lock`` has had this entry, the last time that it came to have it."""
    first = None
    for commit, then in history(locked.stage):
        if then == locked:
            first = commit
        elif first:
            break
    return first


def read_link(stage: str) -> dict[str, Any] | None:
    """The run link of a stage; None where it leaves none, or where it is not here."""
    path = places.root() / places.RUN_LINKS / f"{stage}.json"
    return json.loads(path.read_text()) if path.exists() else None


def output_of(name: str, stages: Mapping[str, Locked], stage: str) -> Output:
    """Lineage of an output that a stage wrote."""
    locked = stages[stage]
    makers = {
        path: tuple(sorted(n for n, s in stages.items() if any(touches(path, out) for out in s.outputs)))
        for path in locked.dependencies
    }
    return Output(name, locked, makers, first_commit(locked), read_link(stage))


def touches(one: str, other: str) -> bool:
    """Whether one path is the other, or inside it, or around it.

    >>> touches("data/caption", "data/caption/blip"), touches("data/caption", "data/captions")
    (True, False)
    """
    a, b = Path(one), Path(other)
    return a.is_relative_to(b) or b.is_relative_to(a)


def outputs_at(path: Path, stages: Mapping[str, Locked]) -> dict[str, str]:
    """The outputs at, above or below a path, each with its stage; none where the path is outside the checkout."""
    try:
        place = os.path.relpath(path, places.root())
    except FileNotFoundError:
        return {}
    return {out: name for name, stage in stages.items() for out in stage.outputs if touches(place, out)}
