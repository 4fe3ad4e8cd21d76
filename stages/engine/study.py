"""The study: what ``params.yaml`` asks for.

Everything listed there is in the study: each corpus is degraded in each way, repainted by each inpainter, and captioned
by each captioner. An entry's ``adapter`` names its class in the catalogue, the rest are that class's settings. A
degradation, an inpainter or a captioner may ``sweep`` over some of them: then it stands for one variant for each
combination of values, all computed by one stage.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations, product
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, PrivateAttr, StringConstraints, create_model, model_validator

from models.adapters.references import resolved
from models.adapters.settings import Settings, unknown, validated
from registry.store.dag import HOLDING, SECTIONS, Stage
from registry.store.params import parsed

PARAMS = Path("params.yaml")
STUDIES = Path("studies")

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=200)]
"""Names become stage names, files and DVC parameters, so they are letters, digits, ``-`` and ``_``, and not long."""

Judge = Annotated[Name, StringConstraints(max_length=22)]
"""What compares or measures: its name is part of its items' kind, for which the registry has 32 characters."""

LONGEST = 255
"""Characters that the registry, and a folder, have for the name of a variant."""

OURS = ("none", "original", "all")
"""Names that tables and pages give to what is not there, to the untouched picture, and to all corpora."""

Engine = Literal["local", "ray"]
ENGINES = get_args(Engine)

SWEPT = re.compile(r"[A-Za-z0-9._+-]+")


