"""Analytics on both databases, held against plain Python over the same rows."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from score_rows import START, Fate, Made, random_scores, store

from sopilot.api.schemas_analytics import (
    analytics_response,
    compliance_response,
    projection_response,
    recommendations_response,
    steps_performance,
    trend_response,
)
from sopilot.core.config import load_settings
from sopilot.sop import analytics, cells
from sopilot.sop.analytics_queries import ScoreFilter
from sopilot.sop.memo import Memo
from sopilot.store.engine import Database
from sopilot.store.tables import videos
from sopilot.store.times import text_of

FILTERS = [
    ScoreFilter(),
    ScoreFilter(task_id="pilot_task"),
    ScoreFilter(site_id="north"),
    ScoreFilter(operator_id="オペ3"),
    ScoreFilter(task_id="other", site_id="south", operator_id="op-1"),
    ScoreFilter(since=text_of(START + timedelta(minutes=60))),
    ScoreFilter(until=text_of(START + timedelta(minutes=60)), site_id="south"),
    ScoreFilter(task_id="no such task"),
]
Row = tuple[int, Made]


def chosen_rows(rows: Sequence[Row], wanted: ScoreFilter) -> list[Row]:
    """What the filter lets pass, oldest first, ids on a tie; with and without a result."""

    def fits(one: Made) -> bool:
        return (
            wanted.task_id in (None, one.task)
            and wanted.site_id in (None, one.site)
            and wanted.operator_id in (None, one.operator)
            and (wanted.since is None or text_of(one.at) >= wanted.since)
            and (wanted.until is None or text_of(one.at) < wanted.until)
        )

    return sorted((row for row in rows if fits(row[1])), key=lambda row: (row[1].at, row[0]))


def completed(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row[1].score is not None]


def filled(database: Database, made: Sequence[Made]) -> list[Row]:
    with database.write() as connection:
        return list(zip(store(connection, made), made, strict=True))


@pytest.fixture
def many(database: Database) -> tuple[Database, list[Row]]:
    rows = filled(database, random_scores(1, 90))
    cells.refresh(database)  # counting score by score is held against this in test_score_cells
    return database, rows


def passes(rows: Sequence[Row]) -> int:
    return sum(row[1].decision == "pass" for row in rows)


def mean(rows: Sequence[Row]) -> float | None:
    return statistics.fmean(row[1].score for row in rows) if rows else None


def near(value: float | None) -> object:
    return None if value is None else pytest.approx(value, abs=0.00501)


@pytest.mark.parametrize("wanted", FILTERS)
def test_the_overview_is_the_truth(many: tuple[Database, list[Row]], wanted: ScoreFilter) -> None:
    database, rows = many
    with database.read() as connection:
        found = analytics_response(analytics.overview(connection, wanted))
    fitting = chosen_rows(rows, wanted)
    done = completed(fitting)
    points = [one.score for _, one in done]
    assert (found.total_jobs, found.completed_jobs) == (len(fitting), len(done))
    for decision in ("pass", "fail", "needs_review", "retrain"):
        count = sum(one.decision == decision for _, one in done)
        assert getattr(found, f"{decision}_count") == count
    assert found.avg_score == near(mean(done))
    assert found.min_score == min(points, default=None)
    assert found.max_score == max(points, default=None)
    buckets = {"90-100": (90, 101), "80-89": (80, 90), "70-79": (70, 80), "0-69": (0, 70)}
    assert {item.bucket: item.count for item in found.score_distribution} == {
        name: sum(low <= point < high for point in points) for name, (low, high) in buckets.items()
    }
    assert [point.job_id for point in found.recent_trend] == [row[0] for row in done[::-1][:30]]
    reviewed = [one for _, one in done if one.verdict is not None]
    agreement = found.reviewer_agreement
    agreeing = sum(one.verdict == one.decision for one in reviewed)
    assert (agreement.reviewed_count, agreement.agree_count) == (len(reviewed), agreeing)
    assert agreement.agreement_rate == near(agreeing / len(reviewed) if reviewed else None)
    assert agreement.by_verdict == {
        verdict: sum(one.verdict == verdict for one in reviewed)
        for verdict in ("pass", "fail", "retrain", "needs_review")
    }


@pytest.mark.parametrize("wanted", FILTERS)
@pytest.mark.parametrize("side", ["operator", "site"])
def test_operators_and_sites_are_the_truth(
    many: tuple[Database, list[Row]], wanted: ScoreFilter, side: str
) -> None:
    database, rows = many
    with database.read() as connection:
        found = analytics_response(analytics.overview(connection, wanted))
    done = completed(chosen_rows(rows, wanted))
    shares = {getattr(item, f"{side}_id"): item for item in getattr(found, f"by_{side}")}
    assert set(shares) == {getattr(one, side) for _, one in done}
    for name, share in shares.items():
        own = [row for row in done if getattr(row[1], side) == name]
        assert (share.job_count, share.pass_count) == (len(own), passes(own))
        assert share.fail_count == sum(one.decision == "fail" for _, one in own)
        assert share.avg_score == near(mean(own))


@pytest.mark.parametrize("wanted", FILTERS)
def test_compliance_is_the_truth(many: tuple[Database, list[Row]], wanted: ScoreFilter) -> None:
    database, rows = many
    with database.read() as connection:
        found = compliance_response(analytics.compliance(connection, wanted))
    done = completed(chosen_rows(rows, wanted))
    half = len(done) // 2
    assert (found.total_jobs, found.pass_count) == (len(done), passes(done))
    assert found.compliance_rate == near(passes(done) / len(done) if done else None)
    move = passes(done[half:]) / len(done[half:]) - passes(done[:half]) / half if half else 0.0
    told = "improving" if move > 0.05 else "declining" if move < -0.05 else "stable"
    assert found.trend_direction == told
    able = {
        name: passes(own) / len(own)
        for name in {one.operator for _, one in done} - {None}
        if len(own := [row for row in done if row[1].operator == name]) >= 3
    }
    top = [item.operator_id for item in found.top_operators]
    assert sorted(top) == sorted(able)
    assert [able[name] for name in top] == sorted(able.values(), reverse=True)
    assert [item.operator_id for item in found.bottom_operators] == top[::-1]


ISSUES: dict[str, Callable[[Fate], bool]] = {
    "miss_rate": lambda fate: fate.missing,
    "deviation_rate": lambda fate: fate.deviating,
    "swap_rate": lambda fate: fate.swapped,
    "over_time_rate": lambda fate: fate.over_time,
    "any_issue_rate": lambda fate: fate.missing or fate.deviating or fate.swapped or fate.over_time,
}


@pytest.mark.parametrize("wanted", [one for one in FILTERS if one.task_id])
def test_the_steps_are_the_truth(many: tuple[Database, list[Row]], wanted: ScoreFilter) -> None:
    database, rows = many
    with database.read() as connection:
        found = steps_performance(analytics.step_figures(connection, wanted))
    done = completed(chosen_rows(rows, wanted))
    assert found.total_jobs == len(done)
    indices = range(max((len(one.steps) for _, one in done), default=0))
    assert [step.step_index for step in found.steps] == list(indices)
    worst: dict[int, float] = {}
    for step in found.steps:
        fates = [one.steps[step.step_index] for _, one in done if len(one.steps) > step.step_index]
        assert step.job_count == len(fates)
        for name, is_so in ISSUES.items():
            assert getattr(step, name) == near(sum(map(is_so, fates)) / len(fates))
        taken = [fate.actual_sec for fate in fates if fate.actual_sec is not None]
        assert step.avg_actual_sec == near(statistics.fmean(taken) if taken else None)
        worst[step.step_index] = sum(map(ISSUES["any_issue_rate"], fates)) / len(fates)
    assert found.hardest_step_index == (max(worst, key=lambda k: worst[k]) if worst else None)


def test_only_the_latest_500_scores_are_looked_at_for_steps(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert analytics.STEP_SCORES == 500
    monkeypatch.setattr(analytics, "STEP_SCORES", 3)
    bad, good = (Fate(missing=True),), (Fate(),)
    # Stored in another order than they were completed.
    filled(database, [Made(steps=good if n >= 5 else bad, minute=n) for n in (7, 0, 5, 1, 6, 2)])
    with database.read() as connection:
        found = analytics.step_figures(connection, ScoreFilter())
    assert (found.total_jobs, found.counts[0].miss_count) == (3, 0)


@pytest.mark.parametrize("limit", [1, 4, 5, 20, 100])
def test_a_trend_keeps_the_latest_and_honours_its_limit(
    many: tuple[Database, list[Row]], limit: int
) -> None:
    """Fault 40: the limit was ignored and the oldest 20 were kept."""
    database, rows = many
    wanted = ScoreFilter(operator_id="op-1")
    with database.read() as connection:
        found = trend_response("op-1", analytics.operator_trend(connection, wanted, limit))
    done = completed(chosen_rows(rows, wanted))
    kept = done[-limit:]
    assert [job.job_id for job in found.jobs] == [row[0] for row in kept]
    assert (found.job_count, found.total_jobs) == (len(kept), len(done))
    assert found.latest_decision == done[-1][1].decision
    assert found.avg_score == near(mean(kept))
    assert found.team_avg == near(mean(completed(rows)))


def test_a_period_compares_moments_not_texts(database: Database) -> None:
    """Fault 40: a stored moment with T and zone was compared with one without."""
    filled(database, [Made(minute=0), Made(minute=1), Made(minute=60 * 24)])
    edge = START + timedelta(minutes=1)
    with database.read() as connection:
        after = analytics.overview(connection, ScoreFilter(since=text_of(edge)))
        before = analytics.overview(connection, ScoreFilter(until=text_of(edge)))
    assert (after.total.job_count, before.total.job_count) == (2, 1)


def test_a_corrected_video_moves_its_scores(database: Database) -> None:
    filled(database, [Made(site="nroth", operator=None), Made()])
    with database.write() as connection:
        correct = videos.update().where(videos.c.site_id == "nroth")
        connection.execute(correct.values(site_id="north", operator_id_hash="op-1"))
    with database.read() as connection:
        found = analytics.overview(connection, ScoreFilter(site_id="north"))
        trend = analytics.operator_trend(connection, ScoreFilter(operator_id="op-1"), 20)
    assert [(share.name, share.tally.job_count) for share in found.by_site] == [("north", 2)]
    assert len(trend.points) == 2


def test_an_ensemble_counts_only_where_its_execution_has_no_own_score(database: Database) -> None:
    alone = Made(kind="ensemble", score=50.0, steps=(Fate(missing=True),))
    both = Made(score=80.0, steps=(Fate(),), minute=1)
    filled(database, [both])
    with database.read() as connection:
        video_id = connection.execute(videos.select()).one().id
    filled(database, [replace(alone, video_id=video_id), alone])
    with database.read() as connection:
        found = analytics.overview(connection, ScoreFilter())
        steps = analytics.step_figures(connection, ScoreFilter())
    assert sorted(point.score for point in found.recent) == [50.0, 80.0]
    assert (found.total.job_count, found.open_count) == (2, 0)
    assert (steps.total_jobs, steps.counts[0].miss_count) == (2, 1)


def test_an_unfinished_score_leaves_the_ensemble_in(database: Database) -> None:
    filled(database, [Made(score=None)])
    with database.read() as connection:
        video_id = connection.execute(videos.select()).one().id
    filled(database, [Made(kind="ensemble", score=50.0, video_id=video_id)])
    with database.read() as connection:
        found = analytics.overview(connection, ScoreFilter())
    assert (found.total.job_count, found.open_count) == (1, 1)


def test_steps_and_projection_take_one_task_the_latest(database: Database) -> None:
    filled(
        database,
        [
            Made(task="other", steps=(Fate(),) * 4, minute=0),
            Made(task="pilot_task", steps=(Fate(),) * 2, minute=2),
            Made(task="other", steps=(Fate(),) * 4, minute=1),
        ],
    )
    wanted = ScoreFilter(operator_id="op-1")
    with database.read() as connection:
        steps = analytics.step_figures(connection, ScoreFilter())
        projection = analytics.operator_projection(connection, load_settings(), wanted)
        advice = analytics.operator_advice(connection, wanted)
    assert (steps.task_id, len(steps.counts)) == ("pilot_task", 2)
    assert (projection.task_id, len(projection.points)) == ("pilot_task", 1)
    assert (advice.task_id, advice.job_count) == ("pilot_task", 1)


def test_a_projection_reads_the_scores_in_the_order_of_time(database: Database) -> None:
    filled(database, [Made(score=30.0 + 5 * n, decision="retrain", minute=n) for n in (3, 0, 2, 1)])
    with database.read() as connection:
        found = analytics.operator_projection(
            connection, load_settings(), ScoreFilter(operator_id="op-1")
        )
    answer = projection_response("op-1", found)
    assert answer.scores == [30.0, 35.0, 40.0, 45.0]
    assert (answer.latest_score, answer.trend_slope, answer.trajectory) == (45.0, 5.0, "improving")
    assert answer.projected_scores == [50.0, 55.0, 60.0, 65.0, 70.0]
    assert (answer.is_certified, answer.evaluations_to_certification) == (False, 3)


@pytest.mark.parametrize(
    ("last", "is_certified"),
    [
        (Made(score=60.0), True),
        (Made(score=59.99), False),
        (Made(score=90.0, decision="fail"), False),
    ],
)
def test_certified_is_a_pass_at_the_mark_in_force(
    database: Database, last: Made, is_certified: bool
) -> None:
    filled(database, [last])
    with database.read() as connection:
        found = analytics.operator_projection(
            connection, load_settings(), ScoreFilter(operator_id="op-1")
        )
    assert found.is_certified is is_certified


def test_a_slow_step_is_recommended_with_its_number(database: Database) -> None:
    """Fault 42: over-time was never recommended, because it had no step."""
    slow = (Fate(), Fate(over_time=True))
    filled(database, [Made(steps=slow), Made(steps=slow), Made(steps=(Fate(), Fate()))])
    with database.read() as connection:
        found = analytics.operator_advice(connection, ScoreFilter(operator_id="op-1"))
    [item] = recommendations_response("op-1", found).recommendations
    assert (item.step_index, item.issue_type, item.count) == (1, "over_time", 2)
    assert (item.frequency, item.priority) == (0.6667, "critical")


def test_steps_of_the_trainee_include_the_first_and_the_last(database: Database) -> None:
    """Fault 13: the gold's steps were measured, and the first and last were left out."""
    taken = (Fate(actual_sec=2.0), Fate(actual_sec=3.0), Fate(actual_sec=7.0))
    filled(database, [Made(steps=taken)])
    with database.read() as connection:
        found = steps_performance(analytics.step_figures(connection, ScoreFilter()))
    assert [step.avg_actual_sec for step in found.steps] == [2.0, 3.0, 7.0]


