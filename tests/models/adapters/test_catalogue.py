from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from models.adapters.catalogue import CATALOGUE, build, target
from models.adapters.settings import unknown

ROOT = Path(__file__).resolve().parents[3]
NAMES = [(role, adapter) for role, adapters in CATALOGUE.items() for adapter in adapters]

INSPECT = """
import inspect, json, sys
from models.adapters import catalogue, roles

protocols = {
    "inpainters": roles.Inpainter, "captioners": roles.Captioner, "chat": roles.Chat, "encoders": roles.Encoder,
    "embedders": roles.Embedder, "detectors": roles.Detector, "taggers": roles.Tagger,
}
light = sorted(sys.modules)
from models.measures.benchmarks import Benchmark
from models.measures.prompted import PaintingJudge
from models.recaptioners import Recaptioner

protocols |= {"recaptioners": Recaptioner, "prompted": PaintingJudge, "benchmarks": Benchmark}
missing = {}
for role, adapters in catalogue.CATALOGUE.items():
    protocol = protocols.get(role, roles.Adapter)
    members = {name for kind in protocol.__mro__ for name in (*kind.__dict__, *inspect.get_annotations(kind))}
    members = {name for name in members if not name.startswith("_")}
    for adapter in adapters:
        kind = catalogue.target(role, adapter)
        gone = sorted(name for name in members if not hasattr(kind, name))
        if gone or not issubclass(kind.Settings, roles.Settings):
            missing[f"{role}/{adapter}"] = gone or ["Settings"]
print(json.dumps({"missing": missing, "members": sorted(members), "light": light, "all": sorted(sys.modules)}))
"""
HEAVY = {"torch", "diffusers", "transformers", "sentence_transformers", "lpips", "cv2", "skimage", "matplotlib"}


@pytest.fixture(scope="module")
def inspected() -> dict:
    """What a fresh interpreter sees that imports the catalogue, and then every target."""
    done = subprocess.run([sys.executable, "-c", INSPECT], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_every_target_plays_its_role(inspected):
    assert inspected["missing"] == {}
    assert "VERSION" in inspected["members"] and "load" in inspected["members"], "the inspection sees members"


def test_the_catalogue_imports_no_adapter(inspected):
    assert not [name for name in inspected["light"] if name.startswith(tuple(f"models.{role}" for role in CATALOGUE))]


def test_no_target_imports_a_heavy_library(inspected):
    assert HEAVY.isdisjoint(inspected["all"])


def test_everything_in_the_folders_is_in_the_catalogue():
    """An adapter class is one with a VERSION; it is written once, and reached by name only."""
    listed = {path for adapters in CATALOGUE.values() for path in adapters.values()}
    for role in CATALOGUE:
        folder = f"measures/{role}" if role in ("prompted", "benchmarks") else role
        for file in (ROOT / "models" / folder).rglob("[!_]*.py"):
            if re.search(r"^    VERSION\b.* = ", file.read_text(), re.MULTILINE):
                module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
                assert any(path.startswith(f"{module}:") for path in listed), file


@pytest.mark.parametrize(("role", "adapter"), NAMES)
def test_a_wrong_parameter_is_named_with_what_is_known(role, adapter):
    fields = target(role, adapter).Settings.model_fields
    needed = {name: "x" for name, field in fields.items() if field.is_required()}
    with pytest.raises(ValueError, match=f'There is no setting of {adapter} \\(entry mine\\) "nonsense"'):
        build(role, "mine", {"adapter": adapter, "nonsense": 1, **needed})


def test_what_is_built_has_the_settings():
    made = build("captioners", "mine", {"adapter": "blip", "checkpoint": "x", "beams": 4})
    assert (made.settings.beams, made.settings.candidates) == (4, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "Entry mine names no adapter: set `adapter` to one of identity, telea, navier-stokes, biharmonic, "
             "stable-diffusion, stable-diffusion-controlnet, stable-diffusion-3."),
        ({"adapter": "stable-difusion"},
         'There is no adapter for inpainters (entry mine) "stable-difusion"; did you mean "stable-diffusion"? '
         "Known: biharmonic, identity, navier-stokes, stable-diffusion, stable-diffusion-3, "
         "stable-diffusion-controlnet, telea."),
        ({"adapter": "telea", "radios": 3},
         'There is no setting of telea (entry mine) "radios"; did you mean "radius"? Known: radius.'),
        ({"adapter": "telea", "radius": 0},
         'The setting "radius" of telea (entry mine) should be greater than 0, but is 0.'),
        ({"adapter": "telea", "radius": [3]},
         'The setting "radius" of telea (entry mine) should be a valid number, but is [3].'),
        ({"adapter": "stable-diffusion"},
         'The setting "checkpoint" of stable-diffusion (entry mine) is missing: add it.'),
        ({"adapter": "stable-diffusion", "checkpoint": "x", "dtype": "half"},
         'The setting "dtype" of stable-diffusion (entry mine) should be \'float32\', \'float16\' or \'bfloat16\', '
         "but is 'half'."),
        ({"adapter": "stable-diffusion", "checkpoint": "x", "steps": 2, "strength": 0.1},
         "stable-diffusion (entry mine): strength 0.1 of 2 steps leaves none: raise `strength` or `steps` until "
         "their product is at least 1."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(settings, message):
    with pytest.raises(ValueError) as caught:
        build("inpainters", "mine", settings)
    assert str(caught.value) == message


def test_an_unknown_role_is_named():
    with pytest.raises(ValueError, match='There is no role "inpainter"; did you mean "inpainters"'):
        build("inpainter", "mine", {"adapter": "telea"})


def test_nothing_near_nothing_guessed():
    assert unknown("adapter", "zzz", []) == 'There is no adapter "zzz". Known: none.'
