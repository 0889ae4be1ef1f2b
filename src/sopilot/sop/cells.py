"""Figures of many scores put together from counts that are kept, exactly as if counted anew.

The store keeps one cell of counts per task, site, operator and dekad (`store.score_cells`) and its
triggers mark the cells that a change touches. `refresh` counts marked cells anew; then a figure is
the sum of the whole dekads in its period, and only the dekads that the period cuts are counted
score by score. While a cell is marked, everything is counted score by score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    String,
    Table,
    func,
    literal_column,
    select,
    text,
)

from sopilot.core.errors import StoreError
from sopilot.core.log import get_logger
from sopilot.sop import analytics_queries as stored
from sopilot.sop.analytics_queries import COUNTS_ONCE, ScoreFilter, VerdictCount, times_of
from sopilot.sop.tally import Group, Tally
from sopilot.store.engine import Database
from sopilot.store.score_cells import (
    are_current,
    dekad_of,
    score_cell_reviews,
    score_cells,
    stale_cells,
)
from sopilot.store.tables import score_reviews, scores, videos

MOST_CELLS = 300
"""More marked cells than this are not counted one by one: counting all of them costs less."""

_LOCK = 0x43_45_4C_4C  # any fixed number: those who count cells on a server queue up on it
_LAST_MOMENT = "9999-12-31T23:59:59.999999+00:00"
_log = get_logger(__name__)

_KEY = ("task_id", "site_id", "operator_id_hash", "dekad")
_DEKAD = literal_column(dekad_of("scores.completed_at"), String())
# As an expression it is in no index, so that both databases start from the operator's videos.
_DONE_AT_ALL = scores.c.completed_at.concat("")
_COUNTS = [column for column in score_cells.c if column.name not in ("id", *_KEY)]


def refresh(database: Database) -> None:
    """Count the marked cells anew, one transaction; nothing where none is marked.

    A database that does not take it is written to the log: the figures are counted one by one then.
    """
    try:
        with database.read() as connection:
            if are_current(connection):
                return
        with database.write() as connection:
            count_marked(connection)
    except StoreError as error:
        _log.warning("analytics.not_counted", reason=error.message)


def count_marked(connection: Connection) -> None:
    """Count the marked cells anew, in the caller's transaction."""
    if connection.dialect.name != "sqlite":
        # One after the other: who counted earlier must not write later.
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
    # What is marked after this line stays marked.
    gone = connection.execute(
        stale_cells.delete().returning(*(stale_cells.c[name] for name in _KEY))
    )
    marked = {tuple(row) for row in gone}
    if len(marked) > MOST_CELLS or any(row[3] is None for row in marked):
        for table in (score_cells, score_cell_reviews):
            connection.execute(table.delete())
        _count_into(connection, None)
        return
    for row in sorted(marked, key=repr):
        for table in (score_cells, score_cell_reviews):
            of_cell = (table.c[k].is_not_distinct_from(v) for k, v in zip(_KEY, row, strict=True))
            connection.execute(table.delete().where(*of_cell))
        _count_into(connection, row)


def _count_into(connection: Connection, cell: tuple[str | None, ...] | None) -> None:
    """Write the counts of one cell, or of all, whose rows are gone."""
    key = [scores.c.task_id, videos.c.site_id, videos.c.operator_id_hash, _DEKAD.label("dekad")]
    verdicts = [
        score_reviews.c.verdict,
        func.count(),
        times_of(score_reviews.c.verdict == scores.c.decision),
    ]
    by_cell = select(*key, *stored.tally_columns()).select_from(stored.SCORES_FIRST)
    by_verdict = select(*key, *verdicts).select_from(
        stored.SCORES_FIRST.join(score_reviews, score_reviews.c.score_id == scores.c.id)
    )
    if cell is not None and cell[2] is not None:
        by_cell = select(*key, *stored.tally_columns()).select_from(stored.WITH_VIDEO)
        by_verdict = select(*key, *verdicts).select_from(
            stored.WITH_VIDEO.join(score_reviews, score_reviews.c.score_id == scores.c.id)
        )
    conditions = _in_cell(cell)
    # In the order of the index by operator: what is read by it then lies side by side.
    task_id, site_id, operator_id, dekad = key
    parts = [operator_id, site_id, task_id, dekad]
    _insert(connection, score_cells, by_cell.where(*conditions).group_by(*parts))
    grouped = by_verdict.where(*conditions).group_by(*parts, score_reviews.c.verdict)
    _insert(connection, score_cell_reviews, grouped)


