"""Counts of completed scores by task, site, operator and dekad, and which of them are out of date.

A cell is one task, site, operator and dekad (days 1-10, 11-20, the rest of a month). Triggers mark
the cells that a change touches, in the transaction of the change, so they see every writer, cascade
and restore; `sop.cells` counts marked cells anew. All of it can be made from the other tables, so
it stands outside of the schema: a copy of rows leaves it out, and the triggers of the target mark
what arrives there.

A later migration that makes `scores`, `videos` or `score_reviews` anew (SQLite: a batch) must call
`drop_score_cells` before and `create_score_cells` after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Column, Connection, Float, Index, Integer, MetaData, String, Table, select

from sopilot.store.lexical import SCORE_CELLS

_own = MetaData()

score_cells = Table(
    SCORE_CELLS,
    _own,
    Column("id", Integer, primary_key=True),
    Column("task_id", String(128), nullable=False),
    Column("site_id", String(128)),
    Column("operator_id_hash", String(128)),
    Column("dekad", String(10), nullable=False),
    Column("job_count", Integer, nullable=False),
    Column("score_sum", Float, nullable=False),
    Column("min_score", Float, nullable=False),
    Column("max_score", Float, nullable=False),
    Column("pass_count", Integer, nullable=False),
    Column("fail_count", Integer, nullable=False),
    Column("needs_review_count", Integer, nullable=False),
    Column("retrain_count", Integer, nullable=False),
    Column("from_90_count", Integer, nullable=False),
    Column("from_80_count", Integer, nullable=False),
    Column("from_70_count", Integer, nullable=False),
    Index(f"ix_{SCORE_CELLS}_operator", "operator_id_hash", "site_id", "task_id", "dekad"),
    Index(f"ix_{SCORE_CELLS}_site", "site_id", "dekad"),
)
"""dekad: its first day, `2026-02-11`, of the completion. Site and operator: of the trainee's video.
A cell without a score has no row."""

score_cell_reviews = Table(
    f"{SCORE_CELLS}_reviews",
    _own,
    Column("id", Integer, primary_key=True),
    Column("task_id", String(128), nullable=False),
    Column("site_id", String(128)),
    Column("operator_id_hash", String(128)),
    Column("dekad", String(10), nullable=False),
    Column("verdict", String(16), nullable=False),
    Column("count", Integer, nullable=False),
    Column("agree_count", Integer, nullable=False),
    Index(f"ix_{SCORE_CELLS}_reviews", "operator_id_hash", "site_id", "task_id", "dekad"),
)
"""Reviews of the scores of a cell by verdict; agree_count: they say what the program decided."""

stale_cells = Table(
    f"{SCORE_CELLS}_stale",
    _own,
    Column("id", Integer, primary_key=True),
    Column("task_id", String(128)),
    Column("site_id", String(128)),
    Column("operator_id_hash", String(128)),
    Column("dekad", String(10)),
    Index(f"ix_{SCORE_CELLS}_stale", "dekad", "operator_id_hash", "task_id", "site_id"),
)
"""Cells to count anew; dekad None: all. On a server a cell may stand here more than once: leaving
a mark out because of one that is just being removed would lose it."""


def dekad_of(moment: str) -> str:
    """SQL for the dekad of a stored moment that an expression gives."""
    day = f"substr({moment}, 9, 2)"
    first = f"CASE WHEN {day} < '11' THEN '01' WHEN {day} < '21' THEN '11' ELSE '21' END"
    return f"substr({moment}, 1, 8) || {first}"


_DEKAD = dekad_of("s.completed_at")
_OLD_DEKAD = dekad_of("old.completed_at")


_KNOWN = (
    f"AND NOT EXISTS (SELECT 1 FROM {stale_cells.name} WHERE dekad IS NULL) "
    f"EXCEPT SELECT task_id, site_id, operator_id_hash, dekad FROM {stale_cells.name}"
)
_WATCHED = ("scores", "videos", "score_reviews")
_COUNTED = "task_id, trainee_video_id, score, decision, kind, completed_at"
_MARK = f"INSERT INTO {stale_cells.name} (task_id, site_id, operator_id_hash, dekad)"
_MARK_ALL = f"INSERT INTO {stale_cells.name} (dekad) VALUES (NULL);"


def create_score_cells(connection: Connection) -> None:
    """Make tables and triggers; all cells are marked."""
    _own.create_all(connection, checkfirst=False)
    is_sqlite = connection.dialect.name == "sqlite"
    for statement in _sqlite_triggers() if is_sqlite else _server_triggers():
        connection.exec_driver_sql(statement)
    mark_all(connection)


def drop_score_cells(connection: Connection) -> None:
    """Drop triggers and tables; nothing is lost that `create_score_cells` does not bring back."""
    for table in _WATCHED:
        if connection.dialect.name == "sqlite":
            for suffix in ("in", "change", "out"):
                connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {SCORE_CELLS}_{table}_{suffix}")
        else:
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {SCORE_CELLS}_{table}() CASCADE")
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {SCORE_CELLS}_emptied() CASCADE")
    _own.drop_all(connection)


def mark_all(connection: Connection) -> None:
    """Let every cell be counted anew."""
    connection.execute(stale_cells.insert().values(dekad=None))


def are_current(connection: Connection) -> bool:
    """Is no cell marked, as this connection sees it?"""
    return connection.execute(_ANY_STALE).first() is None


_ANY_STALE = select(stale_cells.c.id).limit(1)


def _of_video(row: str) -> str:
    """Mark the cells of all scores of a score's video: an ensemble counts by what stands beside."""
    return (
        f"{_MARK} SELECT s.task_id, v.site_id, v.operator_id_hash, {_DEKAD} "
        f"FROM scores s JOIN videos v ON v.id = s.trainee_video_id "
        f"WHERE s.trainee_video_id = {row}.trainee_video_id AND s.completed_at IS NOT NULL;"
    )


