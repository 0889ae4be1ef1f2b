"""Search for the step order that explains a window sequence: greedy edits of the expected order.

Called by `sop.compare` and `sop.interval`; arrays only. Every round evaluates all single edits at
once: an unchanged beginning is read from prefix tables, an unchanged end from suffix tables, and
the changed middles of all candidates grow together, segment by segment. Source: docs/scoring.md 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sopilot.align.chain import (
    Indices,
    Table,
    best_cuts,
    extend,
    prefix_tables,
    suffix_tables,
)
from sopilot.align.edits import Candidate, EditKind, Prices, candidates

CELLS_PER_BATCH = 1_500_000
"""Table cells evaluated together: 12 MB per table, so memory does not grow with the candidates."""


@dataclass(frozen=True, slots=True)
class Classes:
    """How steps are made of classes. parts: per step its class indices in order.

    shortest: (K,) least windows of each class.
    """

    parts: tuple[tuple[int, ...], ...]
    shortest: Indices


@dataclass(frozen=True, slots=True)
class Slot:
    """One occurrence of a step in the found order.

    edit: index of the edit that put it here, None = where the gold has it.
    """

    step: int
    edit: int | None = None


@dataclass(frozen=True, slots=True)
class AcceptedEdit:
    """One difference in order. steps: what was deleted, exchanged, moved, replaced or inserted.

    shown: the step that stands there now (replace). gain: nats before the price.
    """

    kind: EditKind
    steps: tuple[int, ...]
    shown: int | None
    gain: float


@dataclass(frozen=True, slots=True)
class OrderSearch:
    """slots: found order; cuts: (n + 1,) windows; evidence: nats of the found order.

    spare: the largest gain any single edit of the final order would bring, >= 0, in nats.
    """

    slots: tuple[Slot, ...]
    cuts: Indices
    edits: tuple[AcceptedEdit, ...]
    evidence: float
    expected_evidence: float
    spare: float


def search_order(
    sums: Table,
    classes: Classes,
    prices: Prices,
    *,
    max_edits: int = 8,
    reach: int = 12,
) -> OrderSearch:
    """Explain all windows, starting from the expected order 0..n-1.

    sums: (K, T + 1) from `chain.cumulate`. Edits are accepted while the best one gains more
    than its price. O(rounds x candidates x T).
    """
    slots = tuple(Slot(step) for step in range(len(classes.parts)))
    value = start_value = _chain_value(sums, classes, slots)
    found: list[AcceptedEdit] = []
    spare = 0.0
    while True:
        best, best_value, spare = _best_edit(sums, classes, slots, prices, value, reach)
        if best is None or len(found) == max_edits:
            break
        found.append(_describe(best, slots, best_value - value))
        slots = _apply(best, slots, len(found) - 1)
        value = best_value
    chain, shortest, _ = _flatten(classes, [slot.step for slot in slots])
    prefix = prefix_tables(sums, chain, shortest)
    cuts = best_cuts(prefix, sums, chain, shortest)[_slot_ends(classes, slots)]
    return OrderSearch(slots, cuts, tuple(found), value, start_value, spare)


def _flatten(classes: Classes, steps: Sequence[int]) -> tuple[Indices, Indices, Indices]:
    """Class chain of a step list, its shortest lengths, and where each step begins (n + 1)."""
    parts = [classes.parts[step] for step in steps]
    chain = np.array([k for part in parts for k in part], dtype=np.int64)
    begins = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return chain, classes.shortest[chain], begins


def _slot_ends(classes: Classes, slots: Sequence[Slot]) -> Indices:
    return _flatten(classes, [slot.step for slot in slots])[2]


def _chain_value(sums: Table, classes: Classes, slots: Sequence[Slot]) -> float:
    chain, shortest, _ = _flatten(classes, [slot.step for slot in slots])
    value = float(prefix_tables(sums, chain, shortest)[-1, -1])
    # Too few windows for the whole order: as bad as the worst evidence everywhere, so that
    # leaving steps out can only gain.
    return value if np.isfinite(value) else _worst(sums)


def _worst(sums: Table) -> float:
    return float(np.diff(sums, axis=1).min(axis=0).sum()) - 1000.0


def _best_edit(
    sums: Table,
    classes: Classes,
    slots: tuple[Slot, ...],
    prices: Prices,
    value: float,
    reach: int,
) -> tuple[Candidate | None, float, float]:
    """The edit with the largest gain over its price, its evidence, and the largest plain gain."""
    order = tuple(slot.step for slot in slots)
    listed = list(candidates(order, len(classes.parts), prices, reach))
    values = evaluate(sums, classes, order, listed)
    net = values - np.array([item.price for item in listed]) - value
    pick = int(np.argmax(net))
    spare = max(0.0, float(net[pick]) + prices.edit)
    if not net[pick] > 0.0:
        return None, value, spare
    return listed[pick], float(values[pick]), spare


def evaluate(
    sums: Table, classes: Classes, order: Sequence[int], listed: Sequence[Candidate]
) -> Table:
    """(len(listed),) log evidence of the best cutting under each candidate order."""
    chain, shortest, begins = _flatten(classes, order)
    prefix = prefix_tables(sums, chain, shortest)[begins]
    suffix = suffix_tables(sums, chain, shortest)[begins]
    values = np.empty(len(listed))
    middles = [_flatten(classes, item.middle)[0] for item in listed]
    # Long middles first: the candidates still growing are then always the leading rows.
    ranking = sorted(range(len(listed)), key=lambda i: -len(middles[i]))
    batch = max(1, CELLS_PER_BATCH // sums.shape[1])
    for start in range(0, len(listed), batch):
        rows = ranking[start : start + batch]
        tables = prefix[[listed[i].head for i in rows]]
        for depth in range(len(middles[rows[0]])):
            active = sum(len(middles[i]) > depth for i in rows)
            added = np.array([middles[i][depth] for i in rows[:active]], dtype=np.int64)
            tables[:active] = extend(tables[:active], sums, added, classes.shortest[added])
        tables += suffix[[listed[i].tail for i in rows]]
        values[rows] = tables.max(axis=1)
    return values


def _describe(edit: Candidate, slots: Sequence[Slot], gain: float) -> AcceptedEdit:
    first, second = edit.first, edit.second
    shown: int | None = None
    if edit.kind == "delete":
        steps = tuple(slot.step for slot in slots[first:second])
    elif edit.kind == "swap":
        steps = (slots[first].step, slots[second].step)
    elif edit.kind == "insert":
        steps = edit.middle
    else:
        steps = (slots[first].step,)
        shown = edit.middle[0] if edit.kind == "replace" else None
    return AcceptedEdit(edit.kind, steps, shown, gain)


def _apply(edit: Candidate, slots: tuple[Slot, ...], number: int) -> tuple[Slot, ...]:
    middle = [Slot(step, number) for step in edit.middle]
    if edit.kind in ("swap", "move"):
        kept = list(slots[edit.head : edit.tail])
        if edit.kind == "swap":
            kept[0], kept[-1] = Slot(kept[-1].step, number), Slot(kept[0].step, number)
        elif edit.first < edit.second:
            kept = [*kept[1:], Slot(kept[0].step, number)]
        else:
            kept = [Slot(kept[-1].step, number), *kept[:-1]]
        middle = kept
    return (*slots[: edit.head], *middle, *slots[edit.tail :])


def deletion_gains(sums: Table, classes: Classes, found: OrderSearch) -> Table:
    """(n,) nats gained by leaving out each slot of a found order; -inf where it is the only one."""
    order = tuple(slot.step for slot in found.slots)
    if len(order) == 1:
        return np.full(1, -np.inf)
    listed = [Candidate("delete", i, (), i + 1, i, i + 1, 0.0) for i in range(len(order))]
    return evaluate(sums, classes, order, listed) - found.evidence