def _insert(connection: Connection, table: Table, counted: Select[Any]) -> None:
    names = [column.name for column in table.c if column.name != "id"]
    connection.execute(table.insert().from_select(names, counted))


def _in_cell(cell: tuple[str | None, ...] | None) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [scores.c.completed_at.is_not(None), COUNTS_ONCE]
    if cell is None:
        return conditions
    task_id, site_id, operator_id, dekad = cell
    assert dekad is not None
    done = scores.c.completed_at if operator_id is None else _DONE_AT_ALL
    return [
        *conditions,
        scores.c.task_id == task_id,
        videos.c.site_id.is_not_distinct_from(site_id),
        videos.c.operator_id_hash.is_not_distinct_from(operator_id),
        done >= _start_of(dekad),
        done < _end_of(dekad),
    ]


def count_groups(connection: Connection, chosen: ScoreFilter) -> tuple[Group, ...]:
    """Completed scores by operator and site; a pair may stand there more than once."""
    dekads, rests = _parts(connection, chosen)
    found = [group for rest in rests for group in stored.count_groups(connection, rest)]
    if dekads is not None:
        of = score_cells.c
        sums = [
            func.min(column)
            if column is of.min_score
            else func.max(column)
            if column is of.max_score
            else func.sum(column)
            for column in _COUNTS
        ]
        query = select(of.operator_id_hash, of.site_id, *sums).where(*_about(score_cells, dekads))
        grouped = query.group_by(of.operator_id_hash, of.site_id)
        found += [
            Group(row[0], row[1], _tally(row[2:])) for row in connection.execute(grouped).all()
        ]
    return tuple(found)


def _tally(counts: Sequence[Any]) -> Tally:
    # A server gives sums of whole numbers as Decimal.
    job_count, score_sum, lowest, highest, *others = counts
    return Tally(int(job_count), score_sum, lowest, highest, *map(int, others))


def count_verdicts(connection: Connection, chosen: ScoreFilter) -> tuple[VerdictCount, ...]:
    """Reviews of the completed scores by verdict; a verdict stands there once."""
    dekads, rests = _parts(connection, chosen)
    found = [item for rest in rests for item in stored.count_verdicts(connection, rest)]
    if dekads is not None:
        of = score_cell_reviews.c
        query = select(of.verdict, func.sum(of.count), func.sum(of.agree_count))
        grouped = query.where(*_about(score_cell_reviews, dekads)).group_by(of.verdict)
        found += [
            VerdictCount(row[0], int(row[1]), int(row[2])) for row in connection.execute(grouped)
        ]
    together: dict[str, VerdictCount] = {}
    for item in found:
        known = together.get(item.verdict, VerdictCount(item.verdict, 0, 0))
        together[item.verdict] = VerdictCount(
            item.verdict, known.count + item.count, known.agree_count + item.agree_count
        )
    return tuple(together[verdict] for verdict in sorted(together))


def count_completed(connection: Connection, chosen: ScoreFilter) -> int:
    """Completed scores."""
    return _count_and_sum(connection, chosen)[0]


def average_score(connection: Connection, chosen: ScoreFilter) -> float | None:
    """Mean of the completed scores; None where there is none."""
    count, total = _count_and_sum(connection, chosen)
    return total / count if count else None


def _count_and_sum(connection: Connection, chosen: ScoreFilter) -> tuple[int, float]:
    dekads, rests = _parts(connection, chosen)
    found = [stored.count_and_sum(connection, rest) for rest in rests]
    if dekads is not None:
        of = score_cells.c
        query = select(func.sum(of.job_count), func.sum(of.score_sum))
        row = connection.execute(query.where(*_about(score_cells, dekads))).one()
        found.append((int(row[0] or 0), float(row[1] or 0.0)))
    return sum(count for count, _ in found), sum(total for _, total in found)


