"""Chat models in process, against transformers' own classes called by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from models.adapters.catalogue import build
from models.adapters.decoding import Decoding
from models.adapters.roles import Conversation, Turn
from models.pocket import WEIGHTS
from models.worlds.scenes import scene

pytestmark = pytest.mark.usefixtures("one_thread")

GREEDY = Decoding(beams=1, candidates=1, max_tokens=24)
SCENES = [scene(0, index).picture for index in range(4)]
SEEING = {
    "one picture": [Turn("user", "Describe the image.", (SCENES[0],))],
    "no picture": [Turn("user", "Is there a star?")],
    "two pictures in a turn": [Turn("user", "Describe the image.", (SCENES[0], SCENES[1]))],
    "a picture of another size": [Turn("user", "Describe the image.", (SCENES[0][:40],))],
    "several turns": [
        Turn("user", "Describe the image.", (SCENES[2],)),
        Turn("assistant", "a small red star"),
        Turn("user", "Is there a star?", (SCENES[3],)),
    ],
    "a system's turn": [Turn("system", "be brief"), Turn("user", "Describe the image.", (SCENES[1],))],
    "a reply begun": [Turn("user", "Describe the image.", (SCENES[0],)), Turn("assistant", "there is a")],
}
SPEAKING = {name: [Turn(turn.role, turn.text) for turn in turns] for name, turns in SEEING.items()}
LONG, CHOICES = "there is a small yellow star on a mint background", ["yes", "no"]


@pytest.fixture(scope="module", params=["qwen2.5-vl", "llava-onevision", "causal-lm", "llava", "qwen2-vl"])
def family(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def checkpoint(family, request) -> str:
    """The pocket checkpoint of a family, or a tiny one."""
    tiny = {"causal-lm": "causal_checkpoint", "llava": "llava_15_checkpoint", "qwen2-vl": "qwen_2_checkpoint"}
    return request.getfixturevalue(tiny[family]) if family in tiny else str(WEIGHTS / family)


@pytest.fixture(scope="module")
def chat(family, checkpoint) -> Any:
    made = build("chat", "mine", {"adapter": family, "checkpoint": checkpoint, "micro_batch": 4})
    made.load()
    return made


@pytest.fixture(scope="module")
def conversations(family) -> dict[str, Conversation]:
    return SPEAKING if family == "causal-lm" else SEEING


class ByHand:
    """Witness: model and processor as their documentation calls them, one conversation at a time."""

    def __init__(self, family: str, checkpoint: str) -> None:
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

        self.sees = family != "causal-lm"
        self.model = (AutoModelForImageTextToText if self.sees else AutoModelForCausalLM).from_pretrained(checkpoint)
        self.processor = (AutoProcessor if self.sees else AutoTokenizer).from_pretrained(checkpoint)

    def inputs(self, conversation: Conversation, continuation: str = "") -> Any:
        """The rendered text and what follows it, cut into tokens together."""
        begun = conversation[-1].role == "assistant"
        messages = []
        for turn in conversation:
            parts = [{"type": "image"} for _ in turn.pictures] + [{"type": "text", "text": turn.text}]
            messages.append({"role": turn.role, "content": parts if self.sees else turn.text})
        text = self.processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=not begun, continue_final_message=begun
        )
        images = [Image.fromarray(picture) for turn in conversation for picture in turn.pictures]
        text = [f"{text} {continuation}" if continuation else text]
        if not images:
            return self.processor(text=text, return_tensors="pt")
        return self.processor(text=text, images=[images], return_tensors="pt")

    def log_probabilities(self, conversation: Conversation, continuation: str) -> np.ndarray:
        start = self.inputs(conversation)["input_ids"].shape[1]
        inputs = self.inputs(conversation, continuation)
        with torch.no_grad():
            logits = self.model(**inputs).logits[0]
        ids = inputs["input_ids"][0]
        chances = torch.log_softmax(logits, -1)
        return np.array([chances[at - 1, ids[at]].item() for at in range(start, len(ids))])

    def answer(self, conversation: Conversation, **how: Any) -> list[str]:
        inputs = self.inputs(conversation)
        ids = self.model.generate(**inputs, do_sample=False, **how)[:, inputs["input_ids"].shape[1] :]
        return [text.strip() for text in self.processor.batch_decode(ids, skip_special_tokens=True)]


@pytest.fixture(scope="module")
def by_hand(family, checkpoint) -> ByHand:
    return ByHand(family, checkpoint)


@pytest.mark.parametrize("name", SEEING)
def test_log_probabilities_are_those_of_transformers_own_forward(chat, by_hand, conversations, checkpoint, name):
    ((own, spans),) = chat.log_probabilities([conversations[name]], [LONG])
    assert len(spans) == len(own) and list(spans) == sorted(spans)
    if checkpoint.startswith(str(WEIGHTS)):  # the tiny ones do not know every word
        assert "".join(LONG[start:end] for start, end in spans).replace(" ", "") == LONG.replace(" ", "")
    witness = by_hand.log_probabilities(conversations[name], LONG)
    assert own.shape == witness.shape and len(own) >= 9, "a token a word at least"
    assert own == pytest.approx(witness, abs=2e-4)
    assert (own < 0).all()


def test_replies_are_those_of_transformers_own_generate(chat, by_hand, conversations):
    turns = list(conversations.values())
    for beams in (1, 3):
        decoding = Decoding(beams=beams, candidates=beams, max_tokens=12)
        for conversation, replies in zip(turns, chat.answer(turns, decoding, [0] * len(turns)), strict=True):
            how = {"max_new_tokens": 12, "num_beams": beams, "num_return_sequences": beams}
            assert [reply.text for reply in replies] == by_hand.answer(conversation, **how)


def test_what_comes_beside_an_item_makes_no_difference(chat, conversations):
    """Bytes, not a tolerance."""
    turns = [*conversations.values(), *conversations.values()]
    texts = [LONG] * 9 + ["yes"] * (len(turns) - 9)
    choices = [CHOICES, ["a red star", "a red ring", "no"]] * (len(turns) // 2)
    sampled = Decoding(sample=True, candidates=2, max_tokens=6)

    def everything(order: list[int]) -> list[Any]:
        some, seeds = [turns[i] for i in order], [i % 7 for i in order]
        chances = chat.log_probabilities(some, [texts[i] for i in order])
        chosen = chat.choose(some, [choices[i] for i in order])
        replies = [chat.answer(some, how, seeds) for how in (GREEDY, sampled)]
        return list(
            zip(
                (one.log_probabilities.tobytes() for one in chances),
                (one.tobytes() for one in chosen),
                *replies,
                strict=True,
            )
        )

    together = everything(list(range(len(turns))))
    assert everything(list(range(len(turns)))[::-1]) == together[::-1]
    assert [everything([i])[0] for i in range(len(turns))] == together


@pytest.mark.parametrize("decoding", [GREEDY, Decoding(sample=True, candidates=2, max_tokens=6, temperature=2.0)])
def test_a_reply_keeps_how_probable_it_was(chat, conversations, checkpoint, decoding):
    """Law: what was written a token at a time is as probable as it is scored whole; at temperature 1, whatever it was
    drawn at."""
    turns = [conversations[name] for name in ("one picture", "no picture", "a reply begun", "several turns")]
    written = chat.answer_scored(turns, decoding, range(4))
    assert [reply for reply, _ in written] == [some[0] for some in chat.answer(turns, decoding, range(4))]
    kept = [(turn, reply.text, scores) for turn, (reply, scores) in zip(turns, written, strict=True) if scores]
    if checkpoint.startswith(str(WEIGHTS)):  # the tiny ones spell words as no tokenizer does
        assert len(kept) == len(turns)
    scored = chat.log_probabilities([turn for turn, *_ in kept], [text for _, text, _ in kept])
    for (_, _, own), witness in zip(kept, scored, strict=True):
        assert own.spans == witness.spans
        assert own.log_probabilities == pytest.approx(witness.log_probabilities, abs=2e-4)
    ((reply, alone),) = chat.answer_scored(turns[:1], decoding, [0])
    numbers = [one and one.log_probabilities.tobytes() for one in (alone, written[0][1])]
    assert reply == written[0][0] and numbers[0] == numbers[1], "whatever comes beside it"


def test_a_beam_search_keeps_nothing(chat, conversations):
    beams = Decoding(beams=2, candidates=1, max_tokens=4)
    ((_, scores),) = chat.answer_scored([conversations["no picture"]], beams, [0])
    assert scores is None


def test_logits_are_those_of_transformers_own_forward(chat, by_hand, conversations):
    question = conversations["one picture"]
    ((own, spans),) = chat.logits([question], [LONG])
    start, inputs = by_hand.inputs(question)["input_ids"].shape[1], by_hand.inputs(question, LONG)
    with torch.no_grad():
        logits = by_hand.model(**inputs).logits[0]
    ids = inputs["input_ids"][0]
    assert own == pytest.approx([logits[at - 1, ids[at]].item() for at in range(start, len(ids))], abs=2e-3)
    assert spans == chat.log_probabilities([question], [LONG])[0].spans


def test_what_is_filled_up_says_the_same_and_shares_a_forward(family, checkpoint, chat, conversations, monkeypatch):
    """Transformers' own positions and masks; what is added changes how it rounds, and nothing else."""
    settings = {"adapter": family, "checkpoint": checkpoint, "micro_batch": 4}
    assert "pad" not in chat.identity() and chat.identity() != build("chat", "x", {**settings, "pad": 64}).identity()
    padded = build("chat", "mine", {**settings, "pad": 64})
    padded.load()
    asked = [[Turn(turn.role, turn.text + word, turn.pictures) for turn in conversations["one picture"]]
             for word in ("", " red", " red star", " red star left")]  # fmt: skip
    scored = padded.log_probabilities(asked, [LONG] * 4)
    for (one, _), (other, _) in zip(scored, chat.log_probabilities(asked, [LONG] * 4), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=2e-4)
    alone = [padded.log_probabilities([one], [LONG])[0] for one in asked]
    assert [one.log_probabilities.tobytes() for one in alone] == [one.log_probabilities.tobytes() for one in scored]
    calls, generate = [], padded._model.generate
    monkeypatch.setattr(padded._model, "generate", lambda **batch: (calls.append(1), generate(**batch))[1])
    assert padded.answer(asked, GREEDY, [0] * 4) == chat.answer(asked, GREEDY, [0] * 4)
    assert len(calls) == 1


