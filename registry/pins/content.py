"""What an artifact holds at one commit: its files, as DVC reads them from git, its cache or its remote.

Two digests say what was pinned. The sha256 over the names and contents of the files is ours: it is the same for a DVC
output and for a folder in git, and it is what a fetch is held against. DVC's md5 of an output is where its caches and
remotes keep the content; it is noted so that the files can be found there without a checkout, and nothing rests on it.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Any

from registry.store import places
from registry.store.dag import DATA, STAGES
from registry.store.keys import canonical, digest

CHUNK = 2**20
PICKLES = {".bin", ".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}


def tree_digest(files: Mapping[str, str]) -> str:
    """One digest for some files, from the sha256 of each by its path inside the artifact.

    >>> tree_digest({"a": "00", "b": "ff"}) == tree_digest({"b": "ff", "a": "00"}) != tree_digest({"a": "00"})
    True
    """
    return digest(canonical(sorted(files.items())).encode())


@dataclass(frozen=True)
class Content:
    """The files of an artifact at one commit; ``files`` maps their paths inside it to what DVC says of each."""

    path: str
    filesystem: Any
    files: Mapping[str, Mapping[str, Any]]
    md5: str | None
    """DVC's digest of the output; null where git holds the files, or where DVC keeps them as several outputs."""

    def open(self, name: str) -> BufferedIOBase:
        """Read one file.

        Raises ``ValueError`` where neither git nor DVC's cache nor its remote gives it.
        """
        try:
            return self.filesystem.open(self.files[name]["name"], "rb")
        except Exception as error:  # a remote's library has errors of its own
            said = places.hidden(f"{name} of {self.path} cannot be had from git, DVC's cache or its remote ({error})")
            raise ValueError(f"{said}; whoever has it runs `dvc push`.") from error

    def digests(self) -> dict[str, str]:
        """The sha256 of each file."""
        found = {}
        for name in self.files:
            with self.open(name) as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
        return found

    def copy(self, folder: Path) -> str:
        """Write the files into a folder as plain files, and return the digest of what was written."""
        found = {}
        for name in self.files:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with self.open(name) as source, target.open("xb") as file:
                shutil.copyfileobj(source, file, CHUNK)
            found[name] = file_digest(target)
        return tree_digest(found)

    def kind(self) -> str:
        """Kind of the artifact: a model where it holds weights, else by the stage that makes it.

        Raises ``ValueError`` where a model holds pickles beside its safetensors: they run code when they are loaded.
        """
        suffixes = {PurePosixPath(name).suffix for name in self.files}
        if ".safetensors" in suffixes:
            if pickles := sorted(name for name in self.files if PurePosixPath(name).suffix in PICKLES):
                raise ValueError(f"{self.path} holds the pickle {pickles[0]}; pin its safetensors without it.")
            return "model"
        root, name, *_ = (*PurePosixPath(self.path).parts, "", "")
        if root != str(DATA) or not name:
            return "data"
        return (name in STAGES and STAGES[name].output) or name


def file_digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_digest(folder: Path) -> str:
    """The digest of the files in a folder, by the rule of :func:`tree_digest`."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return tree_digest({path.relative_to(folder).as_posix(): file_digest(path) for path in files})


@contextmanager
def repository(url: str) -> Iterator[Any]:
    """A DVC repository by its path or git URL; a copy that DVC made of a distant one is removed at the end.

    DVC takes the settings of the commit that it looks at. The remote is today's here: a team may have moved it since.
    Raises ``ValueError``, which shows no credentials, where there is none.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.open_repo import clean_repos
    from scmrepo.exceptions import SCMError

    try:
        with Repo.open(url, subrepos=True, uninitialized=True) as repo:
            remote = repo.config["core"].get("remote")
            today = {"core": {"remote": remote}, "remote": repo.config["remote"]} if remote else {}
        with Repo.open(url, subrepos=True, uninitialized=True, config=today) as repo:
            yield repo
    except (DvcException, SCMError) as error:
        said = places.hidden(f"{url} cannot be read ({reason(error)})")
        raise ValueError(f"{said}; check the path or URL, and that you may read it.") from error
    finally:
        clean_repos()


def reason(error: BaseException) -> str:
    """Reason of a failure, in one line. Of a clone DVC says "SCM error", and the error behind that says why."""
    from dvc.scm import CloneError

    if isinstance(error, CloneError):
        while error.__cause__:
            error = error.__cause__
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def committed(repo: Any, revision: str) -> Iterator[Any]:
    """A repository at a commit, as a file system of what git and DVC have there."""
    from dvc.api import DVCFileSystem

    with repo.switch(revision):
        yield DVCFileSystem(repo, subrepos=True)


def content_at(filesystem: Any, path: str) -> Content:
    """Content of a path in a file system of one commit.

    Raises ``ValueError`` where there is no such path, or where it lists a file outside of it.
    """
    from dvc_data.index import DataIndexDirError

    root = f"/{path}"
    try:
        info = filesystem.info(root)
        found = dict(walk(filesystem, root)) if info["type"] == "directory" else {PurePosixPath(path).name: info}
    except FileNotFoundError:
        found = {}
    except DataIndexDirError:
        raise ValueError(
            f"{path} cannot be had from DVC's cache or its remote, not even the list of its files; whoever has it runs "
            "`dvc push`, and `dvc remote add` says where to."
        ) from None
    if not found:
        raise ValueError(
            f"Neither git nor DVC has {path} in that commit; make it a stage's output or `dvc add` it, then commit."
        )
    entry = info.get("dvc_info", {}).get("entry")
    md5 = entry.hash_info.value if entry and entry.hash_info else info.get("md5")
    return Content(path, filesystem, dict(sorted(found.items())), md5)


def walk(filesystem: Any, folder: str, inside: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The files below a folder. A list of files comes from others too: a name that would lead out of it is refused."""
    for info in filesystem.ls(folder, detail=True):
        name = info["name"].rpartition("/")[2]
        if name in ("", ".", "..") or "\\" in name or "\0" in name:
            raise ValueError(f"{folder} lists a file named {name!r}, which leads out of it; do not trust this version.")
        if info["type"] == "directory":
            yield from walk(filesystem, f"{folder}/{name}", f"{inside}{name}/")
        else:
            yield f"{inside}{name}", info
