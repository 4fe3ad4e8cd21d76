"""The ``artifacts:`` section of ``dvc.yaml``, where DVC and GTO look up which path a name stands for.

The file is written by hand, with comments. Only that section is parsed and written again, with ruamel.yaml, which keeps
the comments in it; every byte around it stays.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

SECTION = re.compile(r"^artifacts:.*(?:\n(?:[ \t]*(?:#.*)?\n)*[ \t]+[^\s#].*)*", re.MULTILINE)
"""From the key to its last entry; comments behind that belong to what follows."""


def artifacts(file: Path) -> dict[str, Any]:
    """The artifacts that a ``dvc.yaml`` names: their ``path``, ``type`` and what else a person wrote."""
    section = SECTION.search(file.read_text(encoding="utf-8"))
    return yaml().load(section[0])["artifacts"] or {} if section else {}


def name_artifact(file: Path, name: str, path: str, kind: str) -> bool:
    """Write the path of an artifact into ``dvc.yaml``; returns whether the file changed."""
    text = file.read_bytes().decode()
    section = SECTION.search(text)
    found = yaml().load(section[0] if section else "artifacts:")
    entries = found["artifacts"] = found["artifacts"] or {}
    entry = entries.setdefault(name, {})
    if (entry.get("path"), entry.get("type")) == (path, kind):
        return False
    entry |= {"path": path, "type": kind}
    stream = io.StringIO()
    yaml().dump(found, stream)
    written = stream.getvalue().removesuffix("\n")
    if section:
        text = text[: section.start()] + written + text[section.end() :]
    else:
        text = "\n\n".join(filter(None, [text.removesuffix("\n"), written])) + "\n"
    file.write_bytes(text.encode())
    return True


def yaml() -> Any:
    """ruamel.yaml as this section is written: comments and quotes stay, and nothing is folded."""
    from ruamel.yaml import YAML

    made = YAML()
    made.preserve_quotes = True
    made.indent(mapping=2, sequence=4, offset=2)
    made.width = 4096
    return made