def test_a_picture_is_encoded_once_for_all_that_is_asked_about_it(family, chat, monkeypatch):
    if family == "causal-lm":
        pytest.skip("it sees none")
    calls, encode = [], chat._encode
    monkeypatch.setattr(chat, "_features", {})
    monkeypatch.setattr(chat, "_encode", lambda **batch: (calls.append(1), encode(**batch))[1])
    asked = [[Turn("user", text, (scene,))] for text in ("Describe the image.", "Is there a star?") for scene in SCENES]
    chat.answer(asked, GREEDY, [0] * 8)
    chat.log_probabilities(asked, [LONG] * 8)
    assert len(calls) == 1, "four pictures, a row each"
    monkeypatch.setattr("models.chat.seeing.KEPT", 0)
    chat.log_probabilities(asked[:1], [LONG])
    assert chat._features == {}, "no more is kept than there is room for"


def test_choosing_is_comparing_what_the_choices_add_up_to(chat, conversations):
    choices = [*CHOICES, "a red star", "a red ring", "a blue ring on the left"]
    for conversation in conversations.values():
        (chosen,) = chat.choose([conversation], [choices])
        sums = np.array(
            [one.log_probabilities.sum() for one in chat.log_probabilities([conversation] * len(choices), choices)]
        )
        assert chosen.sum() == pytest.approx(1, abs=1e-12)
        assert chosen == pytest.approx(np.exp(sums) / np.exp(sums).sum(), rel=1e-3, abs=1e-9)


