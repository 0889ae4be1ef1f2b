"""Search for the step order that explains a window sequence: greedy edits of the expected order.

Called by `sop.compare` and `sop.interval`; arrays only. Every round evaluates all single edits at
once: an unchanged beginning is read from prefix tables, an unchanged end from suffix tables, and
the changed middles of all candidates grow together, segment by segment. Source: docs/scoring.md 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from sopilot.align.edits import (
    Candidate,
    EditKind,
    Prices,
    Runs,
    candidates,
    deletions,
    foreign_run,
    run_candidates,
)
from sopilot.core.errors import InsufficientClips

NOTHING_UNNAMED: frozenset[int] = frozenset()
Change = tuple[EditKind, tuple[int, ...], tuple[int, ...]]
"""Kind, steps and shown of an edit, as of `AcceptedEdit`."""
NOTHING_REFUSED: frozenset[Change] = frozenset()
FOREIGN_RUNS = 40
"""Runs that are tried in other places per round."""
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

    shown: what stands there now (replace), or the other run (exchange). gain: nats before the
    price. keeps_named: it is about unnamed time alone.
    """

    kind: EditKind
    steps: tuple[int, ...]
    shown: tuple[int, ...]
    gain: float
    keeps_named: bool = False

    @property
    def change(self) -> Change:
        """What it changes, without how much that gains."""
        return self.kind, self.steps, self.shown


