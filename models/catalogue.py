"""Every adapter by role and name, and how one is made from an entry of ``params.yaml``.

A role is a folder of :mod:`models`. Importing this module imports no adapter, and making one imports no heavy library.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

CATALOGUE: dict[str, dict[str, str]] = {
    "inpainters": {
        "identity": "models.inpainters.classical:Identity",
        "telea": "models.inpainters.classical:Telea",
        "navier-stokes": "models.inpainters.classical:NavierStokes",
        "biharmonic": "models.inpainters.classical:Biharmonic",
        "stable-diffusion": "models.inpainters.stable_diffusion:StableDiffusion",
    },
    "captioners": {
        "blip": "models.captioners.blip:Blip",
    },
    "embedders": {
        "sbert": "models.embedders.sbert:Sbert",
    },
    "measures": {
        "pixel": "models.measures.pixel:Pixel",
        "lpips": "models.measures.perceptual:Lpips",
        "lexical": "models.measures.lexical:Lexical",
        "semantic": "models.measures.semantic:Semantic",
    },
}
"""Role -> adapter -> "module:class"."""


def build(role: str, name: str, settings: Mapping[str, Any]) -> Any:
    """The adapter of the entry ``name``, not loaded.

    ``settings`` is the entry: ``adapter`` names the class in :data:`CATALOGUE`, everything else is checked by that
    class's ``Settings``.

    Raises
    ------
    ValueError
        One sentence about the first thing that is wrong: an adapter or parameter that does not exist (with the nearest
        that does), a parameter that is missing, or a value that is not allowed.

    >>> build("inpainters", "mine", {"adapter": "telea", "radius": 5}).settings.radius
    5.0
    >>> build("inpainters", "mine", {"adapter": "telae"})
    Traceback (most recent call last):
        ...
    ValueError: There is no adapter for inpainters (entry 'mine') named 'telae': did you mean 'telea'? \
Known: identity, telea, navier-stokes, biharmonic, stable-diffusion.
    """
    if role not in CATALOGUE:
        raise ValueError(unknown("role", role, CATALOGUE))
    given = dict(settings)
    adapter = given.pop("adapter", None)
    known = CATALOGUE[role]
    if adapter is None:
        raise ValueError(f"Entry {name!r} names no adapter: set `adapter` to one of {', '.join(known)}.")
    if adapter not in known:
        raise ValueError(unknown(f"adapter for {role} (entry {name!r})", str(adapter), known))
    kind = target(role, adapter)
    try:
        return kind(kind.Settings(**given))
    except ValidationError as error:
        raise ValueError(_sentence(error, f"{adapter} (entry {name!r})", kind.Settings.model_fields)) from None


def target(role: str, adapter: str) -> type:
    """The class behind a name of the catalogue.

    >>> target("captioners", "blip").__name__
    'Blip'
    """
    module, _, name = CATALOGUE[role][adapter].partition(":")
    return getattr(importlib.import_module(module), name)


def unknown(what: str, name: str, known: Iterable[str]) -> str:
    """The sentence about a name that does not exist: the nearest one that does, and all of them.

    >>> unknown("parameter of telea", "radios", ["radius"])
    "There is no parameter of telea named 'radios': did you mean 'radius'? Known: radius."
    """
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    guess = f": did you mean {near[0]!r}?" if near else "."
    return f"There is no {what} named {name!r}{guess} Known: {', '.join(names) or 'none'}."


def _sentence(error: ValidationError, where: str, fields: Iterable[str]) -> str:
    """What pydantic found wrong first, in words."""
    first = error.errors()[0]
    parameter = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        return unknown(f"parameter of {where}", parameter, fields)
    if first["type"] == "missing":
        return f"{where} needs the parameter {parameter!r}, which is not set."
    expected = first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not parameter:
        return f"{where}: {expected}."
    return f"Parameter {parameter!r} of {where} {expected}, but is {first['input']!r}."