class _Study(Settings):
    """The sections of ``params.yaml``; each maps names, chosen freely, to entries."""

    study: Name
    _file: Path = PrivateAttr(PARAMS)

    models: dict[Name, dict[str, Any]] = {}
    """Models that entries refer to by name, in place of describing them."""

    engine: Engine = Field("local", exclude=True)
    """Where its stages compute (:mod:`stages.engine.actors`): no result depends on it."""

    @property
    def file(self) -> Path:
        """Where the study stands."""
        return self._file

    @model_validator(mode="after")
    def _free_names(self) -> _Study:
        for section in SECTIONS:
            if taken := sorted(set(OURS) & set(self.entries(section))):
                raise ValueError(
                    f"{section} has an entry called {taken[0]!r}, which is a name that tables use themselves; call it "
                    "something else"
                )
        for axis in {stage.axis for stage in SECTIONS.values() if stage.axis}:
            sections = [section for section, stage in SECTIONS.items() if stage.axis == axis]
            for one, other in combinations(sections, 2):
                if twice := sorted(self.entries(one).keys() & self.entries(other).keys()):
                    raise ValueError(
                        f"{one} and {other} both have an entry called {twice[0]!r}, and what they make could not be "
                        "told apart; call one of them something else"
                    )
        return self

    def entries(self, section: str) -> dict[str, dict[str, Any]]:
        """The entries of a section, by name."""
        return getattr(self, section)

    def variants(self, section: str) -> dict[str, dict[str, Any]]:
        """Variants of the entries of a section, by name: on an axis those they sweep over, elsewhere the entries."""
        names = self.entries(section)
        if SECTIONS[section].axis is None:
            return {name: self.entry(section, name) for name in names}
        found = (swept(name, entry, self.models) for name, entry in names.items())
        return {name: settings for some in found for name, settings in some.items()}

    def axes(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Settings by axis and name."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for section, stage in SECTIONS.items():
            if stage.axis:
                found.setdefault(stage.axis, {}).update(self.variants(section))
        return found

    def stages(self) -> Iterator[tuple[Stage, str]]:
        """Every stage that holds items, parents before children, with the entry that it is for."""
        for stage in HOLDING:
            entries = self.entries(stage.section) if stage.section and stage.each else ("",)
            yield from ((stage, entry) for entry in entries)

    def params(self) -> dict[str, Any]:
        """Parameters of the study, with the entries on axes replaced by their variants."""
        written = {name: value for name, value in self.model_dump().items() if value}
        return written | {section: self.variants(section) for section, stage in SECTIONS.items() if stage.axis}

    def entry(self, section: str, name: str) -> dict[str, Any]:
        """One entry of a section, with the model that it refers to.

        Raises ``ValueError`` with the nearest known name where the section has no such entry.
        """
        entries = self.entries(section)
        if name not in entries:
            raise ValueError(unknown(f"entry of {section} in {self.file}", name, entries))
        return resolved(entries[name], self.models)


if TYPE_CHECKING:
    Study = _Study
else:
    Study = create_model(
        "Study",
        __base__=_Study,
        **{name: (dict[Judge if stage.measures else Name, dict[str, Any]], {}) for name, stage in SECTIONS.items()},
    )


def make_empty_folders(study: Study) -> None:
    """Make the folders of stages that no entry asks for: DVC wants them to be there for those that come after."""
    for stage in HOLDING:
        if stage.each and stage.section and not study.entries(stage.section):
            stage.folder().mkdir(parents=True, exist_ok=True)


def absent(text: str) -> list[str]:
    """The sections that a study file lacks. They are empty, but DVC wants them to be there.

    >>> absent("{study: mine, models: {}, corpora: {}}")[:2]
    ['degradations', 'inpainters']
    """
    there = parsed(text, "the study")
    return [name for name in ("models", *SECTIONS) if not isinstance(there, dict) or name not in there]


def completed(text: str) -> str:
    """A study file with the sections that it lacks."""
    more = "".join(f"{name}: {{}}\n" for name in absent(text))
    return f"{text.rstrip()}\n{more}" if more else text


def swept(
    name: str, entry: Mapping[str, Any], models: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
) -> dict[str, dict[str, Any]]:
    """Variants of an entry, whose names are paths below its own; itself where it has no sweep.

    ``models`` are those that it may refer to by name.

    Raises ``ValueError`` where ``sweep`` is not a mapping of settings to lists of values.

    >>> swept("sd", {"adapter": "stable-diffusion", "sweep": {"guidance": [1, 7.5], "seed": [0]}})
    {'sd/guidance=1,seed=0': {'adapter': 'stable-diffusion', 'guidance': 1, 'seed': 0}, \
'sd/guidance=7.5,seed=0': {'adapter': 'stable-diffusion', 'guidance': 7.5, 'seed': 0}}
    """
    settings = dict(entry)
    if "sweep" not in settings:
        return {name: resolved(settings, models)}
    sweep = settings.pop("sweep")
    if not isinstance(sweep, dict) or not sweep or not all(isinstance(v, list) and v for v in sweep.values()):
        raise ValueError(
            f"The sweep of {name} is {sweep!r}; name settings and list their values, as in {{guidance: [1, 3]}}."
        )
    if wrong := [value for values in sweep.values() for value in values if not SWEPT.fullmatch(str(value))]:
        raise ValueError(f"{name} sweeps over {wrong[0]!r}; values become folders, so take numbers or plain words.")
    if settings.keys() & sweep.keys():
        raise ValueError(f"{name} sets {min(settings.keys() & sweep.keys())!r} and sweeps over it; leave one out.")
    found = {}
    for values in product(*sweep.values()):
        some = dict(zip(sweep, values, strict=True))
        variant = ",".join(f"{key}={value}" for key, value in some.items())
        if len(f"{name}/{variant}") > LONGEST:
            raise ValueError(
                f"{name} sweeps over so much that its variants have names of more than {LONGEST} characters, such as "
                f"{variant[:40]}…; split it into several entries."
            )
        found[f"{name}/{variant}"] = resolved(settings | some, models)
    return found


def read_study(path: Path = PARAMS) -> Study:
    """The study in a file: that of the working directory, unless another is named.

    Raises ``FileNotFoundError`` without the file, ``ValueError`` where it is no YAML or its sections are not a study's.
    """
    if not path.is_file():
        known = ", ".join(str(file) for file in sorted(STUDIES.glob("*.yaml")))
        raise FileNotFoundError(f"There is no study {path}; choose one of {known or 'your own'}.")
    content = parsed(path.read_bytes(), path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no study: a study names itself and its sections, as params.yaml does.")
    study = validated(str(path), Study, content)
    study._file = path
    return study
