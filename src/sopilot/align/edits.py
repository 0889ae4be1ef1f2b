"""Candidate changes of a step order: what may have gone differently, as new orders of slots.

Called by `align.search`. A slot is one occurrence of a step; a candidate keeps the slots before
`head` and from `tail` on, and puts the steps `middle` between them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Literal

EditKind = Literal["delete", "swap", "move", "replace", "insert", "exchange"]


@dataclass(frozen=True, slots=True)
class Prices:
    """What evidence an edit must bring, in nats. Source: docs/scoring.md 3.

    swap: of two neighbours; swap_apart: for every slot between the two, since exchanging steps that
    lie apart takes two mistakes. edge_share: 0-1, of the price where what is left out is the
    beginning or the end: a recording that starts late or stops early is likelier than a hole.
    """

    edit: float = 36.0
    swap: float = 2.0
    swap_apart: float = 0.0
    move: float = 2.0
    insert: float = 2.0
    replace: float = 6.0
    further_step: float = 3.0
    edge_share: float = 1.0

    def scaled(self, factor: float) -> Prices:
        """All prices times a factor > 0."""
        values = {item.name: getattr(self, item.name) * factor for item in fields(self)}
        return Prices(**values | {"edge_share": self.edge_share})


@dataclass(frozen=True, slots=True)
class Candidate:
    """Slots [0, head) + middle + slots [tail, n). first, second: positions the edit is about.

    delete: slots [first, second) are gone. swap: the slots first and second change places.
    move: the slot first goes so that it stands at second. replace: the slots [head, tail) show
    `middle`. insert: `middle` is added before the slot head. exchange: the runs [head, second) and
    [second, tail) change places.
    """

    kind: EditKind
    head: int
    middle: tuple[int, ...]
    tail: int
    first: int
    second: int
    price: float


def candidates(
    order: tuple[int, ...], step_count: int, prices: Prices, reach: int
) -> Iterator[Candidate]:
    """All single edits of an order, in a fixed sequence; exchanges reach over `reach` slots."""
    yield from deletions(order, prices)
    yield from _exchanges(order, prices, reach)
    yield from _foreign(order, step_count, prices, reach)


@dataclass(frozen=True, slots=True)
class Runs:
    """How long a run of slots may be that an edit takes together, in slots."""

    shortest: int
    longest: int


def run_candidates(order: tuple[int, ...], prices: Prices, runs: Runs) -> Iterator[Candidate]:
    """Edits of whole runs of short slots, where no step is marked: leaving one out, and two
    neighbouring runs exchanged. What is done again or instead comes from `foreign_run`."""
    n = len(order)
    yield from deletions(order, prices, runs.shortest)
    price = prices.edit + prices.move
    for first in range(n - 2 * runs.shortest + 1):
        for second in range(first + runs.shortest, min(n, first + runs.longest) + 1):
            for tail in range(second + runs.shortest, min(n, second + runs.longest) + 1):
                middle = (*order[second:tail], *order[first:second])
                yield Candidate("exchange", first, middle, tail, first, second, price)


def foreign_run(
    order: tuple[int, ...], run: range, places: range, prices: Prices
) -> Iterator[Candidate]:
    """The run shown again before one of the places, or in the place of about as many slots."""
    middle = tuple(run)
    # The shorter of two runs that explain as much.
    length_price = prices.further_step * (len(run) - 1) / 10
    for head in places:
        price = prices.edit + prices.insert + length_price
        yield Candidate("insert", head, middle, head, head, head, price)
        for tail in range(head + max(1, len(run) - 1), min(len(order), head + len(run) + 1) + 1):
            if order[head:tail] != middle:
                price = prices.edit + prices.replace + length_price
                yield Candidate("replace", head, middle, tail, head, tail, price)


def deletions(order: tuple[int, ...], prices: Prices, shortest: int = 1) -> Iterator[Candidate]:
    """Every run of at least `shortest` slots left out, but for all of them."""
    n = len(order)
    for first in range(n):
        for second in range(first + shortest, n + 1):
            if second - first < n:
                price = prices.edit + prices.further_step * (second - first - 1)
                if first == 0 or second == n:
                    price *= prices.edge_share
                yield Candidate("delete", first, (), second, first, second, price)


def _exchanges(order: tuple[int, ...], prices: Prices, reach: int) -> Iterator[Candidate]:
    n = len(order)
    for i in range(n):
        for j in range(i + 1, min(n, i + reach + 1)):
            if order[i] == order[j]:
                continue
            inner = order[i + 1 : j]
            price = prices.edit + prices.swap + prices.swap_apart * (j - i - 1)
            yield Candidate("swap", i, (order[j], *inner, order[i]), j + 1, i, j, price)
            if j - i > 1:
                price = prices.edit + prices.move
                later = (*order[i + 1 : j + 1], order[i])
                earlier = (order[j], *order[i:j])
                yield Candidate("move", i, later, j + 1, i, j, price)
                yield Candidate("move", i, earlier, j + 1, j, i, price)


def _foreign(
    order: tuple[int, ...], step_count: int, prices: Prices, reach: int
) -> Iterator[Candidate]:
    n = len(order)
    for i in range(n + 1):
        near = order[min(i, n - 1)]
        for step in range(max(0, near - reach), min(step_count, near + reach + 1)):
            if i < n and step != order[i]:
                price = prices.edit + prices.replace
                yield Candidate("replace", i, (step,), i + 1, i, i + 1, price)
            price = prices.edit + prices.insert
            yield Candidate("insert", i, (step,), i, i, i, price)
