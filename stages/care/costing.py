"""``palimpsest recaption --dry-run``: what captions of a folder would cost, and what of it is known already.

The methods are run on the replies that are known, until they ask for one that is not; behind that, what they say that
they ask for at most counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from models.adapters.requests import Conversation, Failure, Request
from registry.store import places
from registry.store.database import connect
from registry.store.items import ItemStore, Known
from registry.store.keys import canonical, item_key
from registry.store.objects import ObjectStore
from registry.tracking.asking import Past, past
from stages import prepare, recaption
from stages.care.captioned import Existing
from stages.care.plan import Asked, Forecast, Size, amount, estimated, mean_size, timing, walk
from stages.care.prices import money, prices
from stages.care.rewriting import CORPUS, inside, method_of, read
from stages.engine.pictures import Picture
from stages.engine.players import Player
from stages.engine.shards import Planned
from stages.engine.study import Study
from stages.recaption import Recaptioning


class Bill(NamedTuple):
    """What one model is asked: at most so many requests, of which some are known. None where nothing bounds them."""

    role: str
    model: str
    most: int | None
    known: int
    tokens: int | None
    """That replies to what is not known have together, at most; of a model that writes."""
    money: float | None = 0.0
    """What an endpoint takes for what is not known, at most, as past requests to its model went; None where none tells.
    """


class Cost(NamedTuple):
    """What captions of a folder cost."""

    pictures: int
    captioned: int
    """Pictures that have a caption now."""
    left: int
    """Pictures that are not asked about, because they have one."""
    problems: int
    stage: Forecast
    bills: list[Bill]

    def text(self) -> str:
        """As people read it."""
        stage = self.stage
        lines = [
            f"{self.pictures} pictures: {self.captioned} with a caption, {self.left} left alone",
            f"{self.problems} faults in the folder",
            f"{stage.items} captions: {stage.known} known, {stage.items - stage.known} to be written",
            f"time: {timing(stage.hours)}, as past runs with these models went",
            "",
        ]
        paid = any(one.money != 0 for one in self.bills)
        rows = [("role", "model", "requests at most", "known already", "tokens at most", *["money at most"] * paid)]
        for one in self.bills:
            shown = one.role, one.model, number(one.most), str(one.known), number(one.tokens)
            rows.append((*shown, *[amount(one.money)] * paid))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for role, model, *numbers in rows:
            right = (text.rjust(width) for text, width in zip(numbers, widths[2:], strict=True))
            lines.append("  ".join([role.ljust(widths[0]), model.ljust(widths[1]), *right]).rstrip())
        return "\n".join(lines)


def number(many: int | None) -> str:
    return "no bound" if many is None else str(many)


def cost(study: Study, existing: Existing) -> Cost:
    """Say what captions of a folder would cost; nothing is computed, no model loaded, no picture changed.

    Raises ``ValueError`` where no picture can be read.
    """
    method = method_of(study)
    with inside(study), Planned() as outputs:
        wanted, left, problems = read(study, existing)
        store = ItemStore(connect(places.registry_url()), ObjectStore(places.objects_url()))
        sizes = dict[str, Size]()
        counts = {CORPUS: len(wanted)}
        walk(store, Asked(prepare.node_of(study, CORPUS, wanted, problems), len(wanted), counts), outputs, sizes)
        node = recaption.node(study, method.name, outputs)
        planned = [task for _, some in node.plan for task in some]
        tasks = {item_key(node.kind, task.parts): task for task in planned}
        known = store.recall(tasks).keys()
        node = recaption.node(study, method.name, outputs)
        asked, runs = Asked(node, len(wanted), counts), past()
        stage = estimated(runs, asked, mean_size(sizes, counts), *walk(store, asked, outputs, sizes))
        seen = {task.sample for task in planned}
        unseen = {(canonical(one.source), next(iter(one.references), "")) for one in wanted if one.sample not in seen}
        begun = {key: task.inputs.case for key, task in tasks.items() if key not in known}
        answered = replies(store, method.players, [method.run(case) for case in begun.values()])
        captions = [*(case.caption for case in begun.values()), *(caption for _, caption in unseen)]
        found = bills(method, captions, answered, runs)
    captioned = sum(bool(one.references) for one in (*wanted, *left))
    return Cost(len(wanted) + len(left), captioned, len(left), len(problems), stage, found)


def bills(
    method: Recaptioning, captions: Sequence[str], answered: Mapping[str, int], runs: Sequence[Past]
) -> list[Bill]:
    """What each model is asked about the pictures with some first captions, at most."""
    most: dict[str, int | None] = dict.fromkeys(method.players, 0)
    for caption in captions:
        asked = method.method.most(caption)
        if not caption:
            asked = asked | {"captioner": plus(asked.get("captioner", 0), 1)}
        for role in most:
            most[role] = plus(most[role], asked.get(role, 0))
    found = []
    for role, player in method.players.items():
        known, many = answered.get(role, 0), most[role]
        tokens = None if many is None else max(many - known, 0) * player.decoding.max_tokens
        bill = Bill(role, name_of(player), many, known, tokens if player.role == "chat" else 0)
        for model, price in prices([player.entry]).items():
            missing = None if many is None else max(many - known, 0)
            bill = bill._replace(money=missing and money(price, model, runs, requests=missing))
        found.append(bill)
    return found


def plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def name_of(player: Player) -> str:
    """A model as its entry names it."""
    entry = player.entry
    return str(entry.get("model") or entry.get("checkpoint") or entry.get("name") or entry["adapter"])


def replies(store: ItemStore, players: Mapping[str, Player], cases: Iterable[Conversation]) -> Counter[str]:
    """How many distinct requests of each role are known, of those that methods come to by known replies alone."""
    found: dict[str, set[str]] = defaultdict(set)
    live: list[tuple[Conversation, Any]] = [(case, None) for case in cases]
    while live:
        wave = []
        for case, reply in live:
            try:
                wave.append((case, case.send(reply)))
            except Exception:  # it is done, or fails: what it would ask is known, or nothing
                continue
        keyed = [(case, asked, [(key_of(players, one), one) for one in listed(asked)]) for case, asked in wave]
        known = store.recall(key for _, _, some in keyed for key, _ in some)
        live = []
        for case, asked, some in keyed:
            for key, one in some:
                if key in known:
                    found[one.role].add(key)
            if all(key in known for key, _ in some):
                received = [received_of(one, known[key]) for key, one in some]
                live.append((case, received if isinstance(asked, list) else received[0]))
    return Counter({role: len(keys) for role, keys in found.items()})


def listed(asked: Request | list[Request]) -> list[Request]:
    return asked if isinstance(asked, list) else [asked]


def key_of(players: Mapping[str, Player], request: Request) -> str:
    return item_key(request.KIND, players[request.role].parts(request))


def received_of(request: Request, known: Known) -> Any:
    """The reply to a request, as the engine gives it to a method."""
    try:
        return request.reply(known.value or {}, Picture(known.object, item=known.key) if known.object else None)
    except ValueError as error:
        return Failure(str(error))
