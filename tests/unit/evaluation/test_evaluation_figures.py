"""The figures over scored films, from tables made by hand."""

from __future__ import annotations

import pytest

from sopilot.core.rates import Share
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.figures import Outcome, coverage, slow_flagged, stopped, summarise
from sopilot.evaluation.truth import Found, Match, TrueEvent
from sopilot.sop.comparison import EventType

NOWHERE = TimeSpan(0, 0)
CRITICAL = Found("missing_step", 0, None, None, severity="critical")
REVIEW = Found("missing_step", 0, None, None, severity="critical", certainty="review")
REMARK = Found("over_time", 0, None, None, severity="efficiency")


def outcome(
    defect: str | None,
    score: float,
    *found: Found,
    unit: str = "one",
    group: str = "task",
    named: tuple[bool, ...] = (),
    interval: tuple[float, float] | None = None,
) -> Outcome:
    """A film that passes when nothing critical is said and the score is 60 or more."""
    fails = any(f.severity == "critical" and f.certainty is None for f in found)
    event = TrueEvent(EventType.MISSING_STEP, 0, NOWHERE)
    return Outcome(
        name="film",
        unit=unit,
        group=group,
        defect=defect,
        score=score,
        decision="pass" if score >= 60 and not fails else "fail",
        basis="",
        found=found,
        matches=tuple(Match(event, name, True) for name in named),
        interval=interval,
    )


TABLE = [
    outcome(None, 95.0, unit="a"),
    outcome(None, 90.0, REMARK, unit="a"),
    outcome(None, 70.0, REVIEW, unit="a"),
    outcome(None, 55.0, CRITICAL, unit="b"),
    outcome("missing", 50.0, CRITICAL, unit="a", named=(True,)),
    outcome("missing", 97.0, unit="b", named=(False, False)),
    outcome("freeze", 72.0, CRITICAL, unit="b", named=(False,)),
]


def test_a_review_remark_is_an_alarm_but_never_critical() -> None:
    figures = summarise(TABLE)
    assert figures.alarm.films == Share(3, 4)
    assert figures.critical.films == Share(1, 4)
    assert figures.not_passed.films == Share(1, 4)


def test_rates_of_good_films_are_told_per_execution_as_well() -> None:
    alarm = summarise(TABLE).alarm
    assert alarm.units == Share(2, 2)
    assert alarm.unit_mean == pytest.approx((2 / 3 + 1) / 2)


def test_a_pass_is_the_decision_not_the_score() -> None:
    figures = summarise(TABLE)
    assert figures.defective_passed.films == Share(1, 3)
    assert figures.balanced_accuracy == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert stopped(TABLE, ("freeze",)) == Share(1, 1)


def test_every_kind_of_defect_has_its_row() -> None:
    rows = summarise(TABLE).by_defect
    assert list(rows) == ["freeze", "missing"]
    missing = rows["missing"]
    assert (missing.films, missing.median_score) == (2, 73.5)
    assert missing.noticed.films == Share(1, 2)
    assert (missing.named.films, missing.placed.films) == (Share(1, 3), Share(3, 3))
    assert missing.auc == pytest.approx((4 + 0) / 8)


def test_auc_is_told_over_all_and_within_the_groups() -> None:
    # Each group is ranked without a fault, but their levels differ.
    films = [
        outcome(None, 95.0, group="high"),
        outcome("swap", 80.0, group="high"),
        outcome(None, 60.0, group="low"),
        outcome("swap", 20.0, group="low"),
    ]
    figures = summarise(films)
    assert figures.auc == 0.75
    assert figures.group_auc == {"high": 1.0, "low": 1.0}
    assert figures.mean_group_auc == 1.0


def test_figures_without_defective_films_have_no_auc() -> None:
    figures = summarise([outcome(None, 95.0)])
    assert (figures.auc, figures.balanced_accuracy, figures.mean_group_auc) == (None, None, None)
    assert figures.by_defect == {}


@pytest.mark.parametrize(
    ("score", "named", "flagged"),
    [(90.0, True, True), (90.1, True, False), (50.0, False, False)],
)
def test_a_slow_step_must_be_named_and_cost_five_points(
    score: float, named: bool, flagged: bool
) -> None:
    films = [outcome(None, 95.0), outcome("idle", score, named=(named,))]
    assert slow_flagged(films, ("idle", "over_time")).films == Share(int(flagged), 1)


def test_a_slow_step_is_held_against_good_films_of_its_group() -> None:
    films = [outcome(None, 60.0), outcome("idle", 50.0, named=(True,), group="other")]
    assert slow_flagged(films, ("idle",)).films == Share(0, 0)


def test_coverage_counts_ordered_pairs_within_an_execution() -> None:
    films = [
        outcome(None, 90.0, unit="a", interval=(85.0, 95.0)),
        outcome(None, 96.0, unit="a", interval=(89.0, 100.0)),
        outcome(None, 50.0, unit="b", interval=(48.0, 52.0)),
        outcome(None, 51.0, unit="b", interval=(49.0, 53.0)),
    ]
    covered = coverage(films)
    assert covered.pairs == Share(3, 4)
    assert (covered.unit_mean, covered.unit_least) == (0.75, 0.5)
    assert covered.whole_units == Share(1, 2)
    assert (covered.width, covered.spread) == (7.0, 3.5)


def test_coverage_of_nothing_is_nothing() -> None:
    assert coverage([outcome(None, 90.0)]).unit_mean is None
