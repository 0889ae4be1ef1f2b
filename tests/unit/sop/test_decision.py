from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_examples import PROFILE, make_finding, make_step

from sopilot.sop.comparison import EventType
from sopilot.sop.decision import count_severities, decide, excellent_from, severity_of
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
