"""What DVC watches of a corpus: the folder of its path, with everything in it that it can read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

DATA = Path("data")
"""Where results go."""

HUB = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
"""What the id of a data set on the Hugging Face hub looks like."""


def shown(path: Path) -> str:
    """A path as text that can be stored and read, whatever bytes its name is made of."""
    return path.as_posix().replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def inside(path: Path, folder: Path) -> bool:
    """Whether a path leads into a folder, by its name: links in the folder are watched too.

    >>> inside(Path("photos/a.png"), Path("photos")), inside(Path("photos/../a.png"), Path("photos"))
    (True, False)
    """
    path, folder = (Path(os.path.normpath(Path.cwd() / one)) for one in (path, folder))
    return path.is_relative_to(folder)


def check_watched(path: Path, where: str, source: str) -> None:
    """Check that DVC can watch the path of a corpus; ``where`` it stands in which study, and its source are told.

    Raises FileNotFoundError where there is nothing, and ValueError for a path that DVC does not read, one that holds
    the study's results, and for files in it on which DVC would end or wait for ever.
    """
    if str(path).startswith("~"):
        raise ValueError(f"The path of {where} is {path}, and DVC reads no ~; write {path.expanduser()}.")
    if not path.exists():
        raise FileNotFoundError(nowhere(path, where, source))
    if inside(DATA, path):
        raise ValueError(f"The path of {where}, {path}, holds {DATA}/, where results go; give a folder of its own.")
    for file, reason in unwatchable(path):
        raise ValueError(f"DVC cannot watch {where}: {shown(file)} {reason}, or move it out of {path}.")


def nowhere(path: Path, where: str, source: str = "folder") -> str:
    """What is said of a corpus whose folder is missing; what looks like a data set of the hub gets its way there.

    >>> nowhere(Path("me/cats"), "corpora.cats in params.yaml").partition("local copy: ")[2]
    '`hf download me/cats --repo-type dataset --local-dir pictures/cats`, and make that folder its path.'
    """
    text = (
        f"There is no folder {path} for {where}. Correct its path; `palimpsest corpora {source}` says where to get the "
        "files."
    )
    if source == "folder" and HUB.fullmatch(path.as_posix()):
        text += (
            f" If it is a data set of the Hugging Face hub, get a local copy: `hf download {path} --repo-type dataset "
            f"--local-dir pictures/{path.name}`, and make that folder its path."
        )
    return text


def unwatchable(folder: Path) -> Iterator[tuple[Path, str]]:
    """The files at any depth that DVC cannot hash, each with the reason and the way out."""
    if not folder.is_dir():
        return
    with os.scandir(folder) as entries:
        for entry in entries:
            file = Path(entry.path)
            try:
                entry.name.encode()
            except UnicodeEncodeError:
                yield file, "has a name that is not UTF-8; rename it"
                continue
            if entry.is_dir():
                yield from unwatchable(file)
            elif entry.is_symlink() and not file.exists():
                yield file, f"is a link to {shown(file.readlink())}, where nothing is; mend it"
            elif not entry.is_file():
                yield file, "is neither a file nor a folder but a pipe, a socket or a device; remove it"
