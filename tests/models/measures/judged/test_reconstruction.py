"""Reconstruction: a painting is compared with the picture that was captioned; the pocket painter as a witness."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import yaml

from models.adapters.catalogue import build
from models.adapters.requests import Compare, Encode, Failure, Paint
from models.measures.captions.candidates import Candidate
from models.measures.judged.reconstruction import Likeness, Reconstruction
from models.pocket import WEIGHTS
from models.worlds.scenes import scene
from registry.store.keys import digest
from tests.imports import ROOT
from tests.models.recaptioners.playing import ORIGINAL, Named, conversed

MEASURE = Reconstruction(Reconstruction.Settings())
CASE = Candidate("one", "a red star", picture=ORIGINAL)


@dataclass(frozen=True)
class Drawn:
    """A picture with its pixels."""

    pixels_: bytes
    side: int = 64

    @property
    def digest(self) -> str:
        return digest(self.pixels_)

    def pixels(self) -> np.ndarray:
        return np.frombuffer(self.pixels_, np.uint8).reshape(self.side, self.side, 3)


def test_the_painting_of_the_caption_is_compared_with_the_picture():
    painting, vectors = Named("painting"), {"original": (3.0, 4.0), "painting": (0.0, 2.0)}

    def answer(request):
        if isinstance(request, Paint):
            return painting
        return np.array(vectors[request.picture.digest]) if isinstance(request, Encode) else {"lpips": 0.25}

    likeness, asked = conversed(MEASURE.judge(CASE), answer)
    assert asked == [Paint("painter", "a red star"), Encode("encoder", ORIGINAL), Encode("encoder", painting),
                     Compare("lpips", ORIGINAL, painting)]  # fmt: skip
    assert likeness == Likeness(0.8, 0.25)
    assert MEASURE.values([likeness, Likeness(0.4, 0.75)]) == {
        "reconstruction_cosine": pytest.approx(0.6), "reconstruction_lpips": 0.5,
    }  # fmt: skip


def test_where_the_painter_fails_there_is_no_score():
    with pytest.raises(ValueError, match="a judge gave no answer: out of memory"):
        conversed(MEASURE.judge(CASE), lambda request: Failure("out of memory"))


def test_another_measure_than_lpips_is_told():
    with pytest.raises(ValueError, match="mse, psnr came for LPIPS: let `lpips` be a measure with adapter lpips"):
        conversed(MEASURE.judge(CASE), lambda request: {"mse": 0.1, "psnr": 10.0})
    chair = build("measures", "lpips", {"adapter": "chair"})
    with pytest.raises(ValueError, match="a measure of captions compares no pictures"):
        Compare.answers(chair, [Compare("lpips", ORIGINAL, ORIGINAL)], None, [0])


@pytest.mark.usefixtures("one_thread")
def test_what_the_pocket_painter_paints_of_a_caption_is_more_like_its_picture_than_like_another():
    """Eight true captions are painted as the default study's painter does. Each painting is judged by its own picture,
    and by the next one's."""
    said = yaml.safe_load((ROOT / "params.yaml").read_text())["models"]["painter"]
    painter = build("painters", "painter", said | {"checkpoint": str(WEIGHTS / "sd3-paint")})
    encoder = build("encoders", "vit", {"adapter": "vit", "checkpoint": str(WEIGHTS / "vit")})
    lpips = build("measures", "lpips", {"adapter": "lpips", "net": "squeeze", "weights": str(WEIGHTS / "squeezenet")})
    for model in (painter, encoder, lpips):
        model.load()
    samples = [scene(11, index) for index in range(8)]
    paintings = [Drawn(one.tobytes()) for one in painter.paint([one.references[1] for one in samples], list(range(8)))]
    originals = [Drawn(one.picture.tobytes()) for one in samples[:7]]
    originals.append(Drawn(samples[7].picture.repeat(2, 0).repeat(2, 1).tobytes(), 128))

    def judged(picture, painting):
        def answer(request):
            if isinstance(request, Paint):
                return painting
            model = encoder if isinstance(request, Encode) else lpips
            ((value, _),) = type(request).answers(model, [request], None, [0])
            return request.reply(value, None)

        return conversed(MEASURE.judge(Candidate("", "", picture=picture)), answer)[0]

    own, others = (
        MEASURE.values(list(map(judged, originals, some))) for some in (paintings, paintings[1:] + paintings[:1])
    )
    assert own["reconstruction_cosine"] > 0.7 > 0.3 > others["reconstruction_cosine"]
    assert own["reconstruction_lpips"] < others["reconstruction_lpips"] - 0.05
