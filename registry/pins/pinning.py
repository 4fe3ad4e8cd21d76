"""Pin a version, give it a stage, deprecate it: a git tag first, from which the registry's row is made."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import Engine

from registry.pins.content import committed, content_at, repository, tree_digest
from registry.pins.dvcyaml import artifacts, name_artifact
from registry.pins.pipeline import behind, check_unchanged
from registry.pins.records import Pinned, adopt, message, pinned_versions
from registry.store import git, places
from registry.store.database import connect, migrate_when_behind
from registry.tracking.checkpoints import register_model

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]*[A-Za-z0-9])?")
"""What DVC, GTO and MLflow all take."""


@contextmanager
def checkout() -> Iterator[tuple[Engine, Any]]:
    """The registry, and the checkout as DVC sees it.

    Raises ``ValueError`` where this is no git repository.
    """
    engine = connect(places.registry_url())
    migrate_when_behind(engine)
    with repository(str(places.root())) as repo:
        if not (places.root() / ".git").exists():
            raise ValueError(f"{places.root()} is not the root of a git repository, and pins are git tags; `git init`.")
        yield engine, repo


def pins(name: str | None = None) -> tuple[list[Pinned], list[str]]:
    """List the pins, and the tags on which git and the registry disagree."""
    with checkout() as (engine, repo):
        wrong = adopt(engine, repo.scm)
        tags = set(repo.scm.list_tags())
        return [replace(pinned, tagged=pinned.label in tags) for pinned in known(engine, name)], wrong


def listing(found: Sequence[Pinned]) -> str:
    """Pins as aligned lines, for people."""
    if not found:
        return "Nothing is pinned yet; `palimpsest pin NAME v1.0.0 PATH` pins an output."
    rows = [("NAME", "VERSION", "KIND", "STAGE", "DATE", "DIGEST", "WHO", "STUDY")]
    for each in found:
        state = ", ".join((*each.stages, *["deprecated"] * each.deprecated, *["no tag here"] * (not each.tagged)))
        row = (each.name, each.version, each.kind, state, f"{each.pinned_at:%Y-%m-%d}", each.digest[:12], each.author)
        rows.append((*row, each.study or ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def known(engine: Engine, name: str | None = None) -> list[Pinned]:
    with engine.connect() as connection:
        return pinned_versions(connection, name)


def find(engine: Engine, name: str, version: str) -> Pinned | None:
    """The pin of a name and a version that the registry holds."""
    return next((pinned for pinned in known(engine, name) if pinned.version == version), None)


def pin(name: str, version: str, path: Path | None) -> tuple[Pinned, bool, bool]:
    """Pin what the current commit holds at a path; returns the pin, whether it is new, and whether the pinned commit
    was made for it, to name the artifact in ``dvc.yaml``.

    Without a path, that of the artifact's earlier versions is taken. A checkpoint is registered in MLflow too.
    Raises ``ValueError`` with the reason where it cannot be pinned: a bad name or version, content that is not
    committed, another content under this name and version, a commit that is another version, or a tag that git here
    lacks or the registry contradicts.
    """
    check_label(name, version)
    named = False
    with checkout() as (engine, repo):
        adopt_name(engine, repo, name)
        inside = path_of(name, path)
        check_committed(repo, inside)
        with committed(repo, repo.scm.get_rev()) as files:
            content = content_at(files, inside)
            digest = tree_digest(content.digests())
            pinned = found = find(engine, name, version)
            if pinned is None:
                facts: dict[str, Any] = {"kind": content.kind(), "path": inside, "digest": digest, "md5": content.md5}
                facts |= behind(repo, files, inside)
                named = commit_name(name, inside, facts["kind"])
                check_free(engine, repo.scm.get_rev(), name, version)
                tag = tagged(repo, name, version, facts)
                pinned = settled(engine, repo, name, version, tag)
            elif (pinned.path, pinned.digest) != (inside, digest):
                raise ValueError(
                    f"{pinned.label} was pinned by {pinned.author} on {pinned.pinned_at:%Y-%m-%d} with other content "
                    f"({pinned.path}, {pinned.digest[:12]}; here {inside}, {digest[:12]}); take another version."
                )
            else:
                check_tagged(repo, pinned)
            if pinned.kind == "model":
                with TemporaryDirectory() as folder:
                    content.copy(Path(folder))
                    register_model(name, version, digest, pinned.git_commit, Path(folder))
    return pinned, found is None, named


def commit_name(name: str, path: str, kind: str) -> bool:
    """Name the artifact in ``dvc.yaml`` and commit that; returns whether it was new."""
    new = name_artifact(places.root() / "dvc.yaml", name, path, kind)
    if new:
        git.run("commit", "--quiet", "--only", "-m", f"Name the artifact {name}", "--", "dvc.yaml")
    return new


def check_free(engine: Engine, commit: str, name: str, version: str) -> None:
    """Check that the commit is no other version of the name, of which GTO takes one a commit; raises ``ValueError``."""
    if other := next((pinned for pinned in known(engine, name) if pinned.git_commit == commit), None):
        raise ValueError(
            f"Commit {commit[:12]} is {other.label} already, and a commit can be one version of a name; commit what is "
            f"new (or `git commit --allow-empty`), then pin {version}."
        )


def tagged(repo: Any, name: str, version: str, facts: Mapping[str, Any]) -> str:
    """Tag the commit; returns the tag."""
    with gto_sentence():
        import gto.api

        return gto.api.register(
            repo.scm, name, "HEAD", version=version, message=message(f"{name}@{version}", facts)
        ).tag


def assign(name: str, version: str, stage: str) -> Pinned:
    """Give a pinned version a stage, which another version of the same name loses."""
    check_label(name, version)
    with checkout() as (engine, repo):
        adopt_name(engine, repo, name)
        if stage in here(engine, repo, name, version).stages:
            raise ValueError(f"{name}@{version} is already in stage {stage}.")
        with gto_sentence():
            import gto.api

            # By force: GTO refuses a stage in which the version ever was, and so the way back.
            tag = gto.api.assign(repo.scm, name, stage, version=version, force=True).tag
        return settled(engine, repo, name, version, tag)


def deprecate(name: str, version: str) -> Pinned:
    """Say that a version should not be used any more; it stays fetchable."""
    check_label(name, version)
    with checkout() as (engine, repo):
        adopt_name(engine, repo, name)
        if here(engine, repo, name, version).deprecated:
            raise ValueError(f"{name}@{version} is deprecated already.")
        with gto_sentence():
            import gto.api

            tag = gto.api.deregister(repo.scm, name, version=version).tag
        return settled(engine, repo, name, version, tag)


def adopt_name(engine: Engine, repo: Any, name: str) -> None:
    """Copy the pins in git to the registry. Raises ``ValueError`` where the two disagree on a tag of this name."""
    if wrong := [tag for tag in adopt(engine, repo.scm) if re.split("[@#]", tag)[0] == name]:
        raise ValueError(
            f"git and the registry disagree on {', '.join(wrong)}: moved or made again, and not to be trusted; "
            "`git tag --delete` what is wrong here, then `git fetch --tags`."
        )


def settled(engine: Engine, repo: Any, name: str, version: str, tag: str) -> Pinned:
    """The pin, once the registry knows a new tag; the tag is removed where somebody else was first."""
    if tag in adopt(engine, repo.scm):
        git.run("tag", "--delete", tag)
        raise ValueError(f"Somebody else has made {tag} meanwhile, for other content; run `git fetch --tags` first.")
    return here(engine, repo, name, version)


def here(engine: Engine, repo: Any, name: str, version: str) -> Pinned:
    """The pin, which this checkout's git must know too. Raises ``ValueError`` where it does not."""
    found = find(engine, name, version)
    if found is None:
        others = ", ".join(pinned.version for pinned in known(engine, name)) or "no version"
        raise ValueError(
            f"{name}@{version} is not pinned; of {name} there is {others}. `git fetch --tags` brings more."
        )
    check_tagged(repo, found)
    return found


