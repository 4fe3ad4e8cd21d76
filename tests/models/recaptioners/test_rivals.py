"""The methods that the papers compare with: what each asks, and that no failure costs a caption."""

from __future__ import annotations

from typing import Any

import pytest

from models.adapters.requests import Failure
from models.adapters.roles import Reply
from models.recaptioners.fusing import CapsFusion, VeClip
from models.recaptioners.laclip import LaClip
from models.recaptioners.sharegpt4v import ShareGpt4v
from tests.models.recaptioners.playing import played

METHODS = (LaClip, VeClip, CapsFusion, ShareGpt4v)


def answered(request: Any) -> Any:
    return request.read(Reply("seen" if request.pictures else "fused", "stop"))


@pytest.mark.parametrize("kind", METHODS)
def test_each_asks_whom_it_names(kind):
    value, asked = played(kind(kind.Settings()), "old {seen}", answered)
    assert {one.role for one in asked} == kind.asks
    assert value["caption"] == ("seen" if kind is ShareGpt4v else "fused")


@pytest.mark.parametrize("kind", [VeClip, CapsFusion])
def test_both_captions_are_fused(kind):
    _, (first, second) = played(kind(kind.Settings()), "old {seen}", answered)
    assert first.pictures and not second.pictures
    assert "old {seen}" in second.text and second.text.endswith("seen")


def test_laclip_sees_no_picture():
    _, (only,) = played(LaClip(LaClip.Settings()), "old", answered)
    assert not only.pictures and only.text.endswith("old =>")


@pytest.mark.parametrize("kind", METHODS)
@pytest.mark.parametrize("reply", ["None", "", "cut off"])
def test_what_is_no_caption_keeps_the_first(kind, reply):
    def answer(request: Any) -> Any:
        return request.read(Reply(reply, "length" if reply == "cut off" else "stop"))

    assert played(kind(kind.Settings()), "old", answer)[0]["caption"] == "old"
    assert played(kind(kind.Settings()), "old", lambda request: Failure("dead"))[0]["caption"] == "old"
