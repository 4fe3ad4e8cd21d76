"""What git says of the checkout."""

from __future__ import annotations

import os
import subprocess

from registry.store import places


def run(*command: str) -> str:
    """Run git at the checkout's root and return what it prints.

    Raises ``ValueError`` with what it complains about, and ``FileNotFoundError`` where git is not installed.
    """
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    done = subprocess.run(["git", *command], cwd=places.root(), capture_output=True, check=False, env=environment)
    if done.returncode:
        raise ValueError(f"git {command[0]}: {' '.join((done.stderr or done.stdout).decode().split())}")
    return done.stdout.decode()


def answer(*command: str) -> str:
    """Output of a git command; empty outside a repository, without git, or where git fails."""
    try:
        return run(*command)
    except (ValueError, FileNotFoundError):
        return ""


def commit() -> str:
    """The commit of the checkout, with ``+`` behind it where tracked files differ from it; ``unknown`` outside git."""
    found = answer("rev-parse", "--verify", "--quiet", "HEAD").strip()
    if not found:
        return "unknown"
    return found + "+" * bool(answer("diff", "--name-only", "HEAD", "--", ".", ":!dvc.lock"))