Near = Mapping[tuple[int, ...], tuple[Candidate, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class OrderSearch:
    """slots: found order; cuts: (n + 1,) windows; evidence: nats of the found order.

    spare: the largest gain in nats any single edit of the final order that is about a named step
    would bring, >= 0. near: per order that was looked at, the edits that were worth it or nearly
    so.
    """

    slots: tuple[Slot, ...]
    cuts: Indices
    edits: tuple[AcceptedEdit, ...]
    evidence: float
    spare: float
    near: Near


def search_order(
    sums: Table,
    classes: Classes,
    prices: Prices,
    *,
    unnamed: frozenset[int] = NOTHING_UNNAMED,
    runs: Runs | None = None,
    near: Near | None = None,
    refused: frozenset[Change] = NOTHING_REFUSED,
    max_edits: int = 8,
    reach: int = 12,
) -> OrderSearch:
    """Explain all windows, starting from the expected order 0..n-1.

    sums: (K, T + 1) from `chain.cumulate`. Edits are accepted while the best one gains more
    than its price. unnamed: steps whose place or absence is no difference. runs: edits take runs of
    so many slots together (short slots of equal length where no step is marked). near: of a search
    on nearly the same evidence: of an order that it knows only those edits are tried, of another
    only what leaves something out. refused: changes that are not tried, since something else speaks
    against them.
    O(rounds x candidates x T). Raises InsufficientClips when the expected order does not fit into
    the windows.
    """
    problem = _Problem(sums, classes, prices, unnamed, runs, reach, near or {}, refused, {})
    slots = tuple(Slot(step) for step in range(len(classes.parts)))
    worth = _chain_value(sums, classes, range(len(slots)))
    found: list[AcceptedEdit] = []
    while True:
        best, best_worth, spare = _best_edit(problem, slots, worth)
        if best is None or len(found) == max_edits:
            break
        found.append(_describe(problem, best, slots, best_worth - worth))
        slots = _apply(best, slots, len(found) - 1)
        worth = best_worth
    chain, shortest, _ = _flatten(classes, [slot.step for slot in slots])
    prefix = prefix_tables(sums, chain, shortest)
    cuts = best_cuts(prefix, sums, chain, shortest)[_slot_ends(classes, slots)]
    near = problem.looked_at
    return OrderSearch(slots, cuts, tuple(found), worth, spare, near)


@dataclass(frozen=True, slots=True, eq=False)
class _Problem:
    sums: Table
    classes: Classes
    prices: Prices
    unnamed: frozenset[int]
    runs: Runs | None
    reach: int
    known: Near
    refused: frozenset[Change]
    looked_at: dict[tuple[int, ...], tuple[Candidate, ...]]


def _flatten(classes: Classes, steps: Sequence[int]) -> tuple[Indices, Indices, Indices]:
    """Class chain of a step list, its shortest lengths, and where each step begins (n + 1)."""
    parts = [classes.parts[step] for step in steps]
    chain = np.array([k for part in parts for k in part], dtype=np.int64)
    begins = np.concatenate([[0], np.cumsum([len(part) for part in parts])]).astype(np.int64)
    return chain, classes.shortest[chain], begins


def _slot_ends(classes: Classes, slots: Sequence[Slot]) -> Indices:
    return _flatten(classes, [slot.step for slot in slots])[2]


def _chain_value(sums: Table, classes: Classes, order: Sequence[int]) -> float:
    chain, shortest, _ = _flatten(classes, order)
    value = float(prefix_tables(sums, chain, shortest)[-1, -1])
    if not np.isfinite(value):
        raise InsufficientClips(
            f"{sums.shape[1] - 1} clips are too few for {len(order)} steps; record a longer video"
        )
    return value


def _best_edit(
    problem: _Problem, slots: tuple[Slot, ...], worth: float
) -> tuple[Candidate | None, float, float]:
    """The edit with the largest gain over its price, the evidence of the order that it makes, and
    the spare evidence. Edits that lack at most an edit's price are kept to be tried again on shaken
    evidence."""
    order = tuple(slot.step for slot in slots)
    listed = _listed(problem, order)
    if problem.refused:
        listed = [item for item in listed if _change(item, order) not in problem.refused]
    if not listed:
        return None, worth, 0.0
    values = evaluate(problem.sums, problem.classes, order, listed)
    net = values - np.array([item.price for item in listed]) - worth
    nearly = np.flatnonzero(net > -problem.prices.edit)
    problem.looked_at[order] = tuple(listed[int(i)] for i in nearly)
    pick = int(np.argmax(net))
    counted = [i for i in nearly if not _keeps_named(listed[int(i)], order, problem.unnamed)]
    spare = max(0.0, float(net[counted].max(initial=-np.inf)) + problem.prices.edit)
    if not net[pick] > 0.0:
        return None, worth, spare
    return listed[pick], float(values[pick]), spare


def _listed(problem: _Problem, order: tuple[int, ...]) -> Sequence[Candidate]:
    if order in problem.known:
        return problem.known[order]
    if problem.known:
        return list(deletions(order, problem.prices, problem.runs.shortest if problem.runs else 1))
    if problem.runs is None:
        count = len(problem.classes.parts)
        return list(candidates(order, count, problem.prices, problem.reach))
    listed = list(run_candidates(order, problem.prices, problem.runs))
    for run, places in _foreign_runs(problem, order, problem.runs):
        listed += foreign_run(order, run, places, problem.prices)
    return listed


def _foreign_runs(
    problem: _Problem, order: tuple[int, ...], runs: Runs
) -> list[tuple[range, range]]:
    """The runs of the expected order that would explain some windows best, with the slots there.

    A run's worth is the most that it earns over a span of windows beyond what the present order
    earns there. Trying every run before every slot would cost a hundred times as much.
    """
    chain, shortest, _ = _flatten(problem.classes, order)
    cuts = best_cuts(prefix_tables(problem.sums, chain, shortest), problem.sums, chain, shortest)
    explained = _explained(problem.sums, chain, cuts)
    count = len(problem.classes.parts)
    tables = np.repeat(explained[None], count, axis=0)
    found: list[tuple[float, range, range]] = []
    for length in range(1, min(runs.longest, count) + 1):
        rows = np.arange(count - length + 1)
        added = np.array([problem.classes.parts[row + length - 1][0] for row in rows])
        tables = extend(tables[: len(rows)], problem.sums, added, problem.classes.shortest[added])
        if length < runs.shortest:
            continue
        gains = tables - explained
        ends = gains.argmax(axis=1)
        for row, end in zip(rows, ends, strict=True):
            last = int(np.searchsorted(cuts, end, side="left"))
            places = range(max(0, last - length - 1), min(len(order), last + 1) + 1)
            found.append((float(gains[row, end]), range(row, row + length), places))
    found.sort(key=lambda item: (-item[0], item[1].start, item[1].stop))
    return [(run, places) for _, run, places in found[:FOREIGN_RUNS]]


def _explained(sums: Table, chain: Indices, cuts: Indices) -> Table:
    """(T + 1,) running evidence of a cutting."""
    total = np.zeros(sums.shape[1])
    for k, first, last in zip(chain, cuts[:-1], cuts[1:], strict=True):
        total[first + 1 : last + 1] = total[first] + sums[k, first + 1 : last + 1] - sums[k, first]
    return total


def _keeps_named(edit: Candidate, order: Sequence[int], unnamed: frozenset[int]) -> bool:
    """Whether an edit is about unnamed time alone: the named steps stay as they are."""
    if not unnamed:
        return False
    before = [step for step in order[edit.head : edit.tail] if step not in unnamed]
    return before == [step for step in edit.middle if step not in unnamed]


def evaluate(
    sums: Table, classes: Classes, order: Sequence[int], listed: Sequence[Candidate]
) -> Table:
    """(len(listed),) log evidence of the best cutting under each candidate order."""
    chain, shortest, begins = _flatten(classes, order)
    prefix = prefix_tables(sums, chain, shortest)[begins]
    suffix = suffix_tables(sums, chain, shortest)[begins]
    heads = np.array([item.head for item in listed], dtype=np.int64)
    tails = np.array([item.tail for item in listed], dtype=np.int64)
    grown, lengths = _middles(classes, listed)
    values = np.empty(len(listed))
    # Long middles first: the candidates still growing are then always the leading rows.
    ranking = np.argsort(-lengths, kind="stable")
    batch = max(1, CELLS_PER_BATCH // sums.shape[1])
    for start in range(0, len(listed), batch):
        rows = ranking[start : start + batch]
        tables = prefix[heads[rows]]
        for depth in range(int(lengths[rows[0]])):
            active = int(np.count_nonzero(lengths[rows] > depth))
            added = grown[rows[:active], depth]
            tables[:active] = extend(tables[:active], sums, added, classes.shortest[added])
        tables += suffix[tails[rows]]
        values[rows] = tables.max(axis=1)
    return values


def _middles(classes: Classes, listed: Sequence[Candidate]) -> tuple[Indices, Indices]:
    """(n, longest) classes of every candidate's middle, -1 behind its end, and the lengths."""
    chains = [[k for step in item.middle for k in classes.parts[step]] for item in listed]
    lengths = np.array([len(chain) for chain in chains], dtype=np.int64)
    grown = np.full((len(chains), int(lengths.max(initial=0))), -1, dtype=np.int64)
    for row, chain in enumerate(chains):
        grown[row, : len(chain)] = chain
    return grown, lengths


def _describe(
    problem: _Problem, edit: Candidate, slots: Sequence[Slot], gain: float
) -> AcceptedEdit:
    order = [slot.step for slot in slots]
    kind, steps, shown = _change(edit, order)
    return AcceptedEdit(kind, steps, shown, gain, _keeps_named(edit, order, problem.unnamed))


def _change(edit: Candidate, order: Sequence[int]) -> Change:
    first, second = edit.first, edit.second
    shown: tuple[int, ...] = ()
    if edit.kind in ("delete", "exchange"):
        steps = tuple(order[first:second])
        if edit.kind == "exchange":
            shown = tuple(order[second : edit.tail])
    elif edit.kind == "swap":
        steps = (order[first], order[second])
    elif edit.kind == "insert":
        steps = edit.middle
    elif edit.kind == "replace":
        steps, shown = tuple(order[first:second]), edit.middle
    else:
        steps = (order[first],)
    return edit.kind, steps, shown


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
    count = len(found.slots)
    if count == 1:
        return np.full(1, -np.inf)
    order = tuple(slot.step for slot in found.slots)
    listed = [Candidate("delete", i, (), i + 1, i, i + 1, 0.0) for i in range(count)]
    return evaluate(sums, classes, order, listed) - found.evidence
