"""Self-Loop: which parts are asked about, what a detector takes out, and that no failure costs the caption."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from models.adapters.catalogue import build
from models.adapters.decoding import Decoding
from models.adapters.requests import Ask, Detect, Detected, Failure
from models.adapters.roles import Detection, Reply, Turn
from models.pocket import WEIGHTS, prompts
from models.recaptioners import Case
from models.recaptioners.self_loop import Part, SelfLoop
from models.worlds.scenes import scene
from tests.models.recaptioners.playing import conversed, played

SEGMENTS = {"left": (0.0, 0, 50, 80), "its shadow": (2.0, 0, 50, 80), "right": (60.0, 20, 100, 60)}
SAID = {(0.0, 0.0, 0.5, 1.0): "A red star. A dog beside it.", (0.6, 0.25, 1.0, 0.75): "A blue ring."}


def detected(*some: tuple[str, tuple[float, ...]]) -> Detected:
    return Detected(100, 80, tuple(Detection(name, 0.9, box) for name, box in some))  # type: ignore[arg-type]


def answered(request: Any) -> Any:
    """A picture with a star and a ring in it, of which a captioner says that there is a dog too."""
    if isinstance(request, Detect):
        if request.role == "segmenter":
            return detected(*SEGMENTS.items())
        return detected(*((name, SEGMENTS["left"]) for name in request.names if name != "dog"))
    if request.role == "captioner":
        return request.read(Reply(SAID[request.pictures[0].box], "stop"))
    for name in ("star", "dog", "ring"):
        if f"{name}.\nInstructions" in request.text or f"{name} beside it.\nInstructions" in request.text:
            return request.read(Reply(f"Describe more details about the {name}.", "stop"))
    return request.read(Reply(request.text.partition("Parts:\n")[2].replace("\n", " "), "stop"))


def test_what_no_detector_finds_is_not_merged():
    value, asked = played(SelfLoop(SelfLoop.Settings()), "Two things.", answered)
    assert value["caption"] == "A red star. A blue ring."
    assert value["steps"]["absent"] == ["dog"]
    assert [part["box"] for part in value["steps"]["parts"]] == [list(box) for box in SAID], "one of two that overlap"
    assert {one.role for one in asked} == SelfLoop(SelfLoop.Settings()).asks
    assert "Caption: Two things." in asked[-1].text


def test_unfiltered_parts_of_a_grid_ask_no_detector():
    method = SelfLoop(SelfLoop.Settings(regions="grid", filtered=False))
    value, asked = played(method, "old", lambda request: request.read(Reply(f"seen {request.role}", "stop")))
    assert [type(one) for one in asked] == [Ask] * 5 and {one.role for one in asked} == method.asks
    assert [one.pictures[0].box for one in asked[:4]] == [
        (0.0, 0.0, 0.5, 0.5), (0.5, 0.0, 1.0, 0.5), (0.0, 0.5, 0.5, 1.0), (0.5, 0.5, 1.0, 1.0),
    ]  # fmt: skip
    assert value["caption"] == "seen language_model" and asked[-1].text.count("seen captioner") == 1
    assert method.most("old") == {"captioner": 4, "language_model": 1}


@pytest.mark.parametrize("role", ["segmenter", "captioner", "detector", "language_model"])
def test_no_failure_costs_the_caption(role):
    def answer(request: Any) -> Any:
        return Failure("dead") if request.role == role else answered(request)

    wanted = "A red star. A dog beside it. A blue ring." if role == "detector" else "old"
    assert played(SelfLoop(SelfLoop.Settings()), "old", answer)[0]["caption"] == wanted


class Pixels:
    digest = "0f"

    def __init__(self, picture: np.ndarray) -> None:
        self.picture = picture

    def pixels(self) -> np.ndarray:
        return self.picture


def test_a_part_is_cut_at_its_box():
    picture = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    whole = Pixels(picture)
    assert (Part(whole, (0.0, 0.0, 1.0, 1.0)).pixels() == picture).all()
    assert (Part(whole, (2 / 7, 0.2, 5 / 7, 0.6)).pixels() == picture[1:3, 2:5]).all()
    assert Part(whole, (1.0, 1.0, 1.0, 1.0)).pixels().shape == (1, 1, 3), "a box on the edge"
    digests = {Part(whole, box).digest for box in SAID}
    assert len(digests) == 2 and all(len(one) == 64 for one in digests)


@pytest.mark.usefixtures("one_thread")
def test_the_pocket_family_names_what_a_caption_left_out():
    """A yellow star, as the world says; the first caption says nothing of it."""
    models = {
        role: build("chat", role, {"adapter": adapter, "checkpoint": str(WEIGHTS / folder), "micro_batch": 1})
        for role, adapter, folder in (
            ("captioner", "llava-onevision", "llava-onevision"),
            ("language_model", "causal-lm", "qwen2"),
        )
    }
    for model in models.values():
        model.load()

    def answer(request: Any) -> Any:
        turn = Turn("user", request.text, tuple(one.pixels() for one in request.pictures))
        ((reply,),) = models[request.role].answer([[turn]], Decoding(beams=1, candidates=1, max_tokens=60), [0])
        return request.read(reply)

    merge = prompts.FUSE.replace("{seen}", "{parts}")
    settings = SelfLoop.Settings(regions="grid", filtered=False, prompt="Describe the image.", merge=merge)
    value, asked = conversed(SelfLoop(settings).recaption(Case(Pixels(scene(0, 0).picture), "a thing")), answer)
    assert len(asked) == 5
    assert {"yellow", "star", "mint"} <= set(re.findall(r"\w+", value["caption"]))
