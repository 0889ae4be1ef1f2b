import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_examples import (
    IDS,
    ORIGIN,
    PROFILE,
    make_clips,
    make_comparison,
    make_finding,
    make_step,
)

from sopilot.core.timespan import TimeSpan
from sopilot.sop.calibrate import Calibration
from sopilot.sop.comparison import Comparison, EventType, Finding
from sopilot.sop.profile import Weights, update_profile
from sopilot.sop.result import build_result, clip_range, step_edges, time_verdict
from sopilot.sop.schemas import ScoreResult


def build(comparison: Comparison, **more: object) -> ScoreResult:
    options: dict[str, object] = {"interval": (80.0, 95.0), "ids": IDS, "origin": ORIGIN} | more
    return build_result(comparison, PROFILE, **options)  # type: ignore[arg-type]


CONTRACT_KEYS = {
    "score": None,
    "summary": "decision decision_reason decision_basis score_band severity_counts pass_score "
    "retrain_score comment_ja comment_en",
    "metrics": "miss_steps swap_steps deviation_steps over_time_ratio dtw_normalized_cost "
    "total_steps penalty_breakdown",
    "deviations": None,
    "boundaries": "gold trainee",
    "alignment": "path normalized_cost",
    "confidence": "ci_low ci_high ci_half_width level stability",
    "uncertainty": "epistemic aleatoric total ci_lower ci_upper ci_stability note",
    "step_contributions": None,
    "time_compliance": None,
    "gold_video_id": None,
    "trainee_video_id": None,
    "task_id": None,
}


def test_every_field_of_the_contract_is_there() -> None:
    result = build(make_comparison(make_finding())).model_dump(mode="json")
    for key, inner in CONTRACT_KEYS.items():
        assert key in result
        assert set((inner or "").split()) <= (set(result[key]) if inner else set())
    assert set(result["deviations"][0]) >= set(
        "type step_index severity severity_ja comment_ja comment_en severity_description_ja "
        "severity_description_en gold_clip_range trainee_clip_range gold_timecode "
        "trainee_timecode detail distance unique_positions gold_span_len expected_span_len "
        "mean_distance".split()
    )
    assert set(result["time_compliance"][0]) >= set(
        "step_index name_ja name_en actual_duration_sec expected_duration_sec min_duration_sec "
        "max_duration_sec is_critical compliance".split()
    )


def test_gold_against_itself_is_a_clean_hundred() -> None:
    result = build(make_comparison(trainee_sec=40), interval=(96.0, 100.0))
    assert (result.score, result.summary.decision, result.deviations) == (100.0, "pass", [])
    assert result.metrics.penalty_breakdown.total_penalty == 0
    assert [row.points_earned for row in result.step_contributions] == [25.0] * 4
    assert result.boundaries.gold == result.boundaries.trainee == [0, 10, 20, 30, 40]


def test_a_missing_step_fails_earns_nothing_and_carries_its_numbers() -> None:
    missing = make_finding(
        EventType.MISSING_STEP, 1, strength=0.3, gold=(10, 20), trainee=(10, 10), detail="inner"
    )
    spans = (TimeSpan(0, 10), None, TimeSpan(10, 20), TimeSpan(20, 30))
    result = build(make_comparison(missing, trainee_steps=spans, trainee_sec=30))
    deviation = result.deviations[0]
    assert (result.summary.decision, result.metrics.miss_steps) == ("fail", 1)
    assert (deviation.gold_clip_range, deviation.trainee_clip_range) == ((10, 20), (10, 10))
    assert (deviation.gold_span_len, deviation.expected_span_len) == (10, 7.5)
    assert deviation.legacy_type == "step_missing"
    assert result.step_contributions[1].points_earned == 0.0
    assert result.timeline[1].status == "missing"
    assert result.timeline[1].trainee_timecode is None
    assert result.time_compliance[1].compliance == "undefined"
    assert result.boundaries.trainee == [0, 10, 20, 30]