def test_spellings_that_a_model_reads_alike_count_once(chat, conversations):
    """To one that reads no capital letters, as our worlds' models, a reply that begins with one is the same reply."""
    asked = [conversations["one picture"]]
    (plain,), (spelt,) = (chat.choose(asked, [some]) for some in (["yes", "no"], ["yes", "no", "Yes", "No"]))
    if chat._tokens("yes") == chat._tokens("Yes"):
        assert spelt == pytest.approx([*plain, 0, 0], rel=1e-6)
    else:
        assert (spelt > 0).all() and spelt[:2] / spelt[:2].sum() == pytest.approx(plain, rel=1e-3)


def test_choices_of_one_token_share_a_forward_and_equal_questions_too(chat, conversations, monkeypatch):
    calls, forward = [], chat._model.forward
    monkeypatch.setattr(chat._model, "forward", lambda **batch: (calls.append(1), forward(**batch))[1])
    question, other = conversations["one picture"], conversations["no picture"]
    letters = ["a", "b", "c"]
    alike = chat.choose([question] * 9 + [other], [letters] * 10)
    assert len(calls) == 2
    assert all(np.array_equal(one, alike[0]) for one in alike[1:9]) and not np.array_equal(alike[9], alike[0])


def test_a_text_is_as_probable_as_its_halves(chat, conversations):
    """Law: P(a b) = P(a) P(b | a), where a is a reply that has been begun."""
    question = conversations["one picture"]
    (whole, _), (first, _) = chat.log_probabilities([question] * 2, [LONG, "there is a small"])
    ((second, _),) = chat.log_probabilities(
        [[*question, Turn("assistant", "there is a small")]], ["yellow star on a mint background"]
    )
    assert np.concatenate([first, second]) == pytest.approx(whole, abs=2e-4)


