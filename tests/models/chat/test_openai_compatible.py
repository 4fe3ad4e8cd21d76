"""A chat model behind an endpoint: what is asked, and what is said of servers that ignore it.

The scripted servers answer as vLLM does where they answer well; tests/models/captioners has the protocol's edges.
"""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

from models.adapters import metering
from models.adapters.catalogue import build
from models.adapters.decoding import Decoding, candidate_seeds
from models.adapters.roles import Reply, Turn
from models.chat import messages
from models.media.images import encode_png
from tests.models.captioners.hosted import completion

GREEDY = Decoding(beams=1, candidates=1, max_tokens=8)
QUESTION = [Turn("user", "is there a star?")]


def chat(endpoint: str = "http://127.0.0.1:1/v1", **settings: Any) -> Any:
    given = {"adapter": "openai-compatible", "endpoint": endpoint, "model": "palimpsest/tiny", "revision": "1"}
    return build("chat", "mine", given | settings)


def completions(*texts: str) -> tuple[int, dict]:
    return 200, {"choices": [completion(text)[1]["choices"][0] for text in texts]}


class Verdict(BaseModel):
    star: bool


def test_turns_are_messages_and_pictures_go_before_the_text(server, pictures):
    echo = server(lambda *_: completion(" no\n", "length"))
    one, other = pictures(2)
    turns = [
        Turn("system", "be brief"),
        Turn("user", "which?", (one, other)),
        Turn("assistant", "a"),
        Turn("user", "why"),
    ]
    assert chat(echo.endpoint).answer([turns], GREEDY, [0]) == [[Reply("no", "length")]]
    messages = echo.requests[0]["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert [part["type"] for part in messages[1]["content"]] == ["image_url", "image_url", "text"]
    assert messages[0]["content"] == "be brief" and "continue_final_message" not in echo.requests[0]


def test_a_reply_that_was_begun_is_continued(server):
    echo = server(lambda *_: completion("star"))
    chat(echo.endpoint).answer([[*QUESTION, Turn("assistant", "there is a")]], GREEDY, [0])
    assert (echo.requests[0]["continue_final_message"], echo.requests[0]["add_generation_prompt"]) == (True, False)


def test_loading_asks_without_a_picture(server):
    echo = server(lambda *_: completion("hello"))
    chat(echo.endpoint).load()
    assert echo.requests[0]["messages"] == [{"role": "user", "content": "Hello."}]
    deaf = server(lambda *_: (400, "no"))
    with pytest.raises(ValueError, match="`model`, which must be one that chats"):
        chat(deaf.endpoint).load()


def test_a_beam_search_is_refused():
    with pytest.raises(ValueError, match="chat completions know no beam search, so 6 beams and 3 candidates cannot"):
        chat().answer([QUESTION], Decoding(), [0])


def test_seeds_are_asked_for_one_request_a_candidate_or_all_together(server):
    echo = server(lambda body, _: completions(*"abc"[: body.get("n", 1)]))
    sampled = Decoding(sample=True, candidates=3)
    chat(echo.endpoint, concurrency=1).answer([QUESTION], sampled, [5])
    assert [body["seed"] for body in echo.requests] == candidate_seeds(5, 3)
    ((*replies,),) = chat(echo.endpoint, together=True).answer([QUESTION], sampled, [5])
    assert [reply.text for reply in replies] == ["a", "b", "c"]
    assert (echo.requests[3]["n"], echo.requests[3]["seed"]) == (3, candidate_seeds(5, 1)[0])
    assert len(echo.requests) == 4
    assert chat(together=True).identity() != chat().identity() == chat(together=False).identity()


def test_what_a_server_ignores_is_said_in_one_sentence(server):
    """As `transformers serve` and its like: one choice, no probabilities, no schema."""
    ignorant = server(lambda *_: completion("a star"))
    model = chat(ignorant.endpoint, together=True)
    for ask, sentence in (
        (lambda: model.answer([QUESTION], Decoding(sample=True, candidates=3), [0]),
         "the endpoint ignored `n`: of 3 replies that were asked for it gave 1; set `together: false`"),
        (lambda: model.answer([QUESTION], GREEDY, [0], form=Verdict),
         "the endpoint ignored `response_format`: it said 'a star', which is no JSON of the schema Verdict"),
        (lambda: model.choose([QUESTION], [["yes", "no"]]),
         "the endpoint ignored `logprobs`: its reply has none; take a server that gives them, such as vLLM"),
        (lambda: model.log_probabilities([QUESTION], ["yes"]),
         "the endpoint ignored `prompt_logprobs`: its reply has none; take a server that gives them, such as vLLM"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as caught:
            ask()
        assert str(caught.value) == sentence


def test_a_form_is_asked_for_and_held(server):
    echo = server(lambda *_: completion('{"star": true}'))
    ((reply,),) = chat(echo.endpoint).answer([QUESTION], GREEDY, [0], form=Verdict)
    assert Verdict.model_validate_json(reply.text).star
    asked = echo.requests[0]["response_format"]
    assert asked["type"] == "json_schema" and asked["json_schema"]["schema"] == Verdict.model_json_schema()
    cut = server(lambda *_: completion('{"star": tr', "length"))
    with pytest.raises(ValueError, match="the endpoint cut the reply off at `max_tokens`: it said"):
        chat(cut.endpoint).answer([QUESTION], GREEDY, [0], form=Verdict)
    other = server(lambda *_: completion('{"ring": 1}'))
    with pytest.raises(ValueError, match="ignored `response_format`"):
        chat(other.endpoint).answer([QUESTION], GREEDY, [0], form=Verdict)


def test_extra_fields_do_not_overrule_what_is_looked_for(server):
    echo = server(lambda *_: completion('{"star": true}'))
    chat(echo.endpoint, extra={"response_format": {"type": "text"}, "top_k": 1}).answer(
        [QUESTION], GREEDY, [0], Verdict
    )
    assert echo.requests[0]["response_format"]["type"] == "json_schema" and echo.requests[0]["top_k"] == 1


CHANCES = {"yes": 0.6, "no": 0.2, "Yes": 0.15}
WORDS = {" red": 0.5, " star": 0.25}


def like_vllm(body: dict, _: int) -> tuple[int, dict]:
    """Probabilities of the first token, and of a prompt that is cut at blanks."""
    status, fields = completion("yes")
    fields["usage"] = {"prompt_tokens": 1 + len(body["messages"][0]["content"].split())}
    if body.get("logprobs"):
        listed = [{"token": token, "logprob": math.log(p)} for token, p in CHANCES.items()]
        fields["choices"][0]["logprobs"] = {
            "content": [{"token": "yes", "top_logprobs": listed[: body["top_logprobs"]]}]
        }
    if body.get("continue_final_message"):
        said = body["messages"][1]["content"].split(" ")
        fields["usage"]["prompt_tokens"] += len(said)
        tokens = [*body["messages"][0]["content"].split(), *said]
        fields["prompt_logprobs"] = [None] + [
            {str(i): {"logprob": math.log(WORDS.get(f" {token}", CHANCES.get(token, 0.1))), "rank": 1,
                      "decoded_token": f" {token}"}}
            for i, token in enumerate(tokens)
        ]  # fmt: skip
    return status, fields


def test_choices_among_the_likeliest_first_tokens_are_one_request(server):
    vllm = server(like_vllm)
    (chosen,) = chat(vllm.endpoint).choose([QUESTION], [["no", "yes"]])
    assert chosen == pytest.approx([0.25, 0.75])
    assert [body["max_tokens"] for body in vllm.requests] == [1] and vllm.requests[0]["top_logprobs"] == 20


def test_other_choices_are_scored_whole(server):
    vllm = server(like_vllm)
    (chosen,) = chat(vllm.endpoint).choose([QUESTION], [["yes", "red star"]])
    assert chosen == pytest.approx(np.array([0.6, 0.125]) / 0.725)


def test_a_server_that_lists_too_few_tokens_is_told(server):
    stingy = server(lambda body, n: like_vllm(body | {"continue_final_message": False}, n))
    with pytest.raises(ValueError) as caught:
        chat(stingy.endpoint).choose([QUESTION], [["yes", "maybe"]])
    assert str(caught.value) == (
        "'maybe' is not among the 3 likeliest first tokens, and the endpoint ignored `prompt_logprobs`: its reply has "
        "none; take a server that gives them, such as vLLM"
    )
    none = server(lambda body, n: like_vllm(body | {"top_logprobs": 0}, n))
    with pytest.raises(ValueError, match="the endpoint ignored `top_logprobs`: its reply has only that of 'yes'"):
        chat(none.endpoint).choose([QUESTION], [["yes", "no"]])


def test_log_probabilities_are_those_behind_the_prompt(server):
    vllm = server(like_vllm)
    question = [*QUESTION, Turn("assistant", "a")]
    (plain, spans), (begun, _) = chat(vllm.endpoint).log_probabilities([QUESTION, question], ["red star", " red star"])
    assert plain == pytest.approx(np.log([0.5, 0.25])) and begun == pytest.approx(plain)
    assert ["red star"[start:end] for start, end in spans] == ["red", " star"]
    assert {body.get("prompt_logprobs", 0) for body in vllm.requests} == {0}


def test_a_reply_keeps_how_probable_it_was_where_the_server_tells(server):
    """As vLLM tells: the end of the turn is a token too."""
    said = [{"token": token, "logprob": math.log(p)} for token, p in (("red", 0.5), (" star", 0.25), ("<|im_end|>", 1))]

    def telling(body: dict, _: int) -> tuple[int, dict]:
        status, fields = completion("red star")
        fields["choices"][0]["logprobs"] = {"content": said} if body["logprobs"] else None
        return status, fields

    ((reply, scores),) = chat(server(telling).endpoint).answer_scored([QUESTION], GREEDY, [0])
    assert reply == Reply("red star", "stop") and scores.spans == ((0, 3), (3, 8))
    assert scores.log_probabilities == pytest.approx(np.log([0.5, 0.25]))
    silent = chat(server(lambda *_: completion("red star")).endpoint)
    assert silent.answer_scored([QUESTION], GREEDY, [0]) == [(reply, None)]
    with pytest.raises(ValueError, match="an endpoint tells no logits"):
        silent.logits([QUESTION], ["red"])


def test_a_text_that_was_not_continued_is_noticed(server):
    """The end of a turn and the beginning of the next are then part of the prompt."""

    def closing(body: dict, n: int) -> tuple[int, dict]:
        status, fields = like_vllm(body, n)
        if "prompt_logprobs" in fields:
            fields["prompt_logprobs"].append({"9": {"logprob": -0.1, "decoded_token": "<|im_end|>"}})
        return status, fields

    with pytest.raises(
        ValueError, match=r"gave the probability of 'red star<\|im_end\|>' where that of 'red star' was"
    ):
        chat(server(closing).endpoint).log_probabilities([QUESTION], ["red star"])


def test_one_failure_costs_no_neighbour_a_second_request(server):
    picky = server(lambda body, _: completion("" if "b" in body["messages"][0]["content"] else "fine"))
    model, turns = chat(picky.endpoint), [[Turn("user", text)] for text in "abc"]
    with pytest.raises(ValueError, match=r"the endpoint's reply is empty \(finish_reason stop\)"):
        model.answer(turns, GREEDY, [0] * 3)
    assert model.answer(turns[:1], GREEDY, [0]) == model.answer(turns[2:], GREEDY, [0]) == [[Reply("fine", "stop")]]
    assert len(picky.requests) == 3


def test_one_failure_among_choices_costs_no_neighbour_a_second_request(server):
    """Of three items two have a choice that is not among the likeliest first tokens, and one of these is not scored:
    their first tokens and what was scored are known when they are asked one by one."""

    def in_part(body: dict, n: int) -> tuple[int, dict]:
        scored = body["messages"][-1]["content"] != "unheard of"
        return like_vllm(body if scored else body | {"continue_final_message": False}, n)

    vllm = server(in_part)
    model = chat(vllm.endpoint)
    turns = [[Turn("user", f"is there a star, {name}?")] for name in "abc"]
    choices = [["yes", "no"], ["yes", "red star"], ["yes", "unheard of"]]
    with pytest.raises(ValueError, match="the endpoint ignored `prompt_logprobs`"):
        model.choose(turns, choices)
    asked = len(vllm.requests)
    alone = [model.choose([turn], [some])[0] for turn, some in zip(turns[:2], choices, strict=False)]
    assert alone[0] == pytest.approx([0.75, 0.25]) and alone[1] == pytest.approx(np.array([0.6, 0.125]) / 0.725)
    with pytest.raises(ValueError, match="'unheard of' is not among the 3 likeliest first tokens, and the endpoint"):
        model.choose(turns[2:], choices[2:])
    assert len(vllm.requests) == asked == 3 + 2 * 4


def test_nothing_asked_nothing_said():
    assert chat().answer([], GREEDY, []) == chat().choose([], []) == chat().log_probabilities([], []) == []


def test_a_host_that_gives_fewer_first_tokens_is_asked_for_fewer_from_then_on(server, caplog):
    def stingy(body: dict, n: int) -> tuple[int, dict]:
        many = body.get("top_logprobs", 0)
        return (400, {"error": {"message": "top_logprobs must be at most 5"}}) if many > 5 else like_vllm(body, n)

    host = server(stingy)
    model = chat(host.endpoint)
    for _ in range(2):
        (chosen,) = model.choose([QUESTION], [["no", "yes"]])
        assert chosen == pytest.approx([0.25, 0.75])
    assert [body["top_logprobs"] for body in host.requests] == [20, 5, 5]
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"Endpoint {host.endpoint} refuses `top_logprobs: 20`: it is asked for 5, and choices that are not among these "
        "are scored one by one."
    ]


def test_questions_of_one_picture_go_one_behind_the_other(server, pictures):
    echo = server(lambda *_: completion("star"))
    one, other = pictures(2)
    asked = [Turn("user", text, (picture,)) for text in ("a?", "b?", "c?") for picture in (one, other)]
    chat(echo.endpoint, concurrency=1).answer([[turn] for turn in asked], GREEDY, [0] * 6)
    seen = [body["messages"][0]["content"][0]["image_url"]["url"] for body in echo.requests]
    assert len(set(seen)) == 2 and len(set(seen[:3])) == len(set(seen[3:])) == 1


def test_tokens_are_counted_with_what_they_cost_and_enter_no_key(server):
    """15 + 5 at 2, 10 at 1 and 4 at 10 a thousand."""
    usage = [{"prompt_tokens": 25, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 10}},
             {"prompt_tokens": 5, "completion_tokens": None}, {}]  # fmt: skip
    host = server(lambda _, n: (200, completion("star")[1] | {"usage": usage[n]}))
    price = {"prompt": 2, "cached": 1, "completion": 10}
    model = chat(host.endpoint, price=price, requests_per_minute=6e6, batch=False)
    metering.taken()
    for _ in usage:
        model.answer([QUESTION], GREEDY, [0])
    counted = {"requests": 2, "prompt_tokens": 30, "cached_tokens": 10, "completion_tokens": 4}
    assert metering.taken() == {"palimpsest/tiny": counted | {"cost": pytest.approx(0.09)}}
    assert model.identity() == chat(batch=True).identity() == chat().identity()
    with pytest.raises(ValueError, match='"price.completion" of openai-compatible'):
        chat(price={"prompt": 1})


def test_a_picture_is_encoded_once_however_much_is_asked_about_it(server, pictures, monkeypatch):
    """Also by threads that send at the same time, and in a conversation of several turns; and not before it is sent."""
    encoded: list[int] = []
    monkeypatch.setattr(messages, "encode_png", lambda picture: encoded.append(len(picture)) or encode_png(picture))
    echo = server(lambda *_: completion("star"))
    (one,) = pictures(1)
    asked = [[Turn("user", text, (one.copy(),)), Turn("assistant", "a"), Turn("user", text, (one,))] for text in "abcd"]
    model = chat(echo.endpoint)
    bodies = [model._body(conversation, GREEDY) for conversation in asked]
    assert encoded == []
    model.answer(asked, GREEDY, [0] * 4)
    assert encoded == [32] and len(echo.requests) == len(bodies)
    urls = {part["image_url"]["url"] for body in echo.requests for turn in body["messages"] for part in turn["content"]
            if "image_url" in part}  # fmt: skip
    assert urls == {f"data:image/png;base64,{base64.b64encode(encode_png(one)).decode()}"}
