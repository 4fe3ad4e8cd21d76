"""What asking endpoints costs in money: from the prices that a study states, and the tokens that past runs took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from models.adapters.metering import merged
from models.adapters.settings import validated
from models.chat.client import Price
from registry.tracking.asking import Past


def prices(entries: Iterable[Mapping[str, Any]]) -> dict[str, Price]:
    """The prices of models, by model, wherever in some entries they stand.

    >>> prices([{"reviser": {"model": "gpt", "price": {"prompt": 1, "completion": 2}}, "rounds": 2}])
    {'gpt': Price(prompt=1.0, cached=None, completion=2.0)}
    """
    return {entry["model"]: validated(entry["model"], Price, entry["price"]) for entry in _priced(entries)}


def _priced(entries: Iterable[Any]) -> Iterator[Mapping[str, Any]]:
    for entry in entries:
        if isinstance(entry, Mapping):
            if entry.get("price") and "model" in entry:
                yield entry
            yield from _priced(entry.values())


def money(price: Price, model: str, runs: Sequence[Past], requests: int | None = None, items: int = 0) -> float | None:
    """What so many requests to a model cost, or else what it has to say to so many items; None where no run tells.

    An item is taken to cost as many tokens as those did that past runs computed.
    """
    told = [run for run in runs if model in run.spent]
    if not told:
        return None
    spent = merged(*({model: Counter(run.spent[model])} for run in told))[model]
    share = items / sum(run.computed for run in told) if requests is None else requests / spent["requests"]
    return price.of(spent) * share