def earliest_passes(connection: Connection, chosen: ScoreFilter, count: int) -> int:
    """Passes among the earliest `count` completed scores: whole dekads, then one score by score."""
    dekads, rests = _parts(connection, chosen)
    if dekads is None:
        # At most two pieces that touch each other or are the whole of the period.
        return stored.earliest_passes(connection, chosen, count)
    passes = 0
    for part, part_count, part_passes in _in_order(connection, dekads, rests):
        if part_count > count:
            return passes + stored.earliest_passes(connection, part, count)
        passes, count = passes + part_passes, count - part_count
    return passes


def _in_order(
    connection: Connection, dekads: ScoreFilter, rests: list[ScoreFilter]
) -> Iterator[tuple[ScoreFilter, int, int]]:
    """Filter, scores and passes of every part of a period, the earliest first."""
    before = [rest for rest in rests if rest.until is not None and rest.until == dekads.since]
    for rest in before:
        yield (rest, *stored.count_passes(connection, rest))
    of = score_cells.c
    query = select(of.dekad, func.sum(of.job_count), func.sum(of.pass_count))
    grouped = query.where(*_about(score_cells, dekads)).group_by(of.dekad).order_by(of.dekad)
    for row in connection.execute(grouped).all():
        part = replace(dekads, since=_start_of(row[0]), until=_end_of(row[0]))
        yield part, int(row[1]), int(row[2])
    for rest in rests:
        if rest not in before:
            yield (rest, *stored.count_passes(connection, rest))


def _about(table: Table, dekads: ScoreFilter) -> list[ColumnElement[bool]]:
    """The cells of a filter whose period is whole dekads."""
    conditions: list[ColumnElement[bool]] = []
    if dekads.task_id is not None:
        conditions.append(table.c.task_id == dekads.task_id)
    if dekads.site_id is not None:
        conditions.append(table.c.site_id == dekads.site_id)
    if dekads.operator_id is not None:
        conditions.append(table.c.operator_id_hash == dekads.operator_id)
    if dekads.since is not None:
        conditions.append(table.c.dekad >= dekads.since[:10])
    if dekads.until is not None:
        conditions.append(table.c.dekad < dekads.until[:10])
    return conditions


def _parts(
    connection: Connection, chosen: ScoreFilter
) -> tuple[ScoreFilter | None, list[ScoreFilter]]:
    """The whole dekads of a filter's period, which cells answer, and the rests, in order of time.

    (None, [chosen]) where a cell is marked or the period holds no whole dekad.
    """
    dekads, rests = whole_dekads(chosen)
    if dekads is None or not are_current(connection):
        return None, [chosen]
    return dekads, rests


def whole_dekads(chosen: ScoreFilter) -> tuple[ScoreFilter | None, list[ScoreFilter]]:
    """The whole dekads of a period (None = there is none), and what lies before and after them."""
    since, until = chosen.since, chosen.until
    rests = []
    if since is not None and since != _start_of(_dekad(since)):
        rests.append(replace(chosen, until=_end_of(_dekad(since))))
        since = rests[0].until
    if until is not None and until != _start_of(_dekad(until)):
        rests.append(replace(chosen, since=_start_of(_dekad(until))))
        until = rests[-1].since
    if since is not None and until is not None and since >= until:
        return None, [chosen]
    return replace(chosen, since=since, until=until), rests


def _start_of(dekad: str) -> str:
    return f"{dekad}T00:00:00.000000+00:00"


def _end_of(dekad: str) -> str:
    year, month, day = map(int, dekad.split("-"))
    if day < 21:
        return _start_of(f"{dekad[:8]}{day + 10:02}")
    if month < 12:
        return _start_of(f"{year:04}-{month + 1:02}-01")
    return _LAST_MOMENT if year == 9999 else _start_of(f"{year + 1:04}-01-01")


def _dekad(moment: str) -> str:
    """The dekad of a stored moment."""
    first = "01" if moment[8:10] < "11" else "11" if moment[8:10] < "21" else "21"
    return moment[:8] + first