def test_nothing_gives_whole_answers_without_numbers(database: Database) -> None:
    with database.read() as connection:
        overview = analytics_response(analytics.overview(connection, ScoreFilter()))
        passes_of = compliance_response(analytics.compliance(connection, ScoreFilter()))
        steps = steps_performance(analytics.step_figures(connection, ScoreFilter()))
        mine = ScoreFilter(operator_id="nobody")
        trend = trend_response("nobody", analytics.operator_trend(connection, mine, 20))
        projection = projection_response(
            "nobody", analytics.operator_projection(connection, load_settings(), mine)
        )
        advice = recommendations_response("nobody", analytics.operator_advice(connection, mine))
    assert (overview.total_jobs, overview.avg_score, overview.by_operator) == (0, None, [])
    assert [item.count for item in overview.score_distribution] == [0, 0, 0, 0]
    assert (passes_of.compliance_rate, passes_of.trend_direction) == (None, "stable")
    assert (steps.total_jobs, steps.steps, steps.hardest_step_index) == (0, [], None)
    assert (trend.job_count, trend.jobs, trend.moving_avg, trend.team_avg) == (0, [], [], None)
    assert (projection.model_type, projection.projected_scores) == ("insufficient_data", [])
    assert (projection.trajectory, projection.evaluations_to_certification) == (None, None)
    assert (advice.overall_assessment, advice.recommendations) == ("データなし", [])


def test_an_answer_is_kept_until_something_changes(database: Database) -> None:
    memo, made = Memo(), []

    def make() -> int:
        made.append(len(made))
        return made[-1]

    with database.read() as connection:
        assert [memo.get(connection, "question", make) for _ in range(3)] == [0, 0, 0]
        assert memo.get(connection, "another", make) == 1
    filled(database, [Made()])
    with database.read() as connection:
        assert [memo.get(connection, "question", make) for _ in range(2)] == [2, 2]


def test_only_the_last_answers_are_kept(database: Database) -> None:
    memo, made = Memo(size=2), []
    with database.read() as connection:
        for question in ("a", "b", "a", "c", "a", "b"):
            memo.get(connection, question, lambda question=question: made.append(question))
    assert made == ["a", "b", "c", "b"]
