"""A toy method with toy models: what they do is plain to see, and every load and every call is written down."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from models.adapters import catalogue, roles
from models.adapters.requests import Ask, Conversation, Paint
from models.adapters.roles import Reply, Turn
from models.media.images import encode_png
from registry.store import places
from registry.store.dag import STAGES, Stage
from registry.store.keys import digest
from registry.store.objects import ObjectStore
from stages.engine.node import Node
from stages.engine.pictures import Picture
from stages.engine.players import Player
from stages.engine.tasks import Task
from stages.engine.waves import Method

RECAPTION = Stage(
    name="recaption",
    kind="recaption",
    section="recaptioners",
    axis="recaptioner",
    axes=(*STAGES["caption"].axes, "recaptioner"),
    fields=(("caption", pa.string()),),
)


class Toy:
    """What both toys share: ``journal`` is the file in which they write, ``pause`` the seconds that an answer takes."""

    VERSION = 1

    class Settings(roles.Settings):
        name: str
        journal: Path
        pause: float = 0.0

    def __init__(self, settings: Any) -> None:
        self.settings = settings

    def identity(self) -> dict[str, Any]:
        return {"name": self.settings.name}

    def load(self) -> None:
        self.note("load")

    def note(self, what: str) -> None:
        with self.settings.journal.open("a") as file:
            file.write(f"{self.settings.name} {what}\n")
        time.sleep(self.settings.pause)


class Painter(Toy):
    """Paints a text as a plain colour of its own."""

    def paint(self, texts: Sequence[str], seeds: Sequence[int]) -> list[np.ndarray]:
        self.note(f"paints {len(texts)}")
        return [np.full((4, 4, 3), list(bytes.fromhex(digest(text.encode())[:6])), np.uint8) for text in texts]


class Scribe(Toy):
    """Says how bright the pictures are that it is asked about, and of a dark first one nothing that can be read."""

    def answer(self, conversations: Sequence[Sequence[Turn]], decoding: Any, seeds: Sequence[int]) -> list[list[Reply]]:
        self.note(f"answers {len(conversations)}")
        return [[self.reply(conversation[-1])] for conversation in conversations]

    def reply(self, turn: Turn) -> Reply:
        brightness = [round(float(picture.mean())) for picture in turn.pictures]
        return Reply("?" if brightness[0] < 10 else f"{turn.text[:8]} {brightness}", "stop")


class Shown(NamedTuple):
    """A case: a picture with its first caption."""

    picture: Picture
    caption: str


def revised(reply: Reply) -> str:
    if reply.text == "?":
        raise ValueError(f"{reply.text!r} is no caption")
    return reply.text


def rounds(case: Shown, settings: int) -> Conversation:
    """Paint the caption, compare, revise; as often as the settings say."""
    caption = case.caption
    for _ in range(settings):
        picture = yield Paint("painter", caption)
        reply = yield Ask("reviser", f"revise {caption}", pictures=(case.picture, picture), read=revised)
        caption = reply or caption
    return {"caption": caption}


def sketch(case: Shown, settings: int) -> Conversation:
    """Paint the caption, and ask about each picture alone."""
    picture = yield Paint("painter", case.caption)
    one, other = yield [Ask("reviser", "see", pictures=(shown,), read=revised) for shown in (case.picture, picture)]
    return {"caption": f"{one} {other}"}


METHODS = {"rounds": rounds, "sketch": sketch}
NAMES = ("dark", "dim", "grey", "light", "white")


def register() -> None:
    """Put the toys into the catalogue, and the toy stage into the table of stages."""
    catalogue.CATALOGUE.setdefault("painters", {})["toy-painter"] = "tests.stages.engine.toys:Painter"
    catalogue.CATALOGUE["chat"]["toy-scribe"] = "tests.stages.engine.toys:Scribe"
    STAGES["recaption"] = RECAPTION


def node(
    journal: Path, name: str = "rounds", settings: int = 2, reverse: bool = False, pause: float = 0.0, batch: int = 2
) -> Node:
    """The toy stage over five pictures of growing brightness."""
    toys = {"painter": ("toy-painter", "painters"), "reviser": ("toy-scribe", "chat")}
    players = {
        role: Player(
            role, {"adapter": adapter, "name": adapter, "journal": journal, "pause": pause, "batch_size": batch}, kind
        )
        for role, (adapter, kind) in toys.items()
    }
    store = ObjectStore(places.objects_url())
    tasks = []
    for number, sample in enumerate(NAMES):
        png = encode_png(np.full((4, 4, 3), 50 * number, np.uint8))
        picture = replace(Picture(store.put(png)), item="")
        parts = {"picture": picture.digest, "caption": sample, "method": name, "settings": settings}
        columns = {"captioner": "blip", "recaptioner": name, "degradation": None, "inpainter": None}
        tasks.append(Task("toys", sample, columns, parts, (), Shown(picture, sample)))
    return Node(
        stage=RECAPTION, entry=name, settings={"rounds": settings}, study="toy", total=len(tasks),
        plan=[("toys/part-00.parquet", tasks[::-1] if reverse else tasks)],
        worker=Method(METHODS[name], settings, players),
    )  # fmt: skip


if __name__ == "__main__":
    from stages.engine.loop import execute

    register()
    execute(node(Path("journal"), pause=0.1, batch=1))
