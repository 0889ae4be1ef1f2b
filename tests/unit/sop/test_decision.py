from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_examples import PROFILE, make_finding, make_step

from sopilot.sop.comparison import Certainty, EventType, Finding
from sopilot.sop.decision import (
    count_severities,
    decide,
    excellent_from,
    is_grave_remark,
    severity_of,
)
from sopilot.sop.profile import Severity, TaskProfile, update_profile


@pytest.mark.parametrize(
    ("score", "critical", "decision", "basis", "band"),
    [
        (100.0, 0, "pass", "score_above_threshold", "excellent"),
        (72.0, 0, "pass", "score_above_threshold", "excellent"),
        (71.99, 0, "pass", "score_above_threshold", "passing"),
        (60.0, 0, "pass", "score_above_threshold", "passing"),
        (59.99, 0, "needs_review", "score_between_thresholds", "needs_review"),
        (50.0, 0, "needs_review", "score_between_thresholds", "needs_review"),
        (49.99, 0, "retrain", "score_below_retrain", "poor"),
        (0.0, 0, "retrain", "score_below_retrain", "poor"),
        (99.0, 1, "fail", "critical_deviation", "poor"),
        (10.0, 2, "fail", "critical_deviation", "poor"),
    ],
)
def test_the_table_of_decisions(
    score: float, critical: int, decision: str, basis: str, band: str
) -> None:
    verdict = decide(score, PROFILE, critical)
    assert (verdict.decision, verdict.basis, verdict.band) == (decision, basis, band)


def test_the_reason_names_the_rule_and_its_numbers() -> None:
    assert decide(87.5, PROFILE, 0).reason == "score >= pass_score (60.0)"
    assert decide(40.0, PROFILE, 0).reason == "score < retrain_score (50.0)"
    assert decide(55.0, PROFILE, 0).reason == "retrain_score (50.0) <= score < pass_score (60.0)"
    assert decide(55.0, PROFILE, 2).reason == "critical deviations: 2"


@pytest.mark.parametrize(("pass_score", "expected"), [(60, 72), (90, 95), (100, 100), (0, 0)])
def test_the_band_excellent_is_always_reachable(pass_score: float, expected: float) -> None:
    assert excellent_from(pass_score) == expected


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 100), st.integers(0, 2))
def test_the_band_never_contradicts_the_decision(
    score: float, one: float, other: float, critical: int
) -> None:
    profile = replace(PROFILE, pass_score=max(one, other), retrain_score=min(one, other))
    verdict = decide(score, profile, critical)
    allowed = {
        "pass": {"excellent", "passing"},
        "needs_review": {"needs_review"},
        "retrain": {"poor"},
        "fail": {"poor"},
    }
    assert verdict.band in allowed[verdict.decision]


def quality_freeze() -> TaskProfile:
    return update_profile(PROFILE, {"deviation_policy": {"freeze": "quality"}})


@pytest.mark.parametrize(
    ("kind", "step", "other", "expected"),
    [
        (EventType.STEP_DEVIATION, 0, None, Severity.QUALITY),
        (EventType.STEP_DEVIATION, 1, None, Severity.CRITICAL),
        (EventType.ORDER_SWAP, 0, 1, Severity.CRITICAL),
        (EventType.MISSING_STEP, 0, None, Severity.CRITICAL),
        (EventType.OVER_TIME, 1, None, Severity.EFFICIENCY),
        (EventType.EXTRA_ACTION, None, None, Severity.EFFICIENCY),
        (EventType.STEP_DEVIATION, 99, None, Severity.QUALITY),
    ],
)
def test_a_critical_step_raises_quality_deviations(
    kind: EventType, step: int | None, other: int | None, expected: Severity
) -> None:
    steps = {0: make_step(0), 1: make_step(1, is_critical=True)}
    finding = make_finding(kind, step_index=step, other_step_index=other)
    assert severity_of(finding, PROFILE, steps) is expected


def test_the_policy_of_the_task_decides_the_severity() -> None:
    finding = make_finding(EventType.FREEZE, step_index=None)
    assert severity_of(finding, PROFILE, {}) is Severity.CRITICAL
    assert severity_of(finding, quality_freeze(), {}) is Severity.QUALITY


def test_counts_name_all_three_severities() -> None:
    counts = count_severities([Severity.QUALITY, Severity.QUALITY])
    assert counts == {Severity.CRITICAL: 0, Severity.QUALITY: 2, Severity.EFFICIENCY: 0}


