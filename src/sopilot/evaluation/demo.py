"""The films of `sopilot demo`: what each shows, and whether a result agrees with it.

The command films and scores them; here is only the plan and the comparison with the truth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sopilot.core.records import Role
from sopilot.core.timespan import TimeSpan, timecode
from sopilot.evaluation.generated.execution import Defect
from sopilot.evaluation.generated.film import GOLD_LEVEL, Film, film, gold_steps
from sopilot.evaluation.generated.procedure import Procedure, make_procedure
from sopilot.evaluation.truth import Found, TrueEvent, found_of_record, match
from sopilot.sop.comparison import EventType

DEMO_SEED = 20
"""Chosen for its variety of steps, before any scorer existed."""
STEP_COUNT, STEP_SEC = 5, (6.0, 9.0)
"""Short steps: about 40 s a film, so that the whole demo fits into two minutes."""

_PLANS: tuple[tuple[str, Defect | None], ...] = (
    ("gold", None),
    ("good-1", None),
    ("good-2", None),
    ("good-3", None),
    ("missing-step", Defect.MISSING),
    ("swapped-steps", Defect.SWAP),
    ("wrong-action", Defect.WRONG_VERB),
    ("repeated-step", Defect.REPEAT),
    ("over-time", Defect.OVER_TIME),
    ("freeze", Defect.FREEZE),
    ("cut-tail", Defect.CUT_TAIL),
    ("skipped-start", Defect.SKIP_START),
    ("wrong-task", Defect.WRONG_TASK),
)


@dataclass(frozen=True, slots=True)
class PlannedFilm:
    """One film of the demo; small and picklable, so that a process can be told to film it."""

    name: str
    role: Role
    defect: Defect | None
    suite_seed: int
    seed: int
    nuisance_level: float


@dataclass(frozen=True, slots=True)
class TruthRow:
    """Truth beside finding for one film. agrees: the finding says what is true.

    extra_count: findings that no true event explains; not counted for a wrong task.
    """

    name: str
    truth: str
    finding: str
    score: float
    decision: str
    agrees: bool
    extra_count: int


def demo_suite(seed: int = DEMO_SEED) -> tuple[PlannedFilm, ...]:
    """One gold, then three good trainees and one of each defect."""
    return tuple(
        PlannedFilm(
            name=name,
            role=Role.GOLD if name == "gold" else Role.TRAINEE,
            defect=defect,
            suite_seed=seed,
            seed=100 * seed + position,
            nuisance_level=GOLD_LEVEL if name == "gold" else 1.0,
        )
        for position, (name, defect) in enumerate(_PLANS)
    )


def demo_procedure(seed: int) -> Procedure:
    """The procedure of a demo; its step names are those of the task."""
    return make_procedure(seed, step_count=STEP_COUNT, step_sec=STEP_SEC)


def film_planned(planned: PlannedFilm) -> Film:
    """The film of a plan: fast, the frames are drawn when they are iterated or written."""
    return film(
        demo_procedure(planned.suite_seed),
        planned.seed,
        planned.defect,
        nuisance_level=planned.nuisance_level,
    )


def truth_row(planned: PlannedFilm, result: Mapping[str, Any]) -> TruthRow:
    """Hold a public result record against what the film really shows.

    A good film agrees when it passes, a wrong task when it falls below the retrain mark, any other
    when every true event is named with type and place.
    """
    gold = film_planned(demo_suite(planned.suite_seed)[0])
    steps = gold_steps(gold)
    names = [str(step.name_en) for step in steps]
    spans = [step.span for step in steps if step.span is not None]
    truth = film_planned(planned).truth
    found = tuple(found_of_record(record) for record in result["deviations"])
    summary = result["summary"]
    score, decision = float(result["score"]), str(summary["decision"])
    if planned.defect is None:
        agrees = decision == "pass"
    elif planned.defect is Defect.WRONG_TASK:
        agrees = score < float(summary["retrain_score"])
    else:
        agrees = all(item.named for item in match(truth, found, spans))
    return TruthRow(
        name=planned.name,
        truth=_truth_text(planned, truth, names),
        finding="; ".join(_found_text(item, names) for item in found) or "nothing",
        score=score,
        decision=decision,
        agrees=agrees,
        extra_count=0 if planned.defect is Defect.WRONG_TASK else _extra_count(truth, found),
    )


def _extra_count(truth: tuple[TrueEvent, ...], found: tuple[Found, ...]) -> int:
    """Findings whose type or step is not that of any true event; a freeze has no step."""
    told = {(event.type, event.step_index) for event in truth}
    told |= {(event.type, event.other_step_index) for event in truth}
    kinds = {event.type for event in truth if event.step_index is None}
    return sum(
        item.type not in kinds and (item.type, item.step_index) not in told for item in found
    )


def _truth_text(planned: PlannedFilm, truth: tuple[TrueEvent, ...], names: list[str]) -> str:
    if planned.defect is Defect.WRONG_TASK:
        return "another task"
    texts = [
        _text(event.type, event.step_index, event.other_step_index, event.trainee_span, names)
        for event in truth
    ]
    return "; ".join(texts) or "good"


def _found_text(found: Found, names: list[str]) -> str:
    return _text(found.type, found.step_index, found.other_step_index, found.trainee_span, names)


_WORDS: dict[str, str] = {
    EventType.MISSING_STEP: "{step} missing",
    EventType.ORDER_SWAP: "{step} and {other} exchanged",
    EventType.STEP_DEVIATION: "{step} done otherwise",
    EventType.REPEATED_STEP: "{step} done again",
    EventType.EXTRA_ACTION: "unknown action",
    EventType.OVER_TIME: "{step} too long",
    EventType.FREEZE: "picture frozen",
}


def _text(
    kind: str, index: int | None, other: int | None, span: TimeSpan | None, names: list[str]
) -> str:
    """One event in words; steps are counted from 1 for people."""
    words = _WORDS.get(kind, kind).format(
        step=_step_text(index, names), other=_step_text(other, names)
    )
    return words if span is None else f"{words} at {timecode(span.start_sec)}"


def _step_text(index: int | None, names: list[str]) -> str:
    if index is None or not 0 <= index < len(names):
        return "a step"
    return f"step {index + 1} ({names[index]})"
