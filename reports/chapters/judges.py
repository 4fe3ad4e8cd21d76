"""How good are the judges? Their agreement with what is exactly true of captions of generated pictures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, product
from typing import NamedTuple

import pandas as pd

from registry.published.ratings import rated
from reports.asking.judged import COUNTED, TRUTHS, Judge, Truth, faults, judged
from reports.asking.study import Study
from reports.figures.agreement import Agreement, drawn
from reports.figures.plane import Square
from reports.site.latex import latex
from reports.site.numbers import signed
from reports.site.pages import Page, slugs
from reports.statistics.agreement import agreement, best
from reports.statistics.analysis import estimate
from reports.statistics.cells import Roles
from reports.statistics.claims.judging import OPEN, Estimate, mean, verdict
from reports.statistics.points import FEWEST

SYSTEMS = Roles("system", "sample", family="family")
CAPTIONS, SYSTEM = "caption by caption", "system by system"
NUMBERS = (
    "corpus", "over", "judge", "measure", "family", "ratio", "spearman", "low", "high", "n", "clusters", "caveat",
)  # fmt: skip
RATIO_TITLES = {"precision": "precision", "recall": "recall", "f1": "F1"}


class Line(NamedTuple):
    """One judge: its agreement with each truth, None where a side does not vary."""

    judge: Judge
    squares: list[Square | None]


class Table(NamedTuple):
    """Agreements with the truths that vary, and why none of them has an interval, "" where some have."""

    headings: list[tuple[str, int]]
    """A family, and how many of its ratios there are."""
    truths: list[Truth]
    lines: list[Line]
    caveat: str


class Known(NamedTuple):
    """Who tells a truth best: the first in agreement with those that cannot be told from it, and those it beats."""

    truth: Truth
    best: list[str]
    beaten: list[str]


class Costs(NamedTuple):
    """What one fault takes from the true caption of a picture, in each judge's own standard deviations."""

    faults: list[str]
    lines: list[Line]


class Section(NamedTuple):
    """One corpus whose truth is known."""

    corpus: str
    captions: int
    pictures: int
    systems: int
    families: int
    plot: Agreement
    tables: dict[str, Table]
    known: list[Known]
    costs: Costs | None


def pages(study: Study) -> list[Page]:
    """One page, where captions have judges and a known truth."""
    found = study.once(sections)
    if not found:
        return []
    files = [f"judges-{slug}.tex" for slug in slugs(one.corpus for one in found)]
    given = {"sections": found, "files": files, "ratios": RATIO_TITLES, "rated": rated()}
    latexed = {file: table_latex(one.tables[CAPTIONS]) for file, one in zip(files, found, strict=True)}
    return [Page("judges.html", "Judges", "judges.html.j2", given, latexed)]


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """Agreement of every judge with every truth, over captions and over systems."""
    return {"judges": pd.DataFrame([one.flat() for one in study.once(estimates)], columns=list(NUMBERS))}


class Row(NamedTuple):
    """Agreement of a judge with a truth over the captions or the systems of a corpus; ``clusters`` are the pictures, or
    the families of systems."""

    corpus: str
    over: str
    judge: Judge
    truth: Truth
    found: Estimate
    clusters: int | None
    caveat: str

    def flat(self) -> tuple[object, ...]:
        value, low, high, n = self.found
        names = self.judge.title, self.judge.name.partition("@")[0], *self.truth
        return self.corpus, self.over, *names, value, low, high, n, self.clusters, self.caveat


def estimates(study: Study) -> list[Row]:
    """Every judge with every truth, corpus by corpus, over captions and over systems."""
    found: list[Row] = []
    judges, rows = study.once(judged)
    for corpus in study.order["corpus"] if judges else ():
        some = rows[rows["corpus"] == corpus]
        truths = {truth.name: truth for truth in TRUTHS if some[truth.name].notna().any()}
        held = {judge.name: judge for judge in judges if some[judge.name].notna().any()}
        pictures, values = some["sample"].to_numpy(), some[[*held, *truths]].astype(float)
        for x, y in product(held, truths):
            one = agreement(values[x].to_numpy(), values[y].to_numpy(), pictures)
            found.append(Row(corpus, CAPTIONS, held[x], truths[y], one, len(set(pictures)), ""))
        if some["system"].nunique() >= FEWEST:
            for pair in estimate(some, list(held), list(truths), SYSTEMS):
                over = Estimate(pair.spearman, pair.spearman_low, pair.spearman_high, pair.n)
                where = SYSTEM, held[pair.x], truths[pair.y]
                found.append(Row(corpus, *where, over, pair.families, pair.caveat or pair.note))
    return found


