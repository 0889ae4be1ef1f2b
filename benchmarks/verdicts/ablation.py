"""Suite `ablation`: what each block of the features and each stage of the method is worth.

The same films as the suites `generated`, `handwash` and `maintenance`, judged with one thing taken
away. Stages are fields of the method: every boolean that is on is switched off, other changes are
listed in STAGES.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.verdicts import generated, handwash, maintenance
from benchmarks.verdicts.films import load
from benchmarks.verdicts.judging import Case
from benchmarks.verdicts.product import Setup, method_fields
from benchmarks.verdicts.report import Report, Row, Table, number, rate_text
from benchmarks.verdicts.session import Session
from sopilot.align.edits import Prices
from sopilot.align.evidence import EvidenceSettings
from sopilot.core.rates import share
from sopilot.core.records import Role
from sopilot.evaluation.figures import Figures, Outcome, named_events, summarise
from sopilot.sop.comparison import EventType

UNCHANGED = "as shipped"
VARIANTS = (generated.Variant(1, False), generated.Variant(1, True), generated.Variant(3, True))
COLUMNS = (
    EventType.MISSING_STEP,
    EventType.ORDER_SWAP,
    EventType.REPEATED_STEP,
    EventType.STEP_DEVIATION,
    EventType.OVER_TIME,
    EventType.FREEZE,
)


@dataclass(frozen=True, slots=True)
class Ablation:
    """One thing taken away. changes: fields of the method with other values; without: names of
    blocks that the method does not get."""

    name: str
    changes: Mapping[str, Any]
    without: tuple[str, ...] = ()

    def unknown(self, known: Mapping[str, Any]) -> list[str]:
        """The changed fields that the method does not have."""
        return sorted(set(self.changes) - set(known))


STAGES: tuple[Ablation, ...] = (
    Ablation("one part a step", {"parts_per_step": 1}),
    Ablation("trainee in one framing", {"read_framings": 0}),
    Ablation("gold in two framings", {}, tuple(f"crop~{k}" for k in range(3, 9))),
    Ablation("layout always in full", {"layout_gate": (-1.0, 0.1)}),
    Ablation("layout never", {"layout_gate": (9.0, 0.1)}),
    Ablation("the same prices for all", {"sure_price": 1.0}),
    Ablation("the same price for all edits", {"prices": Prices(25.0, 0.0, 0.0, 0.0, 0.0, 0.0)}),
    Ablation("cosine only", {"evidence": EvidenceSettings(lda_share=0.0)}),
    Ablation("discriminant only", {"evidence": EvidenceSettings(cosine_gain=0.0)}),
    Ablation("class medians kept", {"evidence": EvidenceSettings(median_share=0.0)}),
    Ablation("clips not averaged", {"evidence": EvidenceSettings(smooth_clips=1)}),
    Ablation("cyclic steps may be short", {"cyclic_share": 0.5, "cyclic_clips": 5}),
)
"""Changes that are more than a switch; values must be hashable, and picklable for the worker
processes."""


def ablations(blocks: Sequence[str], known: Mapping[str, Any]) -> Iterator[Ablation]:
    """Nothing, each block, each switch, and STAGES. known: the method's fields with defaults."""
    yield Ablation(UNCHANGED, {})
    for block in blocks if len(blocks) > 1 else ():
        yield Ablation(f"without {block}", {}, (block,))
    for name, value in known.items():
        if value is True:
            yield Ablation(f"{name} off", {name: False})
    yield from STAGES


def run(session: Session) -> Report:
    """Every ablation on every set of films."""
    worlds = _worlds(session)
    known = method_fields()
    listed = list(ablations(_blocks(worlds), known))
    usable = [item for item in listed if not item.unknown(known)]
    tables = []
    filter_swap = maintenance.cases(session)
    if filter_swap:
        tables.append(_filter_swap(session, filter_swap, usable))
    for world, cases in worlds.items():
        # All at once, so that no process waits between the ablations.
        session.judge([_changed(case, item) for item in usable for case in cases])
        lines = []
        for item in usable:
            outcomes = session.judge([_changed(case, item) for case in cases])
            figures = summarise(generated.in_protocol(outcomes))
            lines.append(_line(item.name, figures, outcomes))
        head = ("", "AUC", "balanced", "alarm", "critical", "not passed", *COLUMNS)
        tables.append(Table(world, (tuple(map(str, head)), *lines)))
    rows = [
        Row(item.name, None, None, f"the method has no {', '.join(item.unknown(known))}")
        for item in listed
        if item not in usable
    ]
    settings = {"tasks": list(session.options.tasks), "sample_per_pair": session.options.sample}
    return Report("ablation", tuple(rows), tuple(tables), settings)


def _filter_swap(session: Session, cases: Mapping[str, Case], items: Sequence[Ablation]) -> Table:
    """How many of the six films of the animation are judged right."""
    session.judge([_changed(case, item) for item in items for case in cases.values()])
    lines = []
    for item in items:
        outcomes = [session.judge([_changed(case, item)]) for case in cases.values()]
        right = [share(map(maintenance.is_right, each)) for each in outcomes]
        lines.append((item.name, *(f"{each.hits}/{each.total}" for each in right)))
    return Table("filter swap: films judged right", (("", *(f"steps {k}" for k in cases)), *lines))


def _worlds(session: Session) -> dict[str, list[Case]]:
    """Prepared cases by the name of their films and how the task is taught."""
    tasks = session.options.tasks
    generated.prepare(session, tasks)
    worlds = {
        f"generated, {variant}": generated.cases(session, variant, tasks) for variant in VARIANTS
    }
    wash = handwash.open_wash(session)
    if wash is not None:
        pairs = wash.pairs()
        session.prepare(list(wash.footage(pairs)))
        for name, has_steps in (("1 gold, steps", True), ("1 gold, no steps", False)):
            worlds[f"hand washing, {name}"] = [wash.case(pair, has_steps) for pair in pairs]
    return worlds


def _blocks(worlds: Mapping[str, Sequence[Case]]) -> list[str]:
    """Names of the blocks in the features, re-recordings and framings left out."""
    first = next(case for cases in worlds.values() for case in cases)
    features = load(first.golds[0], Role.GOLD)
    return [name for name in features.blocks if not {"@", "~"} & set(name)]


def _changed(case: Case, item: Ablation) -> Case:
    return replace(case, setup=Setup(tuple(item.changes.items()), item.without))


def _line(name: str, figures: Figures, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    return (
        name,
        number(figures.auc),
        number(figures.balanced_accuracy),
        rate_text(figures.alarm),
        rate_text(figures.critical),
        rate_text(figures.not_passed),
        *(rate_text(named_events(outcomes, kind)) for kind in COLUMNS),
    )