def test_a_swap_is_shared_by_both_steps() -> None:
    swap = make_finding(EventType.ORDER_SWAP, 1, other_step_index=2, gold=(10, 30))
    result = build(make_comparison(swap))
    shares = [sum(item.amount for item in row.deductions) for row in result.step_contributions]
    assert shares == [0, 21.0, 21.0, 0]
    assert [row.status for row in result.timeline] == ["ok", "swapped", "swapped", "ok"]
    assert result.metrics.swap_steps == 1


def test_deviations_come_in_the_order_of_the_gold_with_their_points() -> None:
    late = make_finding(EventType.OVER_TIME, 3, detail="dwell")
    early = make_finding(EventType.FREEZE, None, gold=(2, 2), trainee=(2, 6))
    result = build(make_comparison(late, early))
    assert [item.type for item in result.deviations] == ["freeze", "over_time"]
    assert result.deviations[0].points > result.deviations[1].points > 0
    assert [item.type for item in result.unassigned_deductions] == ["freeze"]
    assert result.timeline[3].deviations == [1]
    assert result.deviations[1].time_ratio == 1.1


types = st.sampled_from(EventType)
found = st.builds(
    make_finding,
    kind=types,
    step_index=st.one_of(st.none(), st.integers(0, 3)),
    strength=st.floats(0.01, 1.0),
    other_step_index=st.one_of(st.none(), st.integers(0, 3)),
)


@settings(max_examples=60)
@given(st.lists(found, max_size=6), st.floats(0, 1))
def test_all_deductions_sum_to_the_loss_and_no_step_earns_below_zero(
    findings: list, conformity: float
) -> None:
    result = build(make_comparison(*findings, conformity=conformity))
    penalties = result.metrics.penalty_breakdown
    parts = [item.amount for row in result.step_contributions for item in row.deductions]
    parts += [item.amount for item in result.unassigned_deductions]
    parts.append(penalties.conformity_penalty)
    cents = sum(round(part * 100) for part in parts)
    assert cents == round(penalties.total_penalty * 100) == 10000 - round(result.score * 100)
    assert all(0 <= row.points_earned <= 25 for row in result.step_contributions)
    assert result.confidence is not None
    assert result.confidence.ci_low <= result.score <= result.confidence.ci_high


def test_the_record_is_deterministic_and_survives_json() -> None:
    comparison = make_comparison(make_finding(), conformity=0.77)
    first, second = build(comparison).model_dump_json(), build(comparison).model_dump_json()
    assert first == second
    assert ScoreResult.model_validate_json(first).model_dump() == build(comparison).model_dump()
    assert "NaN" not in json.dumps(json.loads(first))


@pytest.mark.parametrize(
    ("interval", "low", "high", "stability"),
    [
        ((97.0, 100.0), 97.0, 100.0, "high"),
        ((90.0, 96.0), 90.0, 100.0, "medium"),
        ((-5.0, 130.0), 0.0, 100.0, "low"),
        ((92.0, 100.0), 92.0, 100.0, "high"),
        ((84.0, 100.0), 84.0, 100.0, "medium"),
    ],
)
def test_one_interval_that_contains_the_score_is_told_twice(
    interval: tuple[float, float], low: float, high: float, stability: str
) -> None:
    result = build(make_comparison(), interval=interval, replicate_count=24)
    confidence, uncertainty = result.confidence, result.uncertainty
    assert confidence is not None
    assert uncertainty is not None
    assert (confidence.ci_low, confidence.ci_high, confidence.stability) == (low, high, stability)
    assert (uncertainty.ci_lower, uncertainty.ci_upper) == (low, high)
    assert (uncertainty.ci_stability, uncertainty.n_bootstrap) == (stability, 24)
    assert (confidence.method, confidence.calibrated) == ("replicates", False)
    assert uncertainty.epistemic is None
    assert uncertainty.total == pytest.approx((high - low) / 2 / 1.96, abs=0.01)


def test_without_an_interval_nothing_is_invented() -> None:
    result = build(make_comparison(), interval=None)
    assert (result.confidence, result.uncertainty) == (None, None)


