"""Search of moments that look like a given one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from sopilot.api.auth import GuardedRoute, Viewer
from sopilot.api.deps import RuntimeDep, failures
from sopilot.api.schemas_search import SearchResponse, search_response
from sopilot.core.errors import InputError
from sopilot.sop.search import similar_moments

router = APIRouter(tags=["search"], route_class=GuardedRoute)

ClipNumber = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Clip, counted from 0.")]


@router.get("/search", summary="Find similar moments", responses=failures(404, 409, 422))
def search(
    _: Viewer,
    runtime: RuntimeDep,
    video_id: Annotated[str, Query(max_length=36, description="Integer id or UUID.")],
    clip_index: ClipNumber = None,
    clip_idx: ClipNumber = None,
    k: Annotated[int, Query(ge=1, le=50, description="Moments to find.")] = 5,
    task_id: Annotated[str | None, Query(max_length=128)] = None,
) -> SearchResponse:
    """Clips of the same task that look most like this one; `clip_idx` is `clip_index`."""
    if clip_index is not None and clip_idx is not None and clip_index != clip_idx:
        raise InputError(f"clip_index {clip_index} and clip_idx {clip_idx} differ; give one")
    number = clip_index if clip_index is not None else clip_idx or 0
    video, found = similar_moments(runtime, video_id, number, k, task_id)
    return search_response(video, number, found)
