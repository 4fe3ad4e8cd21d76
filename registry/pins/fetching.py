"""Get a pinned version by its name from any repository, held against its digest before it appears."""

from __future__ import annotations

import shutil
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from registry.pins.content import Content, committed, content_at, folder_digest, repository
from registry.pins.pinning import check_label, find
from registry.pins.records import Pinned, in_git
from registry.store import places
from registry.store.database import connect, migrate_when_behind


def fetch(label: str, folder: Path | None = None, url: str | None = None) -> tuple[Pinned, Path, bool]:
    """Write the files of ``NAME@VERSION`` into a folder of their own, and return the pin, the folder and if it is new.

    The repository is this checkout or the one at ``url``, a path or a git URL; its DVC remote and credentials are its
    own settings. Nothing is unpacked, nothing is loaded, and no file is a link.
    Raises ``ValueError`` where there is no such pin, where its content cannot be had or is not what was pinned, and
    where the folder holds something else; then nothing is left behind.
    """
    with repository(url or str(places.root())) as repo:
        pinned = pinned_in(repo, label, url)
        target = folder or Path(f"{pinned.name}-{pinned.version}")
        check_registry(repo, pinned, url)
        if target.exists():
            if not target.is_dir() or folder_digest(target) != pinned.digest:
                raise ValueError(
                    f"{target} is there already and is not {label}; name another folder, or remove it first."
                )
            return pinned, target, False
        with committed(repo, pinned.git_commit) as files:
            write(content_at(files, pinned.path), pinned, target)
    return pinned, target, True


def write(content: Content, pinned: Pinned, target: Path) -> None:
    """Copy the content beside its place, and move it there when its digest is right."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = Path(mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        found = content.copy(half)
        if found != pinned.digest:
            raise ValueError(
                f"What {pinned.path} holds at commit {pinned.git_commit[:12]} is not what was pinned as {pinned.label} "
                f"(digest {found[:12]}, pinned {pinned.digest[:12]}); nothing was written. The DVC cache or remote is "
                "damaged, or has been changed."
            )
        half.chmod(0o755)
        half.rename(target)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def pinned_in(repo: Any, label: str, url: str | None) -> Pinned:
    """The pin that a repository's tags hold. Raises ``ValueError`` with what there is instead."""
    pins, events = in_git(repo.scm)
    name, _, version = label.partition("@")
    names = sorted({pinned.name for pinned in pins.values()})
    near = [name] if name in names else get_close_matches(name, names)
    there = ", ".join(known for known, pinned in pins.items() if pinned.name in near)
    if not version:
        instead = f": {there}" if there else "; `palimpsest pins` lists what there is"
        raise ValueError(f"{label!r} names no version; write NAME@VERSION{instead}.")
    check_label(name, version)
    if label in pins:
        return replace(pins[label], deprecated=any(e.label == label and e.stage is None for e in events))
    where = places.hidden(url) if url else "This checkout"
    instead = f"it has {there}" if there else "`palimpsest pins` lists what there is"
    raise ValueError(f"{where} has no pin {label}; {instead}. `git fetch --tags` brings newer ones.")


def check_registry(repo: Any, pinned: Pinned, url: str | None) -> None:
    """Check a pin against the registry; raises ``ValueError`` where the content differs.

    Only a pin of the same project is compared.

    Whoever can move a tag could otherwise let a version become something else.
    """
    from scmrepo.exceptions import RevError

    try:
        engine = connect(places.registry_url())
    except FileNotFoundError:  # outside of any checkout there is no registry to ask
        return
    migrate_when_behind(engine)
    known = find(engine, pinned.name, pinned.version)
    if known is None or known.digest == pinned.digest:
        return
    try:
        repo.scm.resolve_rev(known.git_commit)
    except RevError:  # another project's pin of the same name
        return
    where = places.hidden(url) if url else "this checkout"
    raise ValueError(
        f"The tag {pinned.label} of {where} says {pinned.digest[:12]}, and the registry says "
        f"{known.digest[:12]}: the tag was moved or made again. Pinned was commit {known.git_commit}."
    )
