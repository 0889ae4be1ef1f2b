"""Figures from kept counts are those of counting every score, after every kind of change."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from score_rows import DECISIONS, START, Made, random_scores, store
from sqlalchemy import Connection, func, select

from sopilot.core.errors import StoreError
from sopilot.sop import analytics, cells
from sopilot.sop.analytics_queries import ScoreFilter
from sopilot.sop.tally import Tally, by_operator, by_site, total_of
from sopilot.store import score_cells
from sopilot.store.engine import Database
from sopilot.store.tables import score_reviews, score_steps, scores, videos
from sopilot.store.times import text_of
from sopilot.store.transfer import copy_rows, delete_rows
from sopilot.store.upsert import upsert

OPERATORS, SITES = (None, "op-1", "op-2", "オペ3"), (None, "north", "south")
DAYS = 24 * 60
MONTH_START = text_of(START + timedelta(days=31))
FILTERS = [
    ScoreFilter(),
    ScoreFilter(task_id="pilot_task"),
    ScoreFilter(site_id="north"),
    ScoreFilter(operator_id="オペ3"),
    ScoreFilter(task_id="other", site_id="south", operator_id="op-1"),
    ScoreFilter(since=text_of(START + timedelta(days=20))),
    ScoreFilter(until=text_of(START + timedelta(days=70)), site_id="south"),
    ScoreFilter(since=MONTH_START, until=text_of(START + timedelta(days=59)), task_id="other"),
    ScoreFilter(
        since=text_of(START + timedelta(days=5)),
        until=text_of(START + timedelta(days=100)),
        operator_id="op-1",
    ),
    ScoreFilter(
        since=text_of(START + timedelta(days=33)), until=text_of(START + timedelta(days=35))
    ),
    ScoreFilter(task_id="no such task"),
]


def spread(seed: int, count: int) -> list[Made]:
    """Scores of about four months."""
    dice = random.Random(seed)
    return [replace(one, minute=dice.randrange(120 * DAYS)) for one in random_scores(seed, count)]


def figures(connection: Connection, chosen: ScoreFilter) -> list[object]:
    """All that is put together from counts; sums of points to nine digits: their order differs."""
    groups = cells.count_groups(connection, chosen)
    done = cells.count_completed(connection, chosen)
    average = cells.average_score(connection, chosen)
    return [
        [_rounded(total_of(groups))],
        [(share.name, _rounded(share.tally)) for share in by_operator(groups)],
        [(share.name, _rounded(share.tally)) for share in by_site(groups)],
        cells.count_verdicts(connection, chosen),
        done,
        None if average is None else round(average, 9),
        [cells.earliest_passes(connection, chosen, n) for n in (0, 1, done // 2, done, done + 1)],
    ]


def _rounded(tally: Tally) -> Tally:
    return tally._replace(score_sum=round(tally.score_sum, 6))


def assert_true(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refreshed and kept counts give what counting score by score gives."""
    cells.refresh(database)
    with database.read() as connection:
        assert score_cells.are_current(connection)
        fast = [figures(connection, chosen) for chosen in FILTERS]
        with monkeypatch.context() as patch:
            patch.setattr(cells, "are_current", lambda connection: False)
            anew = [figures(connection, chosen) for chosen in FILTERS]
    assert fast == anew


def _pick(connection: Connection, dice: random.Random) -> int:
    return dice.choice(list(connection.execute(select(scores.c.id)).scalars()))


def _add(connection: Connection, dice: random.Random) -> None:
    store(connection, spread(dice.randrange(10**6), 1))


def _rerun(connection: Connection, dice: random.Random) -> None:
    """A score, or an ensemble, of a video that may have some."""
    row = connection.execute(select(scores).where(scores.c.id == _pick(connection, dice))).one()
    [made] = spread(dice.randrange(10**6), 1)
    kind = dice.choice(["score", "ensemble"])
    store(connection, [replace(made, kind=kind, video_id=row.trainee_video_id)])


def _complete(connection: Connection, dice: random.Random) -> None:
    """Give a job that has no result one, as the worker does."""
    at = text_of(START + timedelta(minutes=dice.randrange(120 * DAYS)))
    waiting = select(scores.c.id).where(scores.c.completed_at.is_(None)).limit(1).scalar_subquery()
    given = {"score": 71.5, "decision": dice.choice(DECISIONS), "completed_at": at}
    connection.execute(scores.update().where(scores.c.id == waiting).values(given))