def test_profile_weights_and_producers_are_recorded() -> None:
    profile = update_profile(PROFILE, {"pass_score": 90, "default_weights": {"w_swap": 0}})
    result = build_result(
        make_comparison(make_finding(EventType.ORDER_SWAP, 1)), profile, ids=IDS, origin=ORIGIN
    )
    assert (result.profile_version, result.summary.pass_score, result.score) == (2, 90.0, 100.0)
    assert result.algorithm == "order-search-v1"
    assert result.producers["embedder"].version == "color-motion-v2"
    assert result.weights.w_miss == pytest.approx(0.4 / 0.75, abs=1e-6)
    override = build_result(
        make_comparison(make_finding(EventType.ORDER_SWAP, 1)),
        profile,
        ids=IDS,
        origin=ORIGIN,
        weights=Weights(),
    )
    assert override.score == 58.0


def test_time_compliance_measures_the_trainee() -> None:
    steps = tuple(make_step(i, min_duration_sec=8.0, max_duration_sec=12.0) for i in range(4))
    spans = (TimeSpan(0, 5), TimeSpan(5, 15), TimeSpan(15, 30), None)
    result = build(make_comparison(steps=steps, trainee_steps=spans))
    rows = result.time_compliance
    assert [row.compliance for row in rows] == ["too_fast", "ok", "too_slow", "undefined"]
    assert [row.actual_duration_sec for row in rows] == [5.0, 10.0, 15.0, None]
    assert [row.gold_duration_sec for row in rows] == [10.0] * 4


@pytest.mark.parametrize(
    ("limits", "slow", "expected"),
    [
        ({}, False, "undefined"),
        ({}, True, "too_slow"),
        ({"min_duration_sec": 5.0}, False, "ok"),
        ({"max_duration_sec": 20.0}, True, "ok"),
        ({"expected_duration_sec": 10.0}, False, "undefined"),
    ],
)
def test_limits_decide_before_over_time(
    limits: dict[str, float], slow: bool, expected: str
) -> None:
    assert time_verdict(make_step(0, **limits), 10.0, slow) == expected


@pytest.mark.parametrize(
    ("span", "expected"),
    [((0, 10), (0, 10)), ((3.2, 3.4), (3, 4)), ((5, 5), (5, 5)), ((39.9, 42), (39, 40))],
)
def test_clip_ranges_are_half_open(span: tuple[float, float], expected: tuple[int, int]) -> None:
    assert clip_range(make_clips(40), TimeSpan(*span)) == expected


def test_edges_begin_at_zero_and_end_at_the_clip_count() -> None:
    spans = [TimeSpan(12, 20), None, TimeSpan(2, 10)]
    assert step_edges(make_clips(30), spans) == [0, 12, 30]
    assert step_edges(make_clips(30), [None]) == [0, 30]


def test_an_empty_path_and_no_steps_make_a_record() -> None:
    comparison = replace(
        make_comparison(steps=()), path=np.zeros((0, 2), np.int32), steps_source="proposed"
    )
    result = build(comparison)
    assert (result.alignment.path, result.timeline, result.boundaries.gold) == ([], [], [0, 40])


@pytest.mark.parametrize(
    ("calibration", "expected"),
    [
        (Calibration(1), (False, 1, 2, 1.0, 1.0)),
        (Calibration(2), (False, 2, 1, 1.0, 1.0)),
        (Calibration(3, 3, 1.23456, 2.0), (True, 3, 0, 1.2346, 2.0)),
    ],
)
def test_the_record_says_how_the_task_is_calibrated(
    calibration: Calibration, expected: tuple[object, ...]
) -> None:
    result = build(replace(make_comparison(), calibration=calibration))
    assert tuple(result.calibration.model_dump().values()) == expected
    assert result.confidence is not None
    assert result.uncertainty is not None
    assert result.confidence.calibrated == result.uncertainty.calibrated == expected[0]


