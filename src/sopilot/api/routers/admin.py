"""Administration: the database's care and figures, and the state of the queues."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request

from sopilot.api.auth import Admin, GuardedRoute, Operator
from sopilot.api.deps import RuntimeDep, failures
from sopilot.api.queues import read_queues
from sopilot.api.schemas_admin import BackupMade, DatabaseFigures, Optimized, QueueResponse
from sopilot.ops import queries
from sopilot.ops.backup import record_backup
from sopilot.store.audit import Action, record

router = APIRouter(tags=["administration"], route_class=GuardedRoute)


@router.get("/admin/db-stats", summary="Figures of the database", responses=failures())
def get_db_stats(_: Admin, runtime: RuntimeDep) -> DatabaseFigures:
    """Rows per table and the size on disk."""
    with runtime.database.read() as connection:
        counts = queries.count_rows(connection)
    size = queries.database_size_bytes(runtime.database)
    return DatabaseFigures(tables=counts, db_size_bytes=size, db_size_human=_human(size))


@router.post("/admin/backup", summary="Back up the data", responses=failures(409, 422))
def backup(who: Admin, runtime: RuntimeDep) -> BackupMade:
    """A backup in the folder `backups` of the data folder; recorded in the audit log."""
    made = record_backup(runtime, None, who.by)
    name = Path(made["path"]).name
    return BackupMade(
        name=name,
        backup_path=name,
        timestamp=made["created_at"],
        file_count=len(made["files"]),
    )


@router.post("/admin/optimize", summary="Tidy the database", responses=failures())
def optimize(who: Admin, runtime: RuntimeDep) -> Optimized:
    """Give freed space back and renew the statistics; recorded in the audit log."""
    before = queries.database_size_bytes(runtime.database)
    queries.optimize(runtime.database)
    after = queries.database_size_bytes(runtime.database)
    sizes = {"size_before_bytes": before, "size_after_bytes": after}
    with runtime.database.write() as connection:
        record(connection, who.by, Action.DATABASE_OPTIMIZED, "database:main", detail=sizes)
    return Optimized(size_before_bytes=before, size_after_bytes=after)


@router.get("/ops/queue", summary="State of the queues", responses=failures())
def get_queue(_: Operator, request: Request, runtime: RuntimeDep) -> QueueResponse:
    """What waits, runs and ended, per queue; and webhooks, of which dead ones need a person."""
    return read_queues(runtime, has_workers=request.app.state.has_workers)


def _human(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1024:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TB"
