"""The status of an incident as server-sent events, told from its log again and again.

Nothing is kept between two looks: the id of an event is the id of its log row, so that a client
goes on at any server and after a restart. Messages are those of the earlier product.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from fastapi import Response
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.concurrency import run_in_threadpool

from sopilot.api.streams import HEARTBEAT_SEC, RECONNECT_MS, HeldStream, pause
from sopilot.core.errors import IncidentNotFound, SopilotError
from sopilot.core.log import get_logger
from sopilot.incidents import queries
from sopilot.incidents.passes import STAGE_NAMES
from sopilot.incidents.schemas import ENDS, IncidentRow, LogRow, Status
from sopilot.runtime import Runtime

_CLOSE = '{"event":"close"}'
_ROW_DIGITS = 10
"""No row's id has as many: the column holds 31 bits."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Look:
    """An incident and what was written down since the last look."""

    row: IncidentRow
    news: Sequence[LogRow]


async def incident_stream(
    runtime: Runtime,
    incident: str,
    poll_sec: float,
    last_event_id: str | None,
    is_stopping: Callable[[], bool],
    hold: AbstractContextManager[None],
) -> Response:
    """The stream; 204 for a client that heard the end. Raises IncidentNotFound.

    last_event_id: the log row that the client heard last; without one it hears the present state
    and what follows.
    """
    heard = _row_id(last_event_id)
    look = await run_in_threadpool(_look, runtime, incident, heard or 0)
    if heard is None:
        look = _Look(look.row, look.news[-1:])
    elif not look.news and look.row.status in ENDS:
        return Response(status_code=204)
    events = _events(runtime, look, heard or 0, poll_sec, is_stopping)
    return HeldStream(events, hold)


def _row_id(told: str | None) -> int | None:
    """The log row that a client names; None for what no stream of ours told."""
    if told is None or not (told.isascii() and told.isdecimal() and len(told) < _ROW_DIGITS):
        return None
    return int(told)


async def _events(
    runtime: Runtime,
    look: _Look,
    heard: int,
    poll_sec: float,
    is_stopping: Callable[[], bool],
) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=RECONNECT_MS, comment=f"incident {look.row.id}")
    spoke = time.monotonic()
    while True:
        for item in look.news:
            heard, spoke = item.id, time.monotonic()
            yield format_sse_event(id=str(item.id), data_str=_message(look.row, item))
        if look.row.status in ENDS and look.news and look.news[-1].status in ENDS:
            yield format_sse_event(data_str=_CLOSE)
            return
        if await pause(poll_sec, is_stopping):
            return
        if time.monotonic() - spoke >= HEARTBEAT_SEC:
            spoke = time.monotonic()
            yield KEEPALIVE_COMMENT
        try:
            look = await run_in_threadpool(_look, runtime, str(look.row.id), heard)
        except IncidentNotFound:
            yield format_sse_event(data_str=_CLOSE)
            return
        except SopilotError as error:
            # The database does not answer for now: the client comes back and goes on.
            _log.warning("stream.interrupted", code=error.code, reason=error.message)
            return


def _look(runtime: Runtime, incident: str, heard: int) -> _Look:
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, incident)
        return _Look(row, queries.list_logs(connection, row.id, heard))


def _message(row: IncidentRow, item: LogRow) -> str:
    told: dict[str, Any] = {"status": str(item.status)}
    if item.stage is not None:
        told |= {"stage": item.stage, "stage_name": STAGE_NAMES[row.language][item.stage - 1]}
    if item.status is Status.DONE:
        told |= {
            name: item.detail.get(name) for name in ("has_event", "inferred_domain", "events_found")
        }
    if item.status is Status.ERROR:
        told |= {"error": item.detail.get("error"), "code": item.detail.get("code")}
    return json.dumps(told, ensure_ascii=False)
