"""The import graph of this project, read from the source."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("commands", "models", "registry", "reports", "stages", "palimpsest")


def file_of(module: str) -> Path | None:
    """The file of one of this project's modules, relative to the root; None for anything else."""
    if module.partition(".")[0] not in ROOMS:
        return None
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate
    return None


def literals(tree: ast.Module) -> set[str]:
    """Modules named by ``"module:Class"`` strings: a catalogue imports them later."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text.partition(":")[0] for text in texts if ":" in text and "." in text and " " not in text}


@cache
def imports(file: Path, catalogues: bool = True) -> frozenset[Path]:
    """The local files that a file imports, at its top or inside its functions."""
    tree = ast.parse((ROOT / file).read_text())
    names = literals(tree) if catalogues else set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(found for name in names if (found := file_of(name)))


def closure(file: Path, catalogues: bool = True) -> set[Path]:
    """The file and all that it imports, directly or not."""
    seen: set[Path] = set()
    waiting = [file]
    while waiting:
        if (one := waiting.pop()) not in seen:
            seen.add(one)
            waiting.extend(imports(one, catalogues))
    return seen