_OLD_SCORE = (
    f"{_MARK} SELECT old.task_id, v.site_id, v.operator_id_hash, {_OLD_DEKAD} "
    "FROM videos v WHERE v.id = old.trainee_video_id AND old.completed_at IS NOT NULL;"
)


def _of_moved_video(row: str) -> str:
    return (
        f"{_MARK} SELECT s.task_id, {row}.site_id, {row}.operator_id_hash, "
        f"{_DEKAD} FROM scores s "
        f"WHERE s.trainee_video_id = {row}.id AND s.completed_at IS NOT NULL;"
    )


def _of_reviewed(row: str) -> str:
    return (
        f"{_MARK} SELECT s.task_id, v.site_id, v.operator_id_hash, {_DEKAD} "
        f"FROM scores s JOIN videos v ON v.id = s.trainee_video_id "
        f"WHERE s.id = {row}.score_id AND s.completed_at IS NOT NULL;"
    )


_BODIES = {
    ("scores", "INSERT"): _of_video("new"),
    ("scores", "UPDATE"): f"{_OLD_SCORE} {_of_video('old')} {_of_video('new')}",
    ("scores", "DELETE"): f"{_OLD_SCORE} {_of_video('old')}",
    ("videos", "UPDATE"): f"{_of_moved_video('old')} {_of_moved_video('new')}",
    ("score_reviews", "INSERT"): _of_reviewed("new"),
    ("score_reviews", "UPDATE"): f"{_of_reviewed('old')} {_of_reviewed('new')}",
    ("score_reviews", "DELETE"): _of_reviewed("old"),
}
_COLUMNS = {
    "scores": f" OF {_COUNTED}",
    "videos": " OF site_id, operator_id_hash",
    "score_reviews": " OF score_id, verdict",
}
_AS_OWNER = "SECURITY DEFINER SET search_path FROM CURRENT"
"""On a server other accounts and search paths may write into the tables, and know of no cells."""
_SUFFIXES = {"INSERT": "in", "UPDATE": "change", "DELETE": "out"}


def _sqlite_triggers() -> Iterator[str]:
    for (table, event), body in _BODIES.items():
        # One writer at a time: a mark that stands already is enough. (No OR IGNORE: what it does
        # in a trigger is for the statement outside to say.)
        body = body.replace(";", f" {_KNOWN};")
        columns = _COLUMNS[table] if event == "UPDATE" else ""
        yield (
            f"CREATE TRIGGER {SCORE_CELLS}_{table}_{_SUFFIXES[event]} "
            f"AFTER {event}{columns} ON {table} BEGIN {body} END"
        )


def _server_triggers() -> Iterator[str]:
    for table in _WATCHED:
        name = f"{SCORE_CELLS}_{table}"
        bodies = [(event, body) for (of, event), body in _BODIES.items() if of == table]
        parts = " ".join(f"IF TG_OP = '{event}' THEN {body} END IF;" for event, body in bodies)
        yield (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql {_AS_OWNER} AS $$ BEGIN "
            f"{parts} RETURN NULL; END $$"
        )
        for event, _ in bodies:
            columns = _COLUMNS[table] if event == "UPDATE" else ""
            yield (
                f"CREATE TRIGGER {name}_{_SUFFIXES[event]} AFTER {event}{columns} ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {name}()"
            )
    emptied = f"{SCORE_CELLS}_emptied"
    yield (
        f"CREATE FUNCTION {emptied}() RETURNS trigger LANGUAGE plpgsql {_AS_OWNER} AS $$ BEGIN "
        f"{_MARK_ALL} RETURN NULL; END $$"
    )
    for table in _WATCHED:
        yield (
            f"CREATE TRIGGER {emptied} AFTER TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {emptied}()"
        )
