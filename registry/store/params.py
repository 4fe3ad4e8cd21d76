"""``params.yaml`` and other study files, read as DVC reads them: YAML 1.2, by ruamel.yaml.

Another reader would compute something else than ``dvc.lock`` says: to YAML 1.1 ``010`` is 8, ``yes`` is true, and of an
entry that is there twice the last one counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


def parsed(text: str | bytes, name: str | Path) -> Any:
    """The content of a YAML file; ``name`` it is called in the message.

    Raises ``ValueError`` with what is wrong and where, also for an entry that is there twice.

    >>> parsed("seed: 010", "params.yaml")
    {'seed': 10}
    >>> parsed("{a: 1, a: 2}", "mine")
    Traceback (most recent call last):
    ValueError: mine is no valid YAML: line 1, column 8: found duplicate key "a" with value "2" (original value: "1").
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(text.decode() if isinstance(text, bytes) else text)
    except (YAMLError, UnicodeDecodeError, ValueError) as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = " ".join(str(problem or error).split())
        raise ValueError(f"{name} is no valid YAML: {where}{reason}.") from error
