"""What DVC watches of a corpus: the folder of its path, with everything in it that it can read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from stages.corpora.pictures import File

DATA = Path("data")
"""Where results go."""


def shown(path: File) -> str:
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
        raise FileNotFoundError(
            f"There is no folder {path} for {where}. Correct its path; `palimpsest corpora {source}` says where to get "
            "the files."
        )
    if inside(DATA, path):
        raise ValueError(f"The path of {where}, {path}, holds {DATA}/, where results go; give a folder of its own.")
    for file, reason in unwatchable(path):
        raise ValueError(f"DVC cannot watch {where}: {shown(file)} {reason}, or move it out of {path}.")


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
