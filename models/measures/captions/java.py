"""The Java programs that pycocoevalcap carries: where they are, and what is said when Java is not."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

METEOR = "meteor/meteor-1.5.jar"

OPTIONS = {"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"}


class JavaMissing(FileNotFoundError):
    """No ``java`` on the PATH."""


def java_command(jar: str, *options: str) -> list[str]:
    """The start of a command line that has a jar of pycocoevalcap on its class path.

    Encoding and language are fixed, so that a result does not depend on the locale: where decimals have commas, METEOR
    would read "1.5" as no number. Run it with :func:`java_environment`.

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
    language = ("-Duser.language=en", "-Duser.country=US")
    return [executable, "-Dfile.encoding=UTF-8", *language, *options, "-cp", str(carried(jar))]


def carried(jar: str) -> Path:
    """A jar of pycocoevalcap; raises FileNotFoundError where the package was installed without it."""
    package = find_spec("pycocoevalcap")
    folders = package.submodule_search_locations if package else None
    path = Path(folders[0], jar) if folders else Path(jar)
    if not path.is_file():
        raise FileNotFoundError(f"'{path}' is missing: reinstall pycocoevalcap, which carries it")
    return path


def java_environment() -> dict[str, str]:
    """The environment of a Java process: this one's, without options that it would take up and greet with."""
    kept = {name: value for name, value in os.environ.items() if name not in OPTIONS}
    return kept | {"LC_ALL": "C.UTF-8"}