@pytest.mark.parametrize(
    ("score", "critical", "remarks", "is_comparable", "decision", "basis"),
    [
        (60.0, 0, 0, True, "pass", "score_above_threshold"),
        (60.0, 0, 1, True, "needs_review", "remark_to_review"),
        (100.0, 0, 3, True, "needs_review", "remark_to_review"),
        (59.99, 0, 1, True, "needs_review", "score_between_thresholds"),
        (50.0, 0, 1, True, "needs_review", "score_between_thresholds"),
        (49.99, 0, 1, True, "retrain", "score_below_retrain"),
        (100.0, 1, 1, True, "fail", "critical_deviation"),
        (100.0, 0, 0, False, "needs_review", "not_comparable"),
        (0.0, 0, 0, False, "needs_review", "not_comparable"),
        (0.0, 9, 9, False, "needs_review", "not_comparable"),
    ],
)
def test_every_basis_has_its_place_in_the_order_of_rules(
    score: float, critical: int, remarks: int, is_comparable: bool, decision: str, basis: str
) -> None:
    verdict = decide(
        score, PROFILE, critical, grave_remark_count=remarks, is_comparable=is_comparable
    )
    assert (verdict.decision, verdict.basis) == (decision, basis)


@given(
    st.floats(0, 100), st.floats(0, 100), st.floats(0, 100), st.integers(0, 2), st.integers(1, 3)
)
def test_a_grave_remark_takes_back_a_pass_and_nothing_else(
    score: float, one: float, other: float, critical: int, remarks: int
) -> None:
    profile = replace(PROFILE, pass_score=max(one, other), retrain_score=min(one, other))
    before = decide(score, profile, critical)
    after = decide(score, profile, critical, grave_remark_count=remarks)
    if before.decision == "pass":
        assert (after.decision, after.basis) == ("needs_review", "remark_to_review")
        assert after.band == "needs_review"
    else:
        assert after == before


@given(st.floats(0, 100), st.floats(0, 100), st.integers(0, 3), st.integers(0, 3))
def test_what_cannot_be_compared_is_never_judged(
    score: float, pass_score: float, critical: int, remarks: int
) -> None:
    profile = replace(PROFILE, pass_score=pass_score, retrain_score=0.0)
    verdict = decide(score, profile, critical, grave_remark_count=remarks, is_comparable=False)
    assert (verdict.decision, verdict.basis) == ("needs_review", "not_comparable")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"grave_remark_count": 2}, "remarks to review that would be critical: 2"),
        ({"is_comparable": False}, "the video does not show the gold's work as the gold shows it"),
    ],
)
def test_the_reason_of_a_missing_verdict_is_told(options: dict[str, Any], reason: str) -> None:
    assert decide(87.5, PROFILE, 0, **options).reason == reason


def test_equal_marks_leave_no_score_between() -> None:
    profile = replace(PROFILE, pass_score=70.0, retrain_score=70.0)
    bases = [decide(score, profile, 0).basis for score in (69.99, 70.0)]
    assert bases == ["score_below_retrain", "score_above_threshold"]


severities = st.sampled_from(Severity)
remarks_to_review = st.builds(
    make_finding,
    kind=st.sampled_from(EventType),
    step_index=st.one_of(st.none(), st.integers(0, 2)),
    other_step_index=st.one_of(st.none(), st.integers(0, 2)),
    certainty=st.just("review"),
)


@given(remarks_to_review, st.dictionaries(st.sampled_from(EventType), severities), st.booleans())
def test_a_remark_to_review_is_never_critical_but_grave_where_it_would_be(
    remark: Finding, policy: dict[EventType, Severity], is_critical: bool
) -> None:
    profile = replace(PROFILE, deviation_policy=policy)
    steps = {0: make_step(0), 1: make_step(1, is_critical=is_critical)}
    clear = replace(remark, certainty="clear")
    would_be = severity_of(clear, profile, steps)
    expected = Severity.QUALITY if would_be is Severity.CRITICAL else would_be
    assert severity_of(remark, profile, steps) is expected
    assert is_grave_remark(remark, profile, steps) == (would_be is Severity.CRITICAL)
    assert not is_grave_remark(clear, profile, steps)


@pytest.mark.parametrize(
    ("kind", "step", "certainty", "severity", "is_grave"),
    [
        (EventType.MISSING_STEP, 0, "clear", Severity.CRITICAL, False),
        (EventType.MISSING_STEP, 0, "review", Severity.QUALITY, True),
        (EventType.STEP_DEVIATION, 0, "review", Severity.QUALITY, False),
        (EventType.STEP_DEVIATION, 1, "review", Severity.QUALITY, True),
        (EventType.ORDER_SWAP, 1, "review", Severity.QUALITY, True),
        (EventType.OVER_TIME, 1, "review", Severity.EFFICIENCY, False),
    ],
)
def test_certainty_and_step_make_a_remark_grave(
    kind: EventType, step: int, certainty: Certainty, severity: Severity, is_grave: bool
) -> None:
    steps = {0: make_step(0), 1: make_step(1, is_critical=True)}
    finding = make_finding(kind, step_index=step, certainty=certainty)
    assert severity_of(finding, PROFILE, steps) is severity
    assert is_grave_remark(finding, PROFILE, steps) is is_grave
