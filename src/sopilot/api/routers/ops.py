"""What operators and their monitoring look at; open to all, without secrets."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from sopilot import __version__
from sopilot.api import health
from sopilot.api.auth import Anyone, GuardedRoute, MaybePrincipal, Monitor
from sopilot.api.deps import RuntimeDep, failures
from sopilot.api.metrics import CONTENT_TYPE, render_metrics
from sopilot.api.schemas import (
    HealthResponse,
    ReadinessResponse,
    RootResponse,
    StatusResponse,
)

router = APIRouter(tags=["operation"], route_class=GuardedRoute)


@router.get("/", summary="Where to look")
async def root(_: Anyone) -> RootResponse:
    """What this is and where its documentation is."""
    return RootResponse(name="SOPilot", version=__version__, docs="/docs", health="/health")


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Health", responses={503: {"model": HealthResponse}})
def get_health(_: Anyone, runtime: RuntimeDep, response: Response) -> HealthResponse:
    """Database, disk and embedder; 503 when unhealthy."""
    found = health.check_health(runtime)
    response.status_code = 503 if found.status == "unhealthy" else 200
    return found


@router.head("/readiness", include_in_schema=False)
@router.get("/readiness", summary="Readiness", responses={503: {"model": ReadinessResponse}})
def get_readiness(_: Anyone, runtime: RuntimeDep, response: Response) -> ReadinessResponse:
    """May requests be sent here? 503 when not."""
    found = health.check_readiness(runtime)
    response.status_code = 200 if found.ready else 503
    return found


@router.get("/status", summary="Status", responses=failures())
def get_status(who: MaybePrincipal, runtime: RuntimeDep) -> StatusResponse:
    """Version, task, embedder and waiting jobs."""
    return health.read_status(runtime, is_known_caller=who is not None)


_TEXT: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": 'sopilot_queue_depth{queue_name="score"} 0.0\n',
            }
        },
        "description": "Prometheus text 0.0.4.",
    }
}


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=PlainTextResponse,
    responses=_TEXT | failures(),
)
def get_metrics(_: Monitor, runtime: RuntimeDep) -> Response:
    """Figures in the Prometheus text format 0.0.4."""
    return Response(render_metrics(runtime), media_type=CONTENT_TYPE)
