"""What others made is data: no code of it runs, and none of it is written outside its folder."""

import ast

import pytest

from tests.imports import ROOMS, ROOT

UNPICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
EXTRACTING = {"extractall", "unpack_archive"}
RELEASED_AS_PICKLE = "stages/corpora/refcocog.py"
"""RefCOCOg's own file is a pickle; it is read by an unpickler that knows no class and no function."""
NAMES_ITS_ERROR = ("models/captioners/lp_music_caps.py", "stages/care/convert.py")
"""It takes ``pickle.UnpicklingError`` from torch's reader of plain tensors, and unpickles nothing."""

FILES = sorted(str(path.relative_to(ROOT)) for room in ROOMS for path in ROOT.glob(f"{room}*/**/*.py"))


def faults(source: str) -> list[str]:
    """What a module does that could run code from a file, or write where an archive says."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names]
            found += [f"imports {module}" for module in modules if module.partition(".")[0] in UNPICKLING]
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        said = {word.arg: getattr(word.value, "value", "?") for word in node.keywords}
        if owner == "torch" and name == "load" and said.get("weights_only") is not True:
            found.append("torch.load without weights_only")
        if said.get("allow_pickle", False) is not False:
            found.append("allow_pickle")
        if said.get("trust_remote_code", False) is not False:
            found.append("trust_remote_code")
        safe = "Safe" in ast.unparse(node)  # yaml.CSafeLoader
        if name in ("read_pickle", "unsafe_load") or (owner == "yaml" and name == "load" and not safe):
            found.append(f"{owner}.{name}")
        if name in EXTRACTING:
            found.append(f"{name} of an archive")
        if name == "from_pretrained" and said.get("use_safetensors", True) is not True:
            found.append("weights that are no safetensors")
    return found


@pytest.mark.parametrize("file", FILES)
def test_nothing_unpickles(file):
    allowed = ["imports pickle"] if file in (RELEASED_AS_PICKLE, *NAMES_ITS_ERROR) else []
    assert faults((ROOT / file).read_text()) == allowed


def test_torch_and_pickle_are_found_where_they_are():
    source = """
import joblib
from pickle import loads
torch.load(path)
torch.load(path, weights_only=False)
torch.load(path, weights_only=True)
np.load(path, allow_pickle=True)
pd.read_pickle(path)
yaml.load(text)
archive.extractall(folder)
AutoModel.from_pretrained(name, trust_remote_code=True)
"""
    assert len(faults(source)) == 9


def test_every_weight_in_the_repository_is_safetensors():
    weights = ROOT / "models/pocket/weights"
    assert {path.suffix for path in weights.rglob("*.*") if path.is_file()} <= {
        ".json", ".jinja", ".md", ".png", ".safetensors", ".txt",
    }  # fmt: skip
