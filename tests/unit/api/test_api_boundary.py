"""The outermost layer when the server stops while a request waits."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from sopilot.api.boundary import Boundary

SCOPE: dict[str, Any] = {"type": "http", "method": "POST", "path": "/gold", "headers": []}


def cancelled(*, after_start: bool) -> list[Message]:
    """What was sent for a request whose task was cancelled while it waited."""
    sent: list[Message] = []
    waits = asyncio.Event()

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        if after_start:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        waits.set()
        await asyncio.sleep(60)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        task = asyncio.create_task(Boundary(app)(SCOPE, receive, send))
        await waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    return sent


def test_a_request_that_the_servers_end_cuts_short_is_answered() -> None:
    start, body = cancelled(after_start=False)
    headers = {name.decode(): value for name, value in start["headers"]}
    assert (start["status"], headers["retry-after"]) == (503, b"5")
    assert "x-request-id" in headers
    assert "stopping" in json.loads(body["body"])["detail"]


def test_an_answer_that_has_begun_is_not_followed_by_another() -> None:
    assert [message["type"] for message in cancelled(after_start=True)] == ["http.response.start"]