def check_tagged(repo: Any, pinned: Pinned) -> None:
    """Check that git here has the tag of a pin; raises ``ValueError`` where it is another's, or lost."""
    if repo.scm.get_tag(pinned.label) is None:
        raise ValueError(
            f"{pinned.label} was pinned by {pinned.author} on {pinned.pinned_at:%Y-%m-%d}, and git has no tag of it "
            "here; run `git fetch --tags`. Where that brings none, nobody has pushed it: pin another version."
        )


def check_label(name: str, version: str) -> None:
    """Check that DVC, GTO and MLflow take the name and the version; raises ``ValueError`` where one does not.

    >>> check_label("captions", "1.0")
    Traceback (most recent call last):
    ValueError: '1.0' is not a semantic version; write it as v1.0.0.
    """
    from gto.versions import SemVer

    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name an artifact; take letters, digits, - and _, as in flickr-captions.")
    if not SemVer.is_valid(version):
        raise ValueError(f"{version!r} is not a semantic version; write it as v1.0.0.")


def path_of(name: str, path: Path | None) -> str:
    """The path below the checkout, by default where ``dvc.yaml`` says the artifact is."""
    root = places.root()
    if path is None:
        named = artifacts(root / "dvc.yaml")
        if name not in named:
            raise ValueError(
                f"dvc.yaml names no artifact {name}; say once where it is: `palimpsest pin {name} … PATH`."
            )
        return named[name]["path"]
    try:
        inside = Path(os.path.normpath(Path.cwd() / path)).relative_to(root).as_posix()
    except ValueError:
        raise ValueError(f"{path} is outside of {root}; pin what DVC or git tracks there.") from None
    if inside == ".":
        raise ValueError("A whole checkout is no artifact; git tags it. Name a file or a folder in it.")
    return inside


def check_committed(repo: Any, path: str) -> None:
    """Check that what lies here is what the current commit holds; raises ``ValueError`` where it is not."""
    if changed := git.run("status", "--porcelain", "--", path, "dvc.yaml", "dvc.lock", f"{path}.dvc"):
        raise ValueError(f"{changed.splitlines()[0][3:]} is not committed; `git commit` it, then pin.")
    check_unchanged(repo, path)


@contextmanager
def gto_sentence() -> Iterator[None]:
    """Turn an error of GTO's into a ``ValueError``."""
    from gto.exceptions import GTOException

    try:
        yield
    except GTOException as error:
        raise ValueError(f"GTO: {error}") from None
