"""Matching of findings with the truth, and the figures."""

import pytest

from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.figures import Outcome, summarise
from sopilot.evaluation.rates import Share
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


def outcome(
    defect: str | None, score: float, *items: Found, truth: TrueEvent | None = None
) -> Outcome:
    decision = "pass" if score >= 60 and not items else "fail"
    matches = match([truth] if truth else [], items, STEPS)
    return Outcome("film", defect, score, decision, items, matches)


def test_figures_of_a_small_table() -> None:
    alarm = Found("missing_step", 0, None, None, severity="critical")
    remark = Found("over_time", 0, None, None, severity="efficiency")
    figures = summarise(
        [
            outcome(None, 95.0),
            outcome(None, 90.0, remark),
            outcome(None, 55.0, alarm),
            outcome(None, 99.0),
            outcome("missing", 50.0, found("missing_step", 1), truth=MISSING_1),
            outcome("missing", 97.0, truth=MISSING_1),
            outcome("freeze", 40.0, truth=FREEZE),
        ]
    )
    assert (figures.alarm, figures.critical_alarm) == (Share(2, 4), Share(1, 4))
    assert figures.good_passed == Share(2, 4)
    assert figures.defective_below_pass == Share(2, 3)
    assert figures.auc == pytest.approx((4 + 1 + 4) / 12)
    missing = figures.by_defect["missing"]
    assert (missing.noticed, missing.named, missing.films) == (Share(1, 2), Share(1, 2), 2)
    assert figures.by_defect["freeze"].noticed == Share(1, 1)
    assert figures.by_defect["freeze"].named == Share(0, 1)
    assert figures.median_good_score == pytest.approx(92.5)


def test_figures_without_defective_films_have_no_auc() -> None:
    figures = summarise([outcome(None, 95.0)])
    assert figures.auc is None
    assert figures.by_defect == {}
