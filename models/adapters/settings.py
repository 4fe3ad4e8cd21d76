"""Settings as ``params.yaml`` gives them: refused in one sentence that names the nearest valid choice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from models.adapters.names import unknown as unknown


class Settings(BaseModel):
    """Base of all settings: frozen, and refusing names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=BaseModel)


def validated(what: str, kind: type[S], options: Mapping[str, Any]) -> S:
    """The options as settings of a kind.

    Raises ``ValueError`` with one sentence about the first thing that is wrong.

    >>> class Blur(Settings):
    ...     kernel: int = 3
    >>> validated("blur", Blur, {"kernal": 5})
    Traceback (most recent call last):
    ValueError: There is no setting of blur "kernal"; did you mean "kernel"? Known: kernel.
    >>> validated("blur", Blur, {"kernel": [3]})
    Traceback (most recent call last):
    ValueError: The setting "kernel" of blur should be a valid integer, but is [3].
    """
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        errors = error.errors()  # a misspelt name goes first: what it was meant for is then missing too
        first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise ValueError(unknown(f"setting of {what}", name, kind.model_fields)) from None
        if first["type"] == "missing":
            raise ValueError(f'The setting "{name}" of {what} is missing: add it.') from None
        expected = re.sub("^(Value error, |Input |String )", "", first["msg"])
        if not name:
            raise ValueError(f"{what}: {expected}.") from None
        raise ValueError(f'The setting "{name}" of {what} {expected}, but is {first["input"]!r:.80}.') from None
