"""The progress of a score as server-sent events, read from the job's row again and again.

Nothing is kept between two looks, so a stream can be taken up at any server, also after a restart:
an event's id says which state it told, and a client that names it hears of later states only.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager

from fastapi import Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from sopilot.api.errors import rate_limited
from sopilot.api.schemas_scores import StreamEvent
from sopilot.core.errors import RateLimited, ScoreNotFound, SopilotError
from sopilot.core.log import get_logger
from sopilot.runtime import Runtime
from sopilot.sop.queries import ScoreState, get_score_state

HEARTBEAT_SEC = 15.0
RECONNECT_MS = 2000
_LOOK_SEC = 0.25
"""How soon a stream notices that the server stops."""

_ENDS = frozenset({"completed", "failed", "cancelled"})
_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

_log = get_logger(__name__)


async def score_stream(
    runtime: Runtime,
    score: str,
    poll_sec: float,
    last_event_id: str | None,
    is_stopping: Callable[[], bool],
    hold: AbstractContextManager[None],
) -> Response:
    """The stream; 204, which tells browsers to come no more, for a client that heard the end.

    hold: entered while the stream is open; the answer is 429 where it raises RateLimited. Raises
    ScoreNotFound.
    """
    state = await run_in_threadpool(_look, runtime, score)
    if last_event_id == _end_id(state) and state.status in _ENDS:
        return Response(status_code=204)
    events = _events(runtime, state, poll_sec, last_event_id, is_stopping)
    return HeldStream(events, hold)


class HeldStream(EventSourceResponse):
    """A stream that is counted while it is sent, however it ends."""

    def __init__(self, events: AsyncIterator[bytes], hold: AbstractContextManager[None]) -> None:
        super().__init__(events, headers=_HEADERS)
        self._hold = hold

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with self._hold:
                await super().__call__(scope, receive, send)
        except RateLimited as error:
            await rate_limited(error)(scope, receive, send)


async def pause(poll_sec: float, is_stopping: Callable[[], bool]) -> bool:
    """Wait for the next look; True as soon as the server stops."""
    wake = time.monotonic() + poll_sec
    while (left := wake - time.monotonic()) > 0:
        if is_stopping():
            return True
        await asyncio.sleep(min(left, _LOOK_SEC))
    return False


async def _events(
    runtime: Runtime,
    state: ScoreState,
    poll_sec: float,
    told: str | None,
    is_stopping: Callable[[], bool],
) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=RECONNECT_MS, comment=f"score job {state.id}")
    spoke = time.monotonic()
    while True:
        if _state_id(state) != told:
            told, spoke = _state_id(state), time.monotonic()
            yield _status_event(state, told)
        if state.status in _ENDS:
            yield _done_event(state)
            return
        if await pause(poll_sec, is_stopping):
            return
        if time.monotonic() - spoke >= HEARTBEAT_SEC:
            spoke = time.monotonic()
            yield KEEPALIVE_COMMENT
        try:
            state = await run_in_threadpool(_look, runtime, str(state.id))
        except ScoreNotFound as error:
            yield _error_event(error)
            return
        except SopilotError as error:
            # The database does not answer for now: the client comes back and goes on.
            _log.warning("stream.interrupted", code=error.code, reason=error.message)
            return


def _look(runtime: Runtime, score: str) -> ScoreState:
    with runtime.database.read() as connection:
        return get_score_state(connection, score)


def _state_id(state: ScoreState) -> str:
    return f"{state.id}.{state.status}.{round(state.progress * 100)}"


def _end_id(state: ScoreState) -> str:
    return f"{state.id}.done"


def _status_event(state: ScoreState, event_id: str) -> bytes:
    told = StreamEvent(
        job_id=state.id,
        status=state.status,
        progress=state.progress,
        score=state.score,
        decision=state.decision,
        error=state.error_message if state.status == "failed" else None,
    )
    return format_sse_event(
        event="status", id=event_id, data_str=told.model_dump_json(exclude_none=True)
    )


def _done_event(state: ScoreState) -> bytes:
    data = f'{{"job_id":{state.id},"final_status":"{state.status}"}}'
    return format_sse_event(event="done", id=_end_id(state), data_str=data)


def _error_event(error: SopilotError) -> bytes:
    return format_sse_event(event="error", data_str=json.dumps({"error": error.message}))
