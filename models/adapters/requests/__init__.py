"""Requests: what a method asks of models.

A method is a generator that names roles. It yields a request, or a list of requests that do not depend on each other,
and is sent the reply, or a list of replies; what it returns are the values of its item, by column. Which models play
its roles is the study's business, as are keys, batches and order::

    def described(case, settings):
        words = yield Ask("captioner", "Describe the image.", pictures=(case.picture,))
        picture = yield Paint("painter", words)
        shorter = yield Ask("captioner", "Say it in ten words.", pictures=(case.picture, picture), read=ten_words)
        return {"caption": shorter or words}

A reply that was not given, or that ``read`` cannot read, arrives as a :class:`Failure`, which is false; the method says
what then.
"""

from models.adapters.requests.base import Asking, Conversation, Failure, Request, Value, together
from models.adapters.requests.chat import Ask, Choose, Line, LogProbs, RawScores, Said, Scored, text_of
from models.adapters.requests.pictures import Compare, Detect, Detected, Encode, Paint
from models.adapters.requests.texts import Embed, Measure, Tag
from models.adapters.roles import Pictured

__all__ = [
    "Ask",
    "Asking",
    "Choose",
    "Compare",
    "Conversation",
    "Detect",
    "Detected",
    "Embed",
    "Encode",
    "Failure",
    "Line",
    "LogProbs",
    "Measure",
    "Paint",
    "Pictured",
    "RawScores",
    "Request",
    "Said",
    "Scored",
    "Tag",
    "Value",
    "text_of",
    "together",
]
