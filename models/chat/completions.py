"""Chat completions as servers give them: read, and compared with what was asked, since servers ignore fields silently.

What is quoted of a reply is what a model said; it is short and on one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from models.adapters.roles import Reply, Scores
from models.adapters.thinking import answered

Fields = Mapping[str, Any]


def checked(fields: dict[str, Any]) -> dict[str, Any]:
    """A completion in which there is a choice, and each has a message.

    Raises LookupError, TypeError or AttributeError for anything else.
    """
    for choice in fields["choices"]:
        _ = choice["message"]["content"], choice.get("finish_reason")
    _ = fields["choices"][0]
    return fields


def response_format(form: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a form, as OpenAI, vLLM and SGLang take it."""
    schema = {"name": form.__name__, "schema": form.model_json_schema(), "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def replies(choices: Sequence[Fields], count: int, what: str, form: type[BaseModel] | None) -> list[Reply]:
    """The ``count`` replies in a completion, without blanks around them; ``what`` they are called in a message.

    Raises
    ------
    ValueError
        There are fewer, or one is empty, withheld by the server's filter, cut off while the model was thinking, or no
        JSON of the form.
    ConnectionError
        The server failed in the middle of one, and says so beside it, as routers do.

    >>> replies([{"message": {"content": " a star "}, "finish_reason": "stop"}], 1, "reply", None)
    [Reply(text='a star', finish='stop')]
    >>> replies([{"message": {"content": " a star "}, "finish_reason": "stop"}], 3, "reply", None)
    Traceback (most recent call last):
        ...
    ValueError: the endpoint ignored `n`: of 3 replies that were asked for it gave 1; set `together: false`
    """
    if len(choices) < count:
        raise ValueError(
            f"the endpoint ignored `n`: of {count} replies that were asked for it gave {len(choices)}; set "
            "`together: false`"
        )
    return [_reply(choice, what, form) for choice in choices[:count]]


def _reply(choice: Fields, what: str, form: type[BaseModel] | None) -> Reply:
    text, ended = answered(choice["message"]["content"] or ""), choice.get("finish_reason")
    if choice.get("error") or ended == "error":
        raise ConnectionError(f"the endpoint failed before its {what} was whole: {_short(str(choice.get('error')))}")
    if ended == "content_filter":
        raise ValueError(f"the endpoint's filter withheld the {what}")
    if not text:
        more = ": raise `max_tokens`, the model spent them on something else" if ended == "length" else ""
        raise ValueError(f"the endpoint's {what} is empty (finish_reason {ended}){more}")
    if form:
        try:
            form.model_validate_json(text)
        except ValidationError:
            cut = ended == "length" and text.startswith("{")
            why = "cut the reply off at `max_tokens`" if cut else "ignored `response_format`"
            raise ValueError(
                f"the endpoint {why}: it said {_short(text)!r}, which is no JSON of the schema {form.__name__}"
            ) from None
    return Reply(text, ended or "")


def first_tokens(fields: Fields) -> dict[str, float]:
    """Likeliest first tokens of a completion's first choice: token -> ln P.

    Raises
    ------
    ValueError
        The server gave no probabilities, or only that of the token it took.

    >>> first_tokens({"choices": [{"logprobs": None}]})
    Traceback (most recent call last):
        ...
    ValueError: the endpoint ignored `logprobs`: its reply has none; take a server that gives them, such as vLLM
    """
    try:
        first = fields["choices"][0]["logprobs"]["content"][0]
    except (LookupError, TypeError):
        raise ValueError(
            "the endpoint ignored `logprobs`: its reply has none; take a server that gives them, such as vLLM"
        ) from None
    if not (likeliest := first.get("top_logprobs")):
        raise ValueError(
            f"the endpoint ignored `top_logprobs`: its reply has only that of {first.get('token')!r}; take a server "
            "that gives them, such as vLLM"
        )
    return {one["token"]: float(one["logprob"]) for one in likeliest}


def written_scores(choice: Fields, text: str) -> Scores | None:
    """How probable a reply was as it was written; None where the server does not tell, or its text is but a part.

    >>> said = [{"token": " a", "logprob": -0.5}, {"token": " star", "logprob": -1.0}, {"token": "", "logprob": 0.0}]
    >>> written_scores({"logprobs": {"content": said}}, "a star")
    Scores(log_probabilities=array([-0.5, -1. ]), spans=((0, 1), (1, 6)))
    >>> written_scores({}, "a star")
    """
    own, spelt = [], ""
    for token in (choice.get("logprobs") or {}).get("content") or ():
        own.append({"decoded_token": token["token"]} | token)
        spelt += token["token"]
        if spelt.strip() == text:
            return Scores(np.array([one["logprob"] for one in own], np.float64), spelt_spans(text, own))
    return None


def continuation_scores(prompt: Fields, whole: Fields, text: str) -> Scores:
    """How probable those tokens are by which the prompt of ``whole`` is longer than that of ``prompt``: the text's.

    Raises
    ------
    ValueError
        The server gave no probabilities of its prompt, or of one that goes on in another way.

    >>> known = [None, {"5": {"logprob": -0.1}}, {"7": {"logprob": -2.5, "decoded_token": "yes"}}]
    >>> continuation_scores({"usage": {"prompt_tokens": 2}}, {"prompt_logprobs": known}, "yes")
    Scores(log_probabilities=array([-2.5]), spans=((0, 3),))
    """
    if not (known := whole.get("prompt_logprobs")):
        raise ValueError(
            "the endpoint ignored `prompt_logprobs`: its reply has none; take a server that gives them, such as vLLM"
        )
    if not (start := (prompt.get("usage") or {}).get("prompt_tokens")):
        raise ValueError("the endpoint's reply does not count the prompt's tokens in `usage`, so nothing can be scored")
    own = [next(iter(token.values())) for token in known[start:]]
    spelt = "".join(token.get("decoded_token") or "" for token in own)
    if spelt.strip() != text.strip() and "\ufffd" not in spelt:  # which stands for a part of a character
        raise ValueError(
            f"the endpoint gave the probability of {_short(spelt)!r} where that of {_short(text)!r} was asked for: it "
            "ignored `continue_final_message`, or cuts the text into tokens in another way"
        )
    return Scores(np.array([token["logprob"] for token in own], np.float64), spelt_spans(text, own))


def spelt_spans(text: str, tokens: Sequence[Fields]) -> tuple[tuple[int, int], ...]:
    """What each token spells of a text; a character of several tokens is the last one's.

    >>> spelt_spans("a né", [{"decoded_token": spelt} for spelt in ("a", " n", "\ufffd", "é")])
    ((0, 1), (1, 3), (3, 3), (3, 4))
    """
    spelt = [(token.get("decoded_token") or "").replace("\ufffd", "") for token in tokens]
    more = _blanks("".join(spelt)) - _blanks(text)  # before the text's first token
    ends = np.clip(np.cumsum([0, *map(len, spelt)]) - more, 0, len(text)).tolist()
    return tuple(zip(ends, ends[1:], strict=False))


def _blanks(text: str) -> int:
    return len(text) - len(text.lstrip())


def _short(text: str) -> str:
    return " ".join(text.split())[:200]