def _decide_anew(connection: Connection, dice: random.Random) -> None:
    task = dice.choice(["pilot_task", "other"])
    low = (scores.c.task_id == task) & (scores.c.score < dice.uniform(20, 90))
    connection.execute(scores.update().where(low).values(decision=dice.choice(DECISIONS)))


def _review(connection: Connection, dice: random.Random) -> None:
    score_id, now = _pick(connection, dice), text_of(START)
    row = {"verdict": dice.choice(DECISIONS), "reviewer": "t", "created_at": now, "updated_at": now}
    upsert(connection, score_reviews, ("score_id",), {"score_id": score_id, **row})


def _unreview(connection: Connection, dice: random.Random) -> None:
    of_score = score_reviews.c.score_id == _pick(connection, dice)
    connection.execute(score_reviews.delete().where(of_score))


def _delete_score(connection: Connection, dice: random.Random) -> None:
    """Its steps and review go with it, by the database."""
    connection.execute(scores.delete().where(scores.c.id == _pick(connection, dice)))


def _delete_video(connection: Connection, dice: random.Random) -> None:
    row = connection.execute(select(scores).where(scores.c.id == _pick(connection, dice))).one()
    of_video = scores.c.trainee_video_id == row.trainee_video_id
    connection.execute(scores.delete().where(of_video))
    connection.execute(videos.delete().where(videos.c.id == row.trainee_video_id))


def _correct_video(connection: Connection, dice: random.Random) -> None:
    row = connection.execute(select(scores).where(scores.c.id == _pick(connection, dice))).one()
    said = {"operator_id_hash": dice.choice(OPERATORS), "site_id": dice.choice(SITES)}
    one = videos.c.id == row.trainee_video_id
    connection.execute(videos.update().where(one).values(said))


def _move_task(connection: Connection, dice: random.Random) -> None:
    one = scores.c.id == _pick(connection, dice)
    connection.execute(scores.update().where(one).values(task_id="other"))


CHANGES: tuple[Callable[[Connection, random.Random], None], ...] = (
    _add,
    _rerun,
    _complete,
    _decide_anew,
    _review,
    _unreview,
    _delete_score,
    _delete_video,
    _correct_video,
    _move_task,
)


