"""What endpoints ask for: the open handles, paging, and the error responses of the documentation.

The dependencies are coroutines on purpose: plain functions would each cost a thread hop.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Query, Request, Response
from pydantic import BaseModel

from sopilot.api.schemas import ErrorEnvelope
from sopilot.core.config import Settings
from sopilot.runtime import Runtime


async def _runtime(request: Request) -> Runtime:
    return cast(Runtime, request.app.state.runtime)


async def _settings(request: Request) -> Settings:
    return cast(Settings, request.app.state.settings)


RuntimeDep = Annotated[Runtime, Depends(_runtime)]
SettingsDep = Annotated[Settings, Depends(_settings)]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1, description="Rows to skip.")]
TaskId = Annotated[
    str | None, Query(max_length=128, description="Task; the primary task when left out.")
]

MEANINGS = {
    400: "Not a video that can be decoded, or a broken request.",
    401: "No or wrong credentials.",
    403: "The role does not allow it.",
    404: "No such row.",
    409: "The state does not allow it.",
    413: "The file, or the body of another request, is too large.",
    415: "Not a kind of video that is taken.",
    416: "The range lies outside the file.",
    422: "A value is missing or outside its range, or a gold failed the quality gate.",
    425: "The analysis has not ended yet; ask again later.",
    429: "Too many requests; retry after the seconds in Retry-After.",
    500: "An unexpected failure; the log of the server has its cause.",
    502: "The model's server does not take the request, or answers something else.",
    503: "Not ready; retry after the seconds in Retry-After.",
    507: "The disk is full.",
}
"""What a status means, for the documentation."""


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented error responses of a route; 401, 403, 503 and what `api.openapi` adds to all
    go without saying."""
    return {
        status: {"model": ErrorEnvelope, "description": MEANINGS[status]}
        for status in (*statuses, 401, 403, 503)
    }


def answer(body: BaseModel, status: int = 200) -> Response:
    """A response from a shape that is built already; spares the second validation of large ones."""
    return Response(body.model_dump_json(), status, media_type="application/json")
