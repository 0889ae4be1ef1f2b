"""The outermost layer of every request: its plain path, its id, the headers, the last resort."""

from __future__ import annotations

import asyncio
import re
import uuid

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sopilot.api.errors import interrupted, unexpected
from sopilot.core.log import get_logger

ALIAS_PREFIXES = ("/api/v1", "/sop")
"""All routes are served below these too; the documentation shows the short form."""

_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    # Answers are about people, and no shared cache knows that X-API-Key is a credential.
    "Cache-Control": "no-store",
}
"""Sent where an answer says nothing else."""

log = get_logger(__name__)


class Boundary:
    """ASGI middleware; plain ASGI because it runs for every byte that is streamed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; a failure that nobody foresaw becomes the envelope with 500."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope["path"] = _plain_path(scope["path"])
        request_id = _request_id(scope)
        has_started = False

        async def send_marked(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_marked)
            except asyncio.CancelledError:
                # The server stops and waits no longer; the client learns that a retry is in order.
                if not has_started:
                    await interrupted()(scope, receive, send_marked)
                raise
            except Exception:
                log.exception("request.crashed", path=scope["path"])
                if not has_started:
                    await unexpected()(scope, receive, send_marked)


def _plain_path(path: str) -> str:
    """A path without slashes at its end, so that both forms reach the same route and role."""
    plain = path.rstrip("/")
    return plain if plain and plain not in ALIAS_PREFIXES else f"{plain}/"


def _request_id(scope: Scope) -> str:
    """The sender's id when it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(text):
                return str(text)
    return uuid.uuid4().hex
