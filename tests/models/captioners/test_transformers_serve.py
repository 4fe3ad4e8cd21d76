"""The adapter against a real server: `transformers serve` with a small checkpoint of random weights, found in a hub
cache of its own, which asks to be sampled from, as many released ones do."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from models.adapters import metering
from models.adapters.catalogue import build
from models.adapters.decoding import Decoding, candidate_seeds
from models.adapters.roles import Turn
from tests.models.captioners.hosted import GREEDY, PROMPT, captioner, say, serving


@pytest.fixture(scope="module")
def served(llava_checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server process with its endpoint and the checkpoint's folder."""
    from transformers.utils.import_utils import is_serve_available

    if not is_serve_available():
        pytest.skip("`transformers serve` needs fastapi, uvicorn and openai, which the extra `test` brings")
    folder = tmp_path_factory.mktemp("sampled") / "checkpoint"
    shutil.copytree(llava_checkpoint, folder)
    generation = json.loads((folder / "generation_config.json").read_text())
    (folder / "generation_config.json").write_text(json.dumps(generation | {"do_sample": True}))
    with serving(folder, tmp_path_factory.mktemp("served")) as endpoint:
        yield SimpleNamespace(endpoint=endpoint, folder=folder)


def by_hand(folder: Path, pictures: list[np.ndarray], seeds: list[int] | None = None, **how: Any) -> list[str]:
    """Witness: transformers' own model and processor as its documentation calls them, one picture at a time."""
    import torch
    from PIL import Image
    from transformers import AutoProcessor, LlavaOnevisionForConditionalGeneration

    model = LlavaOnevisionForConditionalGeneration.from_pretrained(folder)
    processor, texts = AutoProcessor.from_pretrained(folder), []
    for index, picture in enumerate(pictures):
        parts = [{"type": "image", "image": Image.fromarray(picture)}, {"type": "text", "text": PROMPT}]
        chat = [{"role": "user", "content": parts}]
        inputs = processor.apply_chat_template(
            chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        torch.manual_seed(seeds[index] if seeds else 0)
        ids = model.generate(**inputs, max_new_tokens=8, **how)
        texts.append(processor.decode(ids[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip())
    return texts


def prompt_tokens(folder: Path, pictures: list[np.ndarray]) -> int:
    """Witness: how many tokens transformers' own processor makes of the prompt with each picture."""
    from PIL import Image
    from transformers import AutoProcessor

    processor, count = AutoProcessor.from_pretrained(folder), 0
    for picture in pictures:
        parts = [{"type": "image", "image": Image.fromarray(picture)}, {"type": "text", "text": PROMPT}]
        chat = [{"role": "user", "content": parts}]
        count += len(
            processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=True)[
                "input_ids"
            ][0]
        )
    return count


def test_a_served_checkpoint_says_what_it_says_in_process(served, pictures, one_thread):
    some = pictures(6)
    adapter = captioner(served.endpoint, **GREEDY)
    adapter.load()
    said = say(adapter, some)
    assert len({texts[0] for texts in said}) > 3, "pictures must differ for this test to mean something"
    assert said == [[text] for text in by_hand(served.folder, some, do_sample=False)]
    metering.taken()
    assert say(adapter, some[::-1]) == said[::-1]
    (spent,) = metering.taken().values()
    assert spent["requests"] == 6 and spent["prompt_tokens"] == prompt_tokens(served.folder, some)
    assert 6 <= spent["completion_tokens"] <= 6 * 8


def test_samples_of_a_served_checkpoint_follow_their_seeds(served, pictures, one_thread):
    """One request at a time, since this server has one generator for all."""
    (picture,), how = pictures(1), {"temperature": 0.8, "top_p": 0.9}
    adapter = captioner(served.endpoint, **how, concurrency=1)
    ((first, *others),) = say(adapter, [picture], [7])
    seeds = candidate_seeds(7, 3)
    assert [first, *others] == by_hand(served.folder, [picture] * 3, seeds, do_sample=True, **how)
    assert len({first, *others}) > 1
    assert say(captioner(served.endpoint, **how, candidates=1), [picture], [7]) == [[first]]
    assert say(adapter, [picture], [8]) != [[first, *others]]


def test_a_caption_ends_at_the_token_limit(served, pictures):
    (longer,), (shorter,) = (
        say(captioner(served.endpoint, **GREEDY, max_tokens=most), pictures(1))[0] for most in (8, 3)
    )
    assert len(shorter.split()) <= 3 and longer.startswith(shorter)


def test_a_model_that_is_not_served_is_told_with_the_nearest(served):
    with pytest.raises(ValueError) as caught:
        captioner(served.endpoint, model="palimpsest/tini").load()
    assert str(caught.value) == (
        f'There is no model at {served.endpoint} "palimpsest/tini"; did you mean "palimpsest/tiny"? '
        "Known: palimpsest/tiny."
    )


def test_an_endpoint_may_know_the_model_by_another_name(served, pictures):
    aliased = captioner(served.endpoint, **GREEDY, model="anything", served_as="palimpsest/tiny")
    aliased.load()
    assert say(aliased, pictures(1)) == say(captioner(served.endpoint, **GREEDY), pictures(1))


class Verdict(BaseModel):
    star: bool


def test_what_this_server_ignores_is_said_in_one_sentence(served, pictures):
    """It warns on its own side only, and answers with one reply in plain words; fields of vLLM's own it refuses."""
    given = {"adapter": "openai-compatible", "endpoint": served.endpoint, "model": "palimpsest/tiny", "revision": "1"}
    chat = build("chat", "mine", given | {"together": True})
    chat.load()
    question = [Turn("user", PROMPT, tuple(pictures(2)))]
    greedy = Decoding(beams=1, candidates=1, max_tokens=4)
    ((reply,),) = chat.answer([question], greedy, [0])
    assert reply.text and reply.finish in ("stop", "length")
    sentences = []
    for ask in (
        lambda: chat.answer([question], Decoding(sample=True, candidates=3, max_tokens=4), [0]),
        lambda: chat.choose([question], [["yes", "no"]]),
    ):
        with pytest.raises(ValueError) as caught:
            ask()
        sentences.append(str(caught.value))
    assert sentences == [
        "the endpoint ignored `n`: of 3 replies that were asked for it gave 1; set `together: false`",
        "the endpoint ignored `logprobs`: its reply has none; take a server that gives them, such as vLLM",
    ]
    with pytest.raises(
        ValueError, match=r"ignored `response_format`: it said .*, which is no JSON of the schema Verdict"
    ):
        chat.answer([question], greedy, [0], form=Verdict)
    with pytest.raises(ValueError, match="the endpoint answered 422: .*prompt_logprobs"):
        chat.log_probabilities([question], ["yes"])
