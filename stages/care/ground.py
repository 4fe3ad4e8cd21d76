"""What DVC stands on, looked at before it begins: a git repository, ``dvc.lock``, and its list of who is running."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from registry.lineage.locks import lock
from registry.store import git, places

RWLOCK = Path(".dvc/tmp/rwlock")
"""Where DVC keeps who reads and writes which paths."""


def check_ground() -> None:
    """Raise ``ValueError``, with what to do, for the first that DVC would stumble over in words of its own."""
    lock()
    holders(places.root() / RWLOCK)
    try:
        git.run("rev-parse", "--git-dir")
    except ValueError as error:
        from dvc.config import Config

        if not Config.from_cwd()["core"].get("no_scm"):
            raise ValueError(
                f"{places.root()} is no git repository ({error}), and DVC needs one; run `git init` there, and commit, "
                "so that runs name their code."
            ) from None


def holders(file: Path) -> list[dict[str, Any]]:
    """The processes, each with its ``pid`` and ``cmd``, that DVC's list has; none where there is no list.

    Raises ``ValueError`` where it is damaged, as after a crash.
    """
    if not file.is_file():
        return []
    try:
        held = json.loads(file.read_text())
        found = [*held.get("write", {}).values(), *(one for some in held.get("read", {}).values() for one in some)]
        return [{"pid": one["pid"], "cmd": one["cmd"]} for one in found]
    except (ValueError, LookupError, AttributeError, TypeError):
        raise ValueError(
            f"{file}, DVC's list of who is running, is damaged; if no DVC runs here, delete it: nothing else is in it."
        ) from None