def test_a_reply_says_why_it_ended(chat, by_hand, conversations, checkpoint):
    end = by_hand.model.generation_config.eos_token_id
    for most in (1, 24):
        decoding = Decoding(beams=1, candidates=1, max_tokens=most)
        for conversation in conversations.values():
            ((reply,),) = chat.answer([conversation], decoding, [0])
            inputs = by_hand.inputs(conversation)
            ids = by_hand.model.generate(**inputs, max_new_tokens=most, do_sample=False)
            assert reply.finish == ("stop" if end in ids[0, inputs["input_ids"].shape[1] :] else "length")
    assert reply.finish == "stop" or not checkpoint.startswith(str(WEIGHTS)), "the pocket models end what they say"


def test_more_turns_matter(chat, conversations):
    *before, last = conversations["several turns"]
    (one, _), (other, _) = chat.log_probabilities([[*before, last], [last]], ["yes"] * 2)
    assert one[0] != other[0]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ([], "There is nothing to choose from: name at least one choice"),
        (["yes", "yes"], "The choice 'yes' is the beginning of 'yes', so that both would count the same replies"),
        (["no", "a red star", "a red"], "The choice 'a red' is the beginning of 'a red star'"),
        (["yes", ""], "'' has no token to give a probability to"),
    ],
)
def test_choices_that_are_none_are_refused(chat, conversations, choices, message):
    with pytest.raises(ValueError) as caught:
        chat.choose([conversations["one picture"]], [choices])
    assert str(caught.value).startswith(message)


def test_a_conversation_that_is_too_long_is_refused(chat):
    with pytest.raises(
        ValueError, match=r"A conversation with 0 pictures is \d+ tokens; with 24 more that is over the"
    ):
        chat.answer([[Turn("user", "star " * 600)]], GREEDY, [0])
    with pytest.raises(ValueError, match=r"with \d+ more that is over the"):
        chat.log_probabilities([[Turn("user", "star")]], ["star " * 600])


def test_nothing_asked_nothing_said(chat):
    assert chat.answer([], GREEDY, []) == chat.log_probabilities([], []) == chat.choose([], []) == []


def test_the_identity_needs_no_loading_and_holds_no_decoding(family, checkpoint):
    made = build("chat", "mine", {"adapter": family, "checkpoint": checkpoint})
    assert made.identity()["checkpoint"].startswith("sha256:")
    assert set(made.identity()) & {"beams", "max_tokens", "prompt"} == set()
    assert build("chat", "mine", {"adapter": family, "checkpoint": checkpoint, "dtype": "float16"}).identity() != (
        made.identity()
    )


def test_on_a_gpu_all_sizes_and_lengths_share_a_forward_and_lie_within_a_tolerance(
    family, checkpoint, chat, conversations, monkeypatch
):
    """Witness: the exact mode. Forced on the CPU: the words are the same, and ln P is to 1e-4."""
    monkeypatch.setattr("models.adapters.batches.shares", lambda device: True)
    shared = build("chat", "mine", {"adapter": family, "checkpoint": checkpoint, "micro_batch": 4})
    shared.load()
    calls, generate = [], shared._model.generate
    monkeypatch.setattr(shared._model, "generate", lambda **batch: (calls.append(len(batch["input_ids"])),
                                                                    generate(**batch))[1])  # fmt: skip
    turns, texts = list(conversations.values()), [LONG, "yes", "a red star", LONG, "no", "yes", LONG]
    beams, sampled = Decoding(beams=3, candidates=3, max_tokens=12), Decoding(sample=True, candidates=2, max_tokens=6)
    for decoding in (beams, sampled):
        assert shared.answer(turns, decoding, range(7)) == chat.answer(turns, decoding, range(7))
    assert calls == [4, 3, 4, 3], "no row is computed twice"
    for one, other in zip(shared.log_probabilities(turns, texts), chat.log_probabilities(turns, texts), strict=True):
        assert one.spans == other.spans
        assert one.log_probabilities == pytest.approx(other.log_probabilities, rel=2e-5, abs=1e-4)
    for one, other in zip(shared.choose(turns, [CHOICES] * 7), chat.choose(turns, [CHOICES] * 7), strict=True):
        assert one == pytest.approx(other, abs=1e-4)
