"""The audit log: read it, export it signed."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import FileResponse

from sopilot.api.auth import Access, Admin, GuardedRoute, Viewer, require
from sopilot.api.deps import RuntimeDep, answer, failures
from sopilot.api.schemas_audit import (
    AuditExportMade,
    TrailQuery,
    TrailResponse,
    export_made,
    trail_response,
)
from sopilot.ops.audit_export import ID_PATTERN, MOST_ITEMS, export_trail, find_export
from sopilot.ops.audit_trail import read_trail

router = APIRouter(prefix="/audit", tags=["audit"], route_class=GuardedRoute)

ExportId = Annotated[str, Path(pattern=ID_PATTERN, description="From POST /audit/export.")]
_FILE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/json": {"schema": {"type": "object"}}}, "description": "File."}
}


@router.get(
    "/trail",
    summary="Read the audit log",
    response_model=TrailResponse,
    responses=failures(422),
)
def get_trail(who: Viewer, runtime: RuntimeDep, query: Annotated[TrailQuery, Query()]) -> Response:
    """What was done, by whom, newest first; `SOPILOT_AUDIT_TRAIL_ROLE` may ask for more."""
    require(who, Access[runtime.settings.audit_trail_role.upper()])
    with runtime.database.read() as connection:
        items = read_trail(connection, query.chosen, query.limit + 1)
    return answer(trail_response(items, query.limit))


@router.post("/export", summary="Export the audit log, signed", responses=failures(422, 507))
def export(
    who: Admin,
    runtime: RuntimeDep,
    limit: Annotated[int, Query(ge=1, le=MOST_ITEMS, description="Rows, the newest.")] = 500,
    before_seq: Annotated[
        int | None, Query(ge=1, le=2**31 - 1, description="Only rows older than this one.")
    ] = None,
) -> AuditExportMade:
    """A file whose signature shows any change; 503 without SOPILOT_AUDIT_SIGNING_KEY."""
    made = export_trail(runtime, who.by, limit=limit, before_seq=before_seq)
    return export_made(made, made.path.relative_to(runtime.blobs.root).as_posix())


@router.get(
    "/export/{export_id}/file",
    summary="Download an audit export",
    response_class=FileResponse,
    responses=_FILE | failures(404, 422),
)
def get_export_file(export_id: ExportId, _: Admin, runtime: RuntimeDep) -> FileResponse:
    """The file byte for byte, for `sopilot audit verify`."""
    path = find_export(runtime, export_id)
    return FileResponse(path, media_type="application/json", filename=path.name)