@pytest.mark.parametrize(
    ("distinctness", "pairs"), [(None, ()), (0.91238, ()), (0.1, ((0, 2), (1, 3)))]
)
def test_the_record_names_steps_that_look_alike(
    distinctness: float | None, pairs: tuple[tuple[int, int], ...]
) -> None:
    comparison = replace(make_comparison(), gold_distinctness=distinctness, similar_steps=pairs)
    result = build(comparison)
    assert result.similar_steps == list(pairs)
    assert result.gold_distinctness == (None if distinctness is None else round(distinctness, 4))


@pytest.mark.parametrize(
    ("more", "certainty", "alternative"),
    [
        ({}, "clear", None),
        ({"certainty": "review"}, "review", None),
        ({"alternative": EventType.STEP_DEVIATION}, "clear", "step_deviation"),
    ],
)
def test_a_deviation_carries_how_sure_it_is_and_what_else_it_may_be(
    more: dict[str, object], certainty: str, alternative: str | None
) -> None:
    deviation = build(make_comparison(make_finding(EventType.MISSING_STEP, **more))).deviations[0]
    assert (deviation.certainty, deviation.alternative_type) == (certainty, alternative)
    assert ("（要確認）" in deviation.comment_ja) == (certainty == "review")
    assert ("in a different way" in deviation.comment_en) == (alternative is not None)


def test_a_missing_step_to_review_is_no_failure_and_no_pass() -> None:
    remark = make_finding(EventType.MISSING_STEP, 1, strength=0.45, certainty="review")
    summary = build(make_comparison(remark)).summary
    assert (summary.decision, summary.decision_basis) == ("needs_review", "remark_to_review")
    assert (summary.severity_counts.critical, summary.severity_counts.quality) == (0, 1)
    assert summary.comment_en.startswith("No verdict yet")


def test_what_cannot_be_compared_has_a_score_but_no_verdict() -> None:
    missing = make_finding(EventType.MISSING_STEP, 1)
    comparison = replace(make_comparison(missing, conformity=0.2), is_comparable=False)
    result = build(replace(comparison, likeness=0.123456))
    summary = result.summary
    assert (summary.decision, summary.decision_basis) == ("needs_review", "not_comparable")
    assert (result.score, result.likeness, result.is_comparable) == (11.0, 0.1235, False)
    assert summary.severity_counts.critical == 1


found_with_certainty = st.builds(
    make_finding,
    kind=types,
    step_index=st.one_of(st.none(), st.integers(0, 3)),
    strength=st.floats(0.01, 1.0),
    certainty=st.sampled_from(["clear", "review"]),
    alternative=st.sampled_from([None, EventType.MISSING_STEP, EventType.STEP_DEVIATION]),
)


@settings(max_examples=60)
@given(st.lists(found_with_certainty, max_size=4), found_with_certainty, st.floats(0, 1))
def test_one_finding_more_never_raises_the_recorded_score(
    findings: list[Finding], more: Finding, conformity: float
) -> None:
    before = build(make_comparison(*findings, conformity=conformity))
    after = build(make_comparison(*findings, more, conformity=conformity))
    assert after.score <= before.score
    assert len(after.deviations) == len(before.deviations) + 1


RANK = {"pass": 0, "needs_review": 1, "retrain": 2, "fail": 3}


@settings(max_examples=60)
@given(st.lists(found_with_certainty, max_size=4), found_with_certainty, st.floats(0, 1))
def test_one_finding_more_never_betters_the_verdict(
    findings: list[Finding], more: Finding, conformity: float
) -> None:
    before = build(make_comparison(*findings, conformity=conformity)).summary
    after = build(make_comparison(*findings, more, conformity=conformity)).summary
    assert RANK[after.decision] >= RANK[before.decision]


@pytest.mark.parametrize("kind", EventType)
def test_a_stronger_finding_never_raises_the_recorded_score(kind: EventType) -> None:
    scores = [
        build(make_comparison(make_finding(kind, strength=share / 20))).score
        for share in range(1, 21)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] < 100.0
