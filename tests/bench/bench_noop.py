"""``dvc repro`` of a finished study in which nothing changed, against bare DVC.

    python -m tests.bench.bench_noop [checkout]

Bare DVC is a project in a temporary folder with the stages, parameters, dependencies and outputs that the checkout's
``dvc.lock`` names, by name and without templates, the same number of files behind them, a line in each, and commands
that do nothing. Each side runs three times in turns, and the better time counts. Prints seconds and the ratio.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

import yaml

TURNS = 3
NOTHING_TO_DO = "Data and pipelines are up to date."


def dvc(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dvc", *command], cwd=folder, capture_output=True, text=True, check=False
    )


def bare(checkout: Path, folder: Path) -> tuple[int, int]:
    """The same graph with nothing behind it; returns how many stages and files it has."""
    stages = {}
    for name, stage in yaml.safe_load((checkout / "dvc.lock").read_text())["stages"].items():
        paths = {kind: [one["path"] for one in stage.get(kind, ()) if inside(checkout, one["path"])]
                 for kind in ("deps", "outs")}  # fmt: skip
        for path in chain(*paths.values()):
            mirror(checkout / path, folder / path)
        params = list(stage.get("params", {}).get("params.yaml", ()))
        stages[name.replace("@", "-")] = {"cmd": "true", "params": params, **paths}
    files = sum(path.is_file() for path in folder.rglob("*"))
    for name in ("params.yaml", ".dvcignore", ".gitignore"):  # DVC writes .gitignore files where git ignores no outs
        if (checkout / name).exists():
            shutil.copy(checkout / name, folder)
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": stages}))
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    (folder / ".dvc").mkdir()
    (folder / ".dvc/config").write_text("[core]\n    analytics = false\n")
    if (done := dvc(folder, "commit", "--force")).returncode:
        raise RuntimeError(f"Bare DVC does not take the graph of {checkout}: {done.stderr}")
    return len(stages), files


def inside(checkout: Path, path: str) -> bool:
    """A corpus can lie elsewhere; what is written must not."""
    return (checkout / path).resolve().is_relative_to(checkout.resolve())


def mirror(source: Path, target: Path) -> None:
    """As many files under the same names, each with its own name in it."""
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=ignored, copy_function=name_only)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        name_only(str(source), str(target))


def name_only(source: str, target: str) -> None:
    Path(target).write_text(source)


def repro(folder: Path) -> float:
    """Seconds; raises ``RuntimeError`` where there was something to do."""
    started = time.perf_counter()
    done = dvc(folder, "repro")
    took = time.perf_counter() - started
    if done.returncode or NOTHING_TO_DO not in done.stdout:
        raise RuntimeError(f"There was something to do in {folder}:\n{done.stdout}{done.stderr}")
    return took


def main(checkout: str = ".") -> float:
    """Print the figures and return the ratio.

    Raises ``RuntimeError`` where the study of the checkout is not finished: nothing of it is run here.
    """
    path = Path(checkout).absolute()
    if not (path / "dvc.lock").exists() or dvc(path, "status", "--quiet").returncode:
        raise RuntimeError(f"The study in {path} is not finished; run `palimpsest repro` there first.")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        stages, files = bare(path, folder)
        best = dict.fromkeys((path, folder), float("inf"))
        for side in (*best,) * TURNS:
            best[side] = min(best[side], repro(side))
    study, bare_dvc = best.values()
    print(
        f"{stages} stages, {files} files: study {study:.2f} s, bare DVC {bare_dvc:.2f} s, ratio {study / bare_dvc:.2f}"
    )
    return study / bare_dvc


if __name__ == "__main__":
    main(*sys.argv[1:])
