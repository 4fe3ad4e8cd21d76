"""``palimpsest doctor``: what this checkout stands on, and what to do where that gives way."""

from __future__ import annotations

import platform
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from sqlalchemy.exc import SQLAlchemyError

from models.measures.captions.java import java_command, java_environment
from registry.health import SAMPLE, Check, is_missing_file, stores
from registry.lineage.locks import lock
from registry.lineage.outputs import differing, misnamed
from registry.store import git, places
from registry.store.database import HEAD, connect, version_of
from registry.store.items import ids_of
from stages.care.ground import RWLOCK, holders
from stages.care.needed import cache
from stages.engine.entries import ROLES
from stages.engine.provenance import FOLDER, read_provenance
from stages.engine.study import read_study

LOCK = Path("requirements.lock")
INSTALL = "Run `python -m pip install --require-hashes --requirement requirements.lock`."
SECONDS = 5
"""How long the hub may take to answer."""


def examine(full: bool = False) -> Iterator[Check]:
    """Run every check; nothing is changed."""
    yield environment()
    yield code()
    yield java()
    yield gpu()
    yield commit()
    yield from locks()
    yield remote()
    yield from stores(full)
    yield from results(full)
    if full:
        yield from outputs()
    yield from checkpoints()


def formatted(check: Check) -> str:
    """Format a check, with its advice on a line of its own."""
    line = f"{check.state:<8} {check.subject:<12} {check.what}"
    return f"{line}\n{'':<21} -> {check.advice}" if check.advice else line


def environment() -> Check:
    """Compare installed versions with those of the lock."""
    python = f"Python {platform.python_version()}"
    if not LOCK.is_file():
        return Check("environment", "warning", f"{python}; no {LOCK} here", "Run this at the root of a checkout.")
    absent, other = [], []
    for wanted in locked(LOCK.read_text(encoding="utf-8")):
        try:
            installed = metadata.version(wanted.name).partition("+")[0]
        except metadata.PackageNotFoundError:
            absent.append(wanted.name)
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            other.append(f"{wanted.name} {installed} instead of {str(wanted.specifier).lstrip('=')}")
    if absent or other:
        what = "; ".join([f"missing: {', '.join(absent)}"] * bool(absent) + other)
        return Check("environment", "problem" if absent else "warning", f"{python}; {what}", INSTALL)
    return Check("environment", "ok", f"{python}, and every version is the lock's")


def code() -> Check:
    """Check that commands run the code of this checkout: an environment points to where it was made, wherever it is."""
    running = Path(__file__).parents[2]
    if running == places.root():
        return Check("code", "ok", "commands run the code of this checkout")
    advice = "If .venv was copied or moved with the checkout, delete it and run `make repro`; else activate its own."
    return Check("code", "warning", f"commands run the code in {running}, not that of this checkout", advice)


def locked(text: str) -> Iterator[Requirement]:
    """Requirements of a lock that apply to this platform.

    >>> [one.name for one in locked("dvc==3.67.1 \\\\\\n    --hash=sha256:00\\nother==1 ; sys_platform == 'amiga'\\n")]
    ['dvc']
    """
    for line in text.splitlines():
        try:
            wanted = Requirement(line.rstrip("\\ ")) if re.match(r"[A-Za-z0-9]", line) else None
        except InvalidRequirement:
            continue
        if wanted and (wanted.marker is None or wanted.marker.evaluate()):
            yield wanted


def java() -> Check:
    """Check Java, which METEOR and the PTB tokenizer run on."""
    try:
        command = java_command("meteor/meteor-1.5.jar")
    except FileNotFoundError as error:
        advice = "Until then METEOR is left out, and `tokenizer: none` is needed elsewhere."
        return Check("java", "warning", str(error), advice)
    done = subprocess.run([command[0], "-version"], capture_output=True, text=True, check=False, env=java_environment())
    said = (done.stderr or done.stdout).splitlines()
    if done.returncode:
        return Check("java", "problem", f"{command[0]} does not run: {said[:1]}", "Install a Java runtime again.")
    return Check("java", "ok", said[0])


def gpu() -> Check:
    """Check the GPUs: those that torch sees, and whether it misses one."""
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        return Check("gpu", "ok", f"{', '.join(names)}; CUDA {torch.version.cuda}")
    if shutil.which("nvidia-smi") and subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).stdout:
        advice = "Install a torch for its CUDA version, or update the driver."
        return Check("gpu", "warning", f"there is one, but torch {torch.__version__} cannot use it", advice)
    return Check("gpu", "ok", "none; everything runs on the CPU")


def commit() -> Check:
    """Check the commit that runs will be named by."""
    if not shutil.which("git"):
        return Check("git", "problem", "git is not installed", "Install git: DVC and every run's commit need it.")
    if not (here := git.answer("rev-parse", "--short", "HEAD").strip()):
        return Check("git", "warning", "no commit here", "Run `git init` and commit, so that runs name their code.")
    changed = [line[3:] for line in git.run("status", "--porcelain", "--untracked-files=no").splitlines()]
    edited = [name for name in changed if name != "dvc.lock"]
    if edited:
        what = f"{len(edited)} tracked files differ from commit {here}, first {edited[0]}"
        return Check("git", "warning", what, "Commit them before a run that is to be told from others.")
    if "dvc.lock" in git.answer("ls-files", "--others", "dvc.lock").split():
        advice = "Commit it: git add dvc.lock && git commit."
        return Check("git", "warning", "dvc.lock is in no commit, so that nothing can be pinned", advice)
    return Check("git", "ok", f"clean at commit {here}")