def sections(study: Study) -> list[Section]:
    """What the page shows of each corpus where a judge goes with or against something true."""
    judges, rows = study.once(judged)
    found = []
    for corpus in study.order["corpus"]:
        mine = [one for one in study.once(estimates) if one.corpus == corpus]
        held = [judge for judge in judges if any(one.judge == judge and one.found.value is not None for one in mine)]
        if not held:
            continue
        some = rows[rows["corpus"] == corpus]
        over = {title: table([one for one in mine if one.over == title], held) for title in (CAPTIONS, SYSTEM)}
        captions = {(one.judge.title, *one.truth): one.found for one in mine if one.over == CAPTIONS}
        plot = drawn(
            [judge.title for judge in held], captions, {name: f"{name}s" for name, _ in over[CAPTIONS].headings}
        )
        pictures, systems, families = (some[name].nunique() for name in ("sample", "system", "family"))
        known = [who(some, held, truth) for truth in over[CAPTIONS].truths if truth.ratio != "f1"]
        counts = len(some), pictures, systems, families
        found.append(Section(corpus, *counts, plot, over, known, costs(study, some, held)))
    return found


def costs(study: Study, rows: pd.DataFrame, judges: Sequence[Judge]) -> Costs | None:
    """What each fault costs with each judge, over the pictures where it could be made; None without edited truths."""
    systems = faults(study.params)
    by_system = {system: some.set_index("sample") for system, some in rows.groupby("system")}
    whole = by_system.get(systems.pop("", ""))
    edited = {fault: by_system[system] for fault, system in systems.items() if system in by_system}
    if whole is None or not edited:
        return None
    lines = []
    for judge in judges:
        spread, squares = float(rows[judge.name].std()), []
        for fault, some in edited.items():
            made = some[COUNTED].sub(whole[COUNTED]).abs().sum(axis=1) > 0
            moved = (some[judge.name] - whole[judge.name])[made].to_numpy(float)
            squares.append(cost(judge, fault, mean(moved / spread)))
        lines.append(Line(judge, squares))
    return Costs(list(edited), lines)


def cost(judge: Judge, fault: str, found: Estimate) -> Square | None:
    """The cost of a fault as the table shows it; the colour is full at one standard deviation."""
    if found.value is None:
        return None
    text, interval = signed(found.value, 2), short(found)
    words = f"{judge.title}, {fault}: {text} standard deviations {interval}, n = {found.n} pictures"
    sign, strength = "positive" if found.value > 0 else "negative", min(100, round(100 * abs(found.value)))
    return Square(text, sign, strength, verdict(found, 1) != OPEN, words, interval)


def table(rows: Sequence[Row], judges: Sequence[Judge]) -> Table:
    """The table of some rows; truths that do not vary are left out."""
    at = {(one.judge.name, one.truth): one for one in rows if one.found.value is not None}
    truths = [truth for truth in TRUTHS if any(truth == other for _, other in at)]
    headings = [(family, len(list(some))) for family, some in groupby(truths, lambda truth: truth.family)]
    lines = [Line(one, [square(at.get((one.name, truth))) for truth in truths]) for one in judges]
    decided = any(one.found.low is not None for one in at.values())
    caveats = dict.fromkeys(one.caveat for one in rows if one.caveat)
    return Table(headings, truths, lines, "" if decided else next(iter(caveats), "there are too few of them"))


def square(one: Row | None) -> Square | None:
    """One agreement as the table shows it."""
    if one is None or (value := one.found.value) is None:
        return None
    text, interval, beyond = signed(value, 2), short(one.found), verdict(one.found, 1) != OPEN
    words = f"{one.judge.title} and {one.truth.ratio} of {one.truth.family}s: {text} {interval}, n = {one.found.n}"
    return Square(text, "positive" if value > 0 else "negative", round(100 * abs(value)), beyond, words, interval)


def short(one: Estimate) -> str:
    """An interval in small type, "" where there is none."""
    if one.low is None or one.high is None:
        return ""
    return f"{one.low:+.1f} … {one.high:+.1f}".replace("0.", ".").replace("-", "−")


def who(rows: pd.DataFrame, judges: Sequence[Judge], truth: Truth) -> Known:
    """Who tells a truth best, over the captions of a corpus."""
    values = {judge.title: rows[judge.name].to_numpy(float) for judge in judges}
    first, beaten = best(values, rows[truth.name].to_numpy(float), rows["sample"].to_numpy())
    return Known(truth, first, beaten)


def table_latex(found: Table) -> str:
    """The agreements as a paper prints them, those beyond zero in bold."""
    names = [f"{truth.family} {RATIO_TITLES[truth.ratio]}" for truth in found.truths]
    index = pd.Index([line.judge.title for line in found.lines], name="judge")
    texts = pd.DataFrame([[one.text if one else "–" for one in line.squares] for line in found.lines], index, names)
    beyond = pd.DataFrame([[bool(one and one.beyond) for one in line.squares] for line in found.lines], index, names)
    return latex(texts, beyond)
