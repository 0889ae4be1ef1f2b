from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from record_examples import make_comparison, make_finding

from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.profile import Weights
from sopilot.sop.score import FULL_LOSS, score_comparison, share_out, total_score

findings = st.builds(
    make_finding,
    kind=st.sampled_from(EventType),
    step_index=st.one_of(st.none(), st.integers(0, 3)),
    strength=st.floats(0.01, 1.0),
)
finding_lists = st.lists(findings, max_size=8)
weights = st.builds(
    Weights,
    w_miss=st.floats(0.01, 5),
    w_swap=st.floats(0, 5),
    w_dev=st.floats(0, 5),
    w_time=st.floats(0, 5),
)
conformities = st.floats(0, 1)


def test_nothing_found_and_full_conformity_is_exactly_100() -> None:
    score = score_comparison(make_comparison())
    assert (score.total, score.loss_points, score.conformity_points) == (100.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (EventType.MISSING_STEP, 55.0),
        (EventType.FREEZE, 55.0),
        (EventType.REPEATED_STEP, 55.0),
        (EventType.ORDER_SWAP, 58.0),
        (EventType.STEP_DEVIATION, 58.0),
        (EventType.OVER_TIME, 80.0),
        (EventType.EXTRA_ACTION, 80.0),
    ],
)
def test_one_clear_finding_costs_its_calibrated_share(kind: EventType, expected: float) -> None:
    assert score_comparison(make_comparison(make_finding(kind))).total == expected


def test_a_weak_quality_deviation_leaves_a_pass_with_a_remark() -> None:
    weak = make_finding(EventType.STEP_DEVIATION, strength=0.25)
    assert 88 <= score_comparison(make_comparison(weak)).total <= 92


def test_several_missing_steps_multiply() -> None:
    missing = [make_finding(EventType.MISSING_STEP, step_index=i) for i in range(4)]
    totals = [score_comparison(make_comparison(*missing[:n])).total for n in range(5)]
    assert totals == pytest.approx([100 * 0.55**n for n in range(5)], abs=0.005)


@pytest.mark.parametrize(("conformity", "total"), [(0.0, 0.01), (0.5, 50.0), (0.75, 75.0)])
def test_conformity_multiplies_the_score(conformity: float, total: float) -> None:
    score = score_comparison(make_comparison(conformity=conformity))
    assert (score.total, score.conformity_points) == (total, pytest.approx(100.0 - total))


def test_a_weight_of_zero_gives_no_loss_and_a_larger_one_more() -> None:
    comparison = make_comparison(make_finding(EventType.ORDER_SWAP))
    assert score_comparison(comparison, Weights(w_swap=0.0)).total == 100.0
    assert score_comparison(comparison, Weights(w_swap=0.5)).total < 58.0


def test_only_the_proportions_of_weights_matter() -> None:
    comparison = make_comparison(make_finding(), make_finding(EventType.OVER_TIME))
    tenfold = Weights(4.0, 2.5, 2.5, 1.0)
    assert score_comparison(comparison, tenfold) == score_comparison(comparison)


@given(finding_lists, findings, weights, conformities)
def test_one_finding_more_never_raises_the_score(
    found: list[Finding], more: Finding, used: Weights, conformity: float
) -> None:
    before = score_comparison(make_comparison(*found, conformity=conformity), used)
    after = score_comparison(make_comparison(*found, more, conformity=conformity), used)
    assert after.total <= before.total


@given(findings, st.floats(0.01, 1.0), conformities, conformities)
def test_stronger_or_less_conform_never_scores_higher(
    found: Finding, strength: float, one: float, other: float
) -> None:
    low, high = sorted([found.strength, strength])
    weak = make_comparison(replace(found, strength=low), conformity=max(one, other))
    strong = make_comparison(replace(found, strength=high), conformity=min(one, other))
    assert total_score(strong) <= total_score(weak)


@given(finding_lists, weights, conformities)
def test_the_shares_of_the_loss_sum_to_it_exactly(
    found: list[Finding], used: Weights, conformity: float
) -> None:
    score = score_comparison(make_comparison(*found, conformity=conformity), used)
    shares = [*score.finding_points, score.conformity_points]
    assert 0 <= score.total <= 100
    assert min(shares) >= 0
    assert sum(round(share * 100) for share in shares) == round((100 - score.total) * 100)
    groups = [*score.weight_points.values(), score.conformity_points]
    assert sum(round(share * 100) for share in groups) == round(score.loss_points * 100)


def test_loss_is_shared_by_minus_log_of_what_is_left() -> None:
    clear, weak = make_finding(strength=1.0), make_finding(strength=0.5)
    points = score_comparison(make_comparison(clear, weak)).finding_points
    # ln 0.58 = -0.5447, ln 0.79 = -0.2357
    assert points[0] / points[1] == pytest.approx(0.5447 / 0.2357, rel=1e-3)


@given(st.integers(0, 10_000), st.lists(st.floats(0, 10), min_size=1, max_size=9))
def test_share_out_gives_everything_away(total: int, parts: list[float]) -> None:
    shares = share_out(total, parts)
    assert sum(shares) == (total if sum(parts) > 0 else 0)
    assert all(share == 0 for share, part in zip(shares, parts, strict=True) if part == 0)


def test_every_type_has_a_loss_below_one() -> None:
    assert set(FULL_LOSS) == set(EventType)
    assert all(0 < loss < 1 for loss in FULL_LOSS.values())
