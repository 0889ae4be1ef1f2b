"""Stored results judged anew: the same profile changes nothing, another changes what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from record_examples import IDS, ORIGIN, PROFILE, make_comparison, make_finding, make_step

from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.sop.comparison import Comparison, EventType
from sopilot.sop.ensemble import summarised
from sopilot.sop.profile import TaskProfile, Weights, update_profile
from sopilot.sop.redecide import are_same_steps, redecide
from sopilot.sop.result import build_result
from sopilot.sop.schemas import AloneRecord, EnsembleError, FindingRecord, ScoreResult

STEPS = tuple(make_step(i) for i in range(4))


def build(comparison: Comparison, profile: TaskProfile = PROFILE) -> ScoreResult:
    made = build_result(
        comparison, profile, ids=IDS, origin=ORIGIN, interval=(50.0, 62.5), replicate_count=24
    )
    return ScoreResult.model_validate(made.model_dump(mode="json"))


found = st.builds(
    make_finding,
    kind=st.sampled_from(EventType),
    step_index=st.one_of(st.none(), st.integers(0, 3)),
    strength=st.floats(0.01, 1.0),
    certainty=st.sampled_from(["clear", "review"]),
    other_step_index=st.one_of(st.none(), st.integers(0, 3)),
)


@settings(max_examples=60)
@given(st.lists(found, max_size=6), st.floats(0, 1))
def test_under_the_profile_that_judged_it_a_result_stays_as_it_is(
    findings: list, conformity: float
) -> None:
    result = build(make_comparison(*findings, conformity=conformity))
    assert redecide(result, PROFILE, PROFILE.weights) == result
    again = redecide(result, PROFILE, PROFILE.weights, STEPS)
    assert (again.score, again.summary) == (result.score, result.summary)
    assert [d.comment_ja for d in again.deviations] == [d.comment_ja for d in result.deviations]


@settings(max_examples=60)
@given(
    st.lists(found, max_size=6),
    st.floats(0.01, 1),
    st.fixed_dictionaries(
        {
            "pass_score": st.integers(60, 100),
            "retrain_score": st.integers(0, 50),
            "deviation_policy": st.dictionaries(
                st.sampled_from([str(k) for k in EventType]),
                st.sampled_from(["critical", "quality", "efficiency"]),
            ),
            "default_weights": st.fixed_dictionaries({"w_miss": st.floats(0.1, 5)}),
        }
    ),
)
def test_a_new_judgement_equals_a_score_under_the_new_profile(
    findings: list, conformity: float, changes: dict[str, object]
) -> None:
    comparison = make_comparison(*findings, conformity=conformity)
    profile = replace(update_profile(PROFILE, changes), version=2)
    again = redecide(build(comparison), profile, profile.weights)
    direct = build(comparison, profile)
    # The stored strengths have four decimals.
    assert again.score == pytest.approx(direct.score, abs=0.05)
    assert again.summary.severity_counts == direct.summary.severity_counts
    assert [d.severity for d in again.deviations] == [d.severity for d in direct.deviations]
    assert (again.profile_version, again.weights) == (2, direct.weights)
    parts = [item.amount for row in again.step_contributions for item in row.deductions]
    parts += [item.amount for item in again.unassigned_deductions]
    parts.append(again.metrics.penalty_breakdown.conformity_penalty)
    assert round(sum(parts), 2) == pytest.approx(100 - again.score, abs=0.001)


def test_thresholds_decide_anew_and_the_interval_stays() -> None:
    result = build(make_comparison(make_finding()))
    strict = update_profile(PROFILE, {"pass_score": 90, "retrain_score": 80})
    again = redecide(result, strict, strict.weights)
    assert (again.summary.decision, again.summary.pass_score) == ("retrain", 90.0)
    assert (again.score, again.confidence) == (result.score, result.confidence)


def test_other_weights_drop_the_interval_and_say_so() -> None:
    result = build(make_comparison(make_finding(EventType.ORDER_SWAP, 1, strength=1.0)))
    lenient = update_profile(PROFILE, {"default_weights": {"w_swap": 0}})
    again = redecide(result, lenient, lenient.weights)
    assert (again.score, again.metrics.penalty_breakdown.swap_penalty) == (100.0, 0.0)
    assert (again.confidence, again.uncertainty) == (None, None)
    assert "interval_dropped" in [note.code for note in again.notes]
    back = redecide(again, PROFILE, Weights())
    assert (back.score, back.confidence) == (result.score, None)


def test_a_step_that_became_critical_fails_and_new_names_reach_the_comments() -> None:
    result = build(make_comparison(make_finding(EventType.STEP_DEVIATION, 3)))
    steps = [replace(step, name_ja=f"工程{step.index}", is_critical=True) for step in STEPS]
    again = redecide(result, PROFILE, PROFILE.weights, steps)
    assert (result.summary.decision, again.summary.decision) == ("needs_review", "fail")
    assert again.deviations[0].comment_ja.startswith("手順4（工程3）")
    assert [row.name_ja for row in again.timeline] == [f"工程{i}" for i in range(4)]
    assert all(row.is_critical for row in again.step_contributions)


def test_steps_that_lie_elsewhere_are_not_taken_over() -> None:
    result = build(make_comparison(make_finding(EventType.STEP_DEVIATION, 3)))
    moved = [replace(step, is_critical=True, span=TimeSpan(0, 1)) for step in STEPS]
    assert not are_same_steps(result, moved)
    assert redecide(result, PROFILE, PROFILE.weights, moved) == result
    assert not are_same_steps(result, STEPS[:3])
    assert are_same_steps(result, [Step(i) for i in range(4)])


def test_time_limits_of_today_decide_about_stored_times() -> None:
    result = build(make_comparison())
    steps = [replace(step, max_duration_sec=5.0) for step in STEPS]
    again = redecide(result, PROFILE, PROFILE.weights, steps)
    assert {row.compliance for row in again.time_compliance} == {"too_slow"}


def test_the_golds_of_an_ensemble_are_judged_anew_as_well() -> None:
    result = build(make_comparison())
    finding = FindingRecord(
        type="order_swap", step_index=1, other_step_index=2, strength=1.0, certainty="clear"
    )
    row = AloneRecord(
        gold_video_id=7,
        score=58.0,
        decision="needs_review",
        conformity=1.0,
        is_comparable=True,
        findings=[finding],
    )
    whole = result.model_copy(update={"ensemble": summarised(result, [row], [])})
    lenient = update_profile(PROFILE, {"default_weights": {"w_swap": 0}})
    again = redecide(whole, lenient, lenient.weights).ensemble
    assert again is not None
    assert (again.individual_scores, again.mean_score) == ([100.0], 100.0)
    assert again.individual_results[0].decision == "pass"
    grave = update_profile(PROFILE, {"deviation_policy": {"order_swap": "critical"}})
    again = redecide(whole, grave, grave.weights).ensemble
    assert again is not None
    assert (again.individual_scores, again.individual_results[0].decision) == ([58.0], "fail")


@pytest.mark.parametrize(
    ("scores", "agreement", "best"),
    [
        ((90.0, 91.0), "high", 2),
        ((90.0, 80.0), "medium", 1),
        ((90.0, 30.0), "low", 1),
        ((), None, None),
    ],
)
def test_agreement_follows_the_spread_of_the_golds(
    scores: tuple[float, ...], agreement: str | None, best: int | None
) -> None:
    result = build(make_comparison())
    rows = [
        AloneRecord(
            gold_video_id=k + 1,
            score=score,
            decision="pass",
            conformity=1.0,
            is_comparable=True,
            findings=[],
        )
        for k, score in enumerate(scores)
    ]
    failed = [] if rows else [EnsembleError(gold_video_id=9, error="too short")]
    found = summarised(result, rows, failed)
    assert (found.agreement, found.best_gold_video_id) == (agreement, best)
    assert (found.consensus_score, found.decision) == (result.score, result.summary.decision)
    assert (found.min_score, found.max_score) == (
        min(scores, default=None),
        max(scores, default=None),
    )


def test_records_stored_before_the_older_name_of_a_step_are_read() -> None:
    stored = build(make_comparison(make_finding())).model_dump(mode="json")
    del stored["deviations"][0]["gold_step"], stored["ensemble"]
    assert ScoreResult.model_validate(stored).deviations[0].gold_step == 3
