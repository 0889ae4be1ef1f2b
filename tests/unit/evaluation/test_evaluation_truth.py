"""Matching of findings with the truth."""

from __future__ import annotations

import pytest

from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.truth import Found, TrueEvent, found_of_record, match
from sopilot.sop.comparison import EventType

STEPS = [TimeSpan(0, 10), TimeSpan(10, 20), TimeSpan(20, 30)]
MISSING_1 = TrueEvent(EventType.MISSING_STEP, 1, TimeSpan(9, 9))
SWAP_12 = TrueEvent(EventType.ORDER_SWAP, 1, TimeSpan(10, 30), other_step_index=2)
OTHERWISE_2 = TrueEvent(EventType.STEP_DEVIATION, 2, TimeSpan(20, 30))
FREEZE = TrueEvent(EventType.FREEZE, 1, TimeSpan(10, 16))


def found(
    kind: str,
    index: int | None = None,
    gold: tuple[float, float] | None = None,
    trainee: tuple[float, float] | None = None,
    other: int | None = None,
) -> Found:
    return Found(
        kind,
        index,
        TimeSpan(*gold) if gold else None,
        TimeSpan(*trainee) if trainee else None,
        other,
    )


@pytest.mark.parametrize(
    ("event", "item", "named", "placed"),
    [
        (MISSING_1, found("missing_step", 1), True, True),
        (MISSING_1, found("missing_step", 0), False, False),
        (MISSING_1, found("missing_step", 0, gold=(4, 15)), True, True),
        (MISSING_1, found("missing_step", 0, gold=(4, 14)), False, False),
        (MISSING_1, found("step_deviation", 1), False, True),
        (MISSING_1, found("over_time", 1), False, False),
        (SWAP_12, found("order_swap", 2), True, True),
        (SWAP_12, found("order_swap", 0, other=1), True, True),
        (SWAP_12, found("order_swap", 0, trainee=(12, 30)), True, True),
        (SWAP_12, found("order_swap", 0, trainee=(0, 10)), False, False),
        (SWAP_12, found("missing_step", 1), False, False),
        (OTHERWISE_2, found("missing_step", 2), False, True),
        (OTHERWISE_2, found("step_deviation", None, trainee=(18, 28)), True, True),
        (FREEZE, found("freeze", 1, trainee=(0, 3)), False, False),
        (FREEZE, found("freeze", None, trainee=(10.5, 15.5)), True, True),
    ],
)
def test_a_finding_matches_by_type_and_place(
    event: TrueEvent, item: Found, named: bool, placed: bool
) -> None:
    (result,) = match([event], [item], STEPS)
    assert (result.named, result.placed) == (named, placed)


def test_two_findings_together_may_cover_a_missing_step() -> None:
    halves = [found("missing_step", 0, gold=(8, 13)), found("missing_step", 2, gold=(17, 22))]
    assert match([MISSING_1], halves, STEPS)[0].named
    assert not match([MISSING_1], halves[:1], STEPS)[0].named


def test_a_public_record_is_read() -> None:
    record = {
        "type": "missing_step",
        "step_index": 1,
        "severity": "critical",
        "gold_timecode": [10.0, 20.0],
        "trainee_timecode": [None, None],
    }
    read = found_of_record(record)
    assert read == Found("missing_step", 1, TimeSpan(10, 20), None, None, "critical")


def test_proposed_steps_are_matched_by_time_alone() -> None:
    same_index = [found("missing_step", 1), found("order_swap", 2, trainee=(0, 5))]
    for event in (MISSING_1, SWAP_12):
        assert not match([event], same_index, STEPS, by_index=False)[0].named
    covering = [found("missing_step", 7, gold=(9, 17))]
    assert match([MISSING_1], covering, STEPS, by_index=False)[0].named
    assert match([SWAP_12], [found("order_swap", 7, trainee=(11, 29))], STEPS, False)[0].named


def test_a_review_remark_keeps_its_certainty() -> None:
    record = {"type": "order_swap", "step_index": 0, "severity": "quality", "certainty": "review"}
    assert found_of_record(record).certainty == "review"