def locks() -> Iterator[Check]:
    """Check what DVC keeps: its lock file, and its list of who is running."""
    for name, look in (("dvc.lock", lock), ("DVC's list of who is running", partial(holders, RWLOCK))):
        try:
            look()
            yield Check("dvc", "ok", f"{name} can be read")
        except ValueError as error:
            what, _, advice = str(error).partition("; ")
            yield Check("dvc", "problem", what, f"{advice[:1].upper()}{advice[1:]}")


def results(full: bool) -> Iterator[Check]:
    """Check that the registry knows what data/ holds: some of it, or all where ``full``.

    One that was lost and made anew knows nothing, and DVC sees no reason to run a stage again.
    """
    url = places.registry_url()
    try:
        keys = [key for file in sorted(FOLDER.glob("*.parquet")) for key in read_provenance(file.stem)]
        if not keys or is_missing_file(url) or version_of(engine := connect(url)) != HEAD:
            return
        read = set(keys if full else random.sample(keys, min(SAMPLE, len(keys))))
        with engine.connect() as connection:
            lost = len(read) - len(ids_of(connection, read))
    except (SQLAlchemyError, OSError, ValueError):
        return  # said of the registry, or of the outputs
    if lost:
        what = f"{lost} of the {len(read)} results in data/ that were looked for are not in the registry"
        yield Check("results", "problem", what, "Run `palimpsest registry sync`, which puts them back.")
    else:
        yield Check("results", "ok", f"the registry knows all {len(read)} results in data/ that were looked for")


def remote() -> Check:
    """Check the DVC remote that outputs are pushed to and pulled from."""
    from dvc.config import NoRemoteError
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    try:
        with Repo() as repo:
            found = repo.cloud.get_remote(command="doctor")
            where = places.hidden(found.fs.unstrip_protocol(found.path))
            there = found.fs.exists(found.path)
    except NoRemoteError:
        advice = "To share results run `dvc remote add --default NAME URL`; alone you need none."
        return Check("remote", "ok", f"no DVC remote. {advice}")
    except NotDvcRepoError:
        return Check("remote", "problem", "no DVC repository here", "Run `dvc init`, or change to a checkout.")
    except Exception as error:  # every kind of remote has its own
        advice = "See that its server is up and lets you in; `dvc remote list` shows where it is."
        return Check("remote", "problem", places.hidden(f"the DVC remote cannot be reached: {error}"), advice)
    if not there:
        return Check("remote", "warning", f"{where} does not exist yet", "`dvc push` makes it, if its server lets you.")
    return Check("remote", "ok", f"{where} is there")


def outputs() -> Iterator[Check]:
    """Hold every output in data/ against dvc.lock, and every file in DVC's cache against its name."""
    again = "and run `palimpsest repro`, which makes them again of what the registry knows."
    try:
        wrong = [name for locked in lock().values() for name in differing(locked)]
    except ValueError:
        return  # said of dvc.lock
    if wrong:
        what = f"{len(wrong)} outputs are not what dvc.lock says: {', '.join(wrong)}"
        yield Check("outputs", "problem", what, f"If no stage is running, delete them {again}")
    else:
        yield Check("outputs", "ok", "what is in data/ is what dvc.lock says")
    if files := list(map(str, misnamed(cache()))):
        what = f"{len(files)} files in DVC's cache are damaged: {', '.join(files)}"
        yield Check("outputs", "problem", what, f"Delete them, and any outputs that are named above, {again}")
    else:
        yield Check("outputs", "ok", "every file in DVC's cache is what its name says")


def checkpoints() -> Iterator[Check]:
    """Check every checkpoint that params.yaml names: here, in the hub's cache, or still to be downloaded."""
    try:
        study = read_study()
    except (ValueError, FileNotFoundError) as error:
        yield Check(
            "study", "problem", str(error), "Mend params.yaml, or take the committed one: `git checkout params.yaml`."
        )
        return
    entries = [entry for section in ROLES for entry in study.entries(section).values()]
    named = {(e[key], e.get("revision")) for e in entries for key in ("checkpoint", "weights") if e.get(key)}
    here = [name for name, _ in named if Path(name).expanduser().exists()]
    yield Check("checkpoints", "ok", f"{len(here)} of the {len(named)} that params.yaml names are files here")
    for name, revision in sorted((str(n), str(r)) for n, r in named if n not in here):
        yield hub(name, revision)


def hub(name: str, revision: str) -> Check:
    """Look for a checkpoint that is no file here: in the hub's cache, then on the hub."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError, RepositoryNotFoundError

    try:
        snapshot_download(name, revision=revision, local_files_only=True)
        return Check("checkpoints", "ok", f"{name} at {revision} is in the hub's cache")
    except LocalEntryNotFoundError:
        pass
    except HFValidationError:
        return Check("checkpoints", "problem", f"{name} is not here", "Give the path of a folder, or an id of the hub.")
    try:
        HfApi().model_info(name, revision=revision, timeout=SECONDS)
    except RepositoryNotFoundError:
        advice = "Correct its name; if its licence must be accepted, do so on its page and set HF_TOKEN."
        return Check(
            "checkpoints", "problem", f"{name} at {revision} is neither here nor open to you on the hub", advice
        )
    except Exception as error:  # no network, a proxy, a hub in trouble: all the same here
        what = f"{name} at {revision} is not here, and the hub does not answer ({type(error).__name__})"
        return Check("checkpoints", "warning", what, "Download it where there is a network, and give its folder.")
    return Check("checkpoints", "ok", f"{name} at {revision} is on the hub; its first use downloads it")
