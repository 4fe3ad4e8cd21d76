"""The Java programs that pycocoevalcap carries: where they are, and what is said when Java is not."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path


class JavaMissing(FileNotFoundError):
    """No ``java`` on the PATH."""


def java_command(jar: str, *options: str) -> list[str]:
    """The start of a command line that has a jar of pycocoevalcap on its class path.

    The encoding is fixed, so that a result does not depend on the locale.

    Raises
    ------
    JavaMissing
        No Java to run it with.
    FileNotFoundError
        pycocoevalcap is installed without the jar.
    """
    executable = shutil.which("java")
    if executable is None:
        raise JavaMissing("no `java` on the PATH: install a Java runtime (for example openjdk-17-jre-headless)")
    package = find_spec("pycocoevalcap")
    folders = package.submodule_search_locations if package else None
    path = Path(folders[0], jar) if folders else Path(jar)
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' is missing: reinstall pycocoevalcap, which carries it")
    return [executable, "-Dfile.encoding=UTF-8", *options, "-cp", str(path)]
