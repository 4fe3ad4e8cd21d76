"""The architecture holds: arrows between rooms, the size of modules, who may talk to whom."""

import re
from pathlib import Path
from subprocess import run

import pytest

from tests.imports import ROOMS, ROOT, imports

ALLOWED = {
    "models": {"models"},
    "registry": {"registry"},
    "stages": {"stages", "models", "registry"},
    "reports": {"reports", "registry"},
    "commands": set(ROOMS) - {"palimpsest"},
    "palimpsest": {"palimpsest", "commands"},
}
FILES = sorted(path.relative_to(ROOT) for room in ROOMS for path in ROOT.glob(f"{room}*/**/*.py"))


def room(file: Path) -> str:
    return file.parts[0].removesuffix(".py")


@pytest.mark.parametrize("file", FILES, ids=str)
def test_arrows_go_one_way(file):
    assert {room(other) for other in imports(file)} <= ALLOWED[room(file)]


@pytest.mark.parametrize("file", FILES, ids=str)
def test_modules_stay_small(file):
    assert len((ROOT / file).read_text().splitlines()) <= 500


def test_one_room_knows_mlflow():
    knowing = {
        file.parent for file in FILES if "import mlflow" in (text := (ROOT / file).read_text()) or "from mlflow" in text
    }
    assert knowing == {Path("registry/tracking")}


def test_one_module_knows_ray():
    knowing = {file for file in FILES if re.search(r"^\s*(import|from) ray\b", (ROOT / file).read_text(), re.M)}
    assert knowing == {Path("stages/engine/actors.py")}


def tracked() -> list[str]:
    listed = run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).exists()]


def test_no_tracked_file_names_this_place():
    assert [name for name in tracked() if str(ROOT).encode() in (ROOT / name).read_bytes()] == []


def test_no_tracked_file_is_large():
    sizes = {name: (ROOT / name).lstat().st_size for name in tracked()}  # a link is no second copy
    assert max(sizes.values()) <= 8 * 2**20
    assert sum(size for name, size in sizes.items() if name.startswith("models/pocket/weights")) < 52e6
