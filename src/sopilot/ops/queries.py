"""All SQL of operation. Functions take a Connection or an open Database; nobody here commits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import Connection, func, select, text

from sopilot.store.engine import Database
from sopilot.store.faults import file_fault
from sopilot.store.lexical import FTS_TABLE
from sopilot.store.tables import jobs, metadata, videos
from sopilot.store.times import now_text

_PUBLIC_NAMES = {"scores": "score_jobs", "tasks": "task_profiles", "task_steps": "sop_steps"}
"""Tables whose documented name differs from ours."""


def count_rows(connection: Connection) -> dict[str, int]:
    """Rows per table by its documented name; `clips` are those of ready videos."""
    found = {}
    for table in metadata.sorted_tables:
        count = connection.execute(select(func.count()).select_from(table)).scalar_one()
        found[_PUBLIC_NAMES.get(table.name, table.name)] = int(count)
    clips = select(func.sum(videos.c.clip_count)).where(videos.c.status == "ready")
    found["clips"] = int(connection.execute(clips).scalar() or 0)
    return found


def database_size_bytes(database: Database) -> int:
    """Size on disk; on SQLite with the write-ahead log, which may hold most of the data."""
    if not database.is_sqlite:
        with database.read() as connection:
            size = connection.execute(text("SELECT pg_database_size(current_database())"))
            return int(size.scalar_one())
    place = Path(str(database.engine.url.database))
    files = (place.with_name(place.name + suffix) for suffix in ("", "-wal", "-shm"))
    try:
        return sum(path.stat().st_size for path in files if path.exists())
    except OSError as error:
        raise file_fault(error, place) from error


def later_jobs(connection: Connection) -> Mapping[str, int]:
    """Queued jobs per kind that wait for a moment to come, such as the pause before a retry."""
    rows = connection.execute(
        select(jobs.c.kind, func.count())
        .where(jobs.c.state == "queued", jobs.c.run_after > now_text())
        .group_by(jobs.c.kind)
    )
    return {kind: int(count) for kind, count in rows}


def optimize(database: Database) -> None:
    """Give freed space back and renew the planner's statistics. Raises StoreError when locked."""
    # Neither database vacuums inside of a transaction.
    with database.outside_transactions() as connection:
        if database.is_sqlite:
            # Words of deleted texts stand in the index until its parts are put together.
            together = f"INSERT INTO {FTS_TABLE} ({FTS_TABLE}) VALUES ('optimize')"
            for statement in (together, "VACUUM", "ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"):
                connection.exec_driver_sql(statement)
        else:
            connection.exec_driver_sql("VACUUM (ANALYZE)")