@pytest.mark.parametrize("seed", [1, 2])
def test_after_any_changes_the_figures_are_the_truth(
    database: Database, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    with database.write() as connection:
        store(connection, spread(seed, 50))
    assert_true(database, monkeypatch)
    for change in [*CHANGES, *dice.choices(CHANGES, k=20)]:
        with database.write() as connection:
            change(connection, dice)
        assert_true(database, monkeypatch)


def test_an_own_score_takes_an_ensemble_of_another_dekad_out(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.write() as connection:
        store(connection, [Made(kind="ensemble", score=50.0, minute=0)])
        video_id = connection.execute(videos.select()).one().id
    assert_true(database, monkeypatch)
    with database.write() as connection:
        store(connection, [Made(score=80.0, minute=45 * DAYS, video_id=video_id)])
    assert_true(database, monkeypatch)
    with database.read() as connection:
        assert cells.average_score(connection, ScoreFilter()) == 80.0


def test_one_change_makes_the_cells_of_one_video_stale(database: Database) -> None:
    with database.write() as connection:
        store(connection, spread(3, 60))
    cells.refresh(database)
    with database.write() as connection:
        _decide = scores.update().where(scores.c.id == 1).values(decision="fail", score=1.0)
        connection.execute(_decide.values(completed_at=text_of(START)))
    with database.read() as connection:
        of = score_cells.stale_cells.c
        marked = set(connection.execute(select(of.task_id, of.dekad)))
        assert 1 <= len(marked) <= 2
        assert None not in {row.dekad for row in marked}
        assert not score_cells.are_current(connection)
    cells.refresh(database)
    with database.read() as connection:
        assert score_cells.are_current(connection)


def test_marks_of_a_cell_do_not_pile_up_in_a_file(sqlite_database: Database) -> None:
    cells.refresh(sqlite_database)
    with sqlite_database.write() as connection:
        store(connection, [Made(site=None), Made(site=""), Made(site=None), Made(site=None)])
        of = score_cells.stale_cells.c
        marked = [tuple(row) for row in connection.execute(select(of.site_id, of.dekad))]
    assert sorted(marked, key=repr) == [("", "2026-01-01"), (None, "2026-01-01")]


def test_what_was_rolled_back_marks_nothing(database: Database) -> None:
    cells.refresh(database)

    def fail_after_storing() -> None:
        with database.write() as connection:
            store(connection, [Made()])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_storing()
    with database.read() as connection:
        assert score_cells.are_current(connection)


def test_a_change_behind_the_refresh_is_not_overlooked(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between refresh and question: everything is counted score by score then."""
    cells.refresh(database)
    with database.write() as connection:
        store(connection, [Made(score=80.0), Made(score=60.0)])
    with database.read() as connection:
        found = analytics.overview(connection, ScoreFilter())
    assert (found.total.job_count, found.total.avg_score) == (2, 70.0)


def test_figures_are_right_where_nothing_can_be_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(connection: Connection) -> None:
        raise StoreError("the disk is full")

    with database.write() as connection:
        store(connection, [Made(score=80.0)])
    monkeypatch.setattr(cells, "count_marked", full)
    cells.refresh(database)
    with database.read() as connection:
        assert analytics.overview(connection, ScoreFilter()).total.job_count == 1


def test_rows_that_are_replaced_as_a_whole_are_counted_anew(
    database: Database, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a restore does it: every table emptied, then filled from another database."""
    from sopilot.store.engine import open_database

    other = open_database(f"sqlite:///{tmp_path_factory.mktemp('other') / 'sopilot.db'}")
    with other.write() as connection:
        store(connection, spread(5, 30))
    with database.write() as connection:
        store(connection, spread(4, 30))
    assert_true(database, monkeypatch)
    with other.snapshot() as source, database.write() as connection:
        delete_rows(connection)
        copy_rows(source, connection)
    other.close()
    assert_true(database, monkeypatch)
    with database.write() as connection:
        delete_rows(connection)
    assert_true(database, monkeypatch)
    with database.read() as connection:
        left = select(func.count()).select_from(score_cells.score_cells)
        assert connection.execute(left).scalar_one() == 0
        assert connection.execute(select(func.count()).select_from(score_steps)).scalar_one() == 0


def test_many_marked_cells_are_counted_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells, "MOST_CELLS", 2)
    with database.write() as connection:
        store(connection, spread(6, 40))
    assert_true(database, monkeypatch)


@pytest.mark.parametrize(
    ("since", "until", "dekads", "rests"),
    [
        (None, None, (None, None), []),
        ("2026-01-01", None, ("2026-01-01", None), []),
        ("2026-01-02", None, ("2026-01-11", None), [("2026-01-02", "2026-01-11")]),
        ("2026-02-28", None, ("2026-03-01", None), [("2026-02-28", "2026-03-01")]),
        (None, "2026-12-31", (None, "2026-12-21"), [("2026-12-21", "2026-12-31")]),
        ("2025-12-31", "2026-01-01", None, [("2025-12-31", "2026-01-01")]),
        ("2026-01-02", "2026-01-13", None, [("2026-01-02", "2026-01-13")]),
        ("2026-01-02", "2026-01-03", None, [("2026-01-02", "2026-01-03")]),
        ("2026-01-11", "2026-01-21", ("2026-01-11", "2026-01-21"), []),
        (
            "2025-12-31",
            "2026-01-22",
            ("2026-01-01", "2026-01-21"),
            [("2025-12-31", "2026-01-01"), ("2026-01-21", "2026-01-22")],
        ),
    ],
)
def test_a_period_falls_into_dekads_and_rests(
    since: str | None,
    until: str | None,
    dekads: tuple[str | None, str | None] | None,
    rests: list[tuple[str, str]],
) -> None:
    def moment(day: str | None) -> str | None:
        return None if day is None else f"{day}T00:00:00.000000+00:00"

    def period(first: str | None, end: str | None) -> ScoreFilter:
        return ScoreFilter(site_id="north", since=moment(first), until=moment(end))

    whole, cut = cells.whole_dekads(period(since, until))
    assert whole == (None if dekads is None else period(*dekads))
    assert cut == [period(*rest) for rest in rests]
