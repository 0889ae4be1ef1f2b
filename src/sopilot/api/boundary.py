"""The outermost layer of every request: its id, the body limit, the headers, the last resort."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from contextlib import suppress

import structlog
from fastapi import HTTPException
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sopilot.api.errors import (
    interrupted,
    too_large,
    too_large_message,
    unexpected,
    unusable_address,
)
from sopilot.core.log import get_logger

MAX_BODY_BYTES = 2 << 20
"""Largest body of a request that is no upload; it is read before the caller is known."""

ALIAS_PREFIXES = ("/api/v1", "/sop")
"""All routes are served below these too; the documentation shows the short form."""

# These check the credentials first, then stream their body under a limit of their own.
_UPLOADS = frozenset(
    f"{prefix}/{n}" for prefix in ("", *ALIAS_PREFIXES) for n in ("gold", "videos")
)
_MOST_DRAINED_BYTES = 8 * MAX_BODY_BYTES
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

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
        limited = receive if _is_upload(scope) else _limited(receive, is_json=_is_json(scope))
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
                refusal = await _refusal(scope, receive, is_limited=limited is not receive)
                await (refusal or self._app)(scope, limited, send_marked)
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


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and scope["path"] in _UPLOADS


async def _refusal(scope: Scope, receive: Receive, *, is_limited: bool) -> ASGIApp | None:
    """The answer to a request that no route need see, or None."""
    if _has_nul(scope):
        return unusable_address()
    if is_limited and _announced_bytes(scope) > MAX_BODY_BYTES:
        await _drain(receive)
        return too_large(MAX_BODY_BYTES)
    return None


def _has_nul(scope: Scope) -> bool:
    """Whether path or query hold the one character that no column can: it names nothing."""
    return "\x00" in scope["path"] or b"%00" in scope.get("query_string", b"")


def _announced_bytes(scope: Scope) -> int:
    """The Content-Length; 0 where there is none (the body is counted in any case)."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


def _is_json(scope: Scope) -> bool:
    kinds = (value for name, value in scope["headers"] if name == b"content-type")
    kind = next(kinds, b"").partition(b";")[0].strip().lower()
    return kind == b"application/json" or kind.endswith(b"+json")


def _limited(receive: Receive, *, is_json: bool) -> Receive:
    """`receive` that refuses, while it arrives, a body beyond MAX_BODY_BYTES, and one of JSON that
    names a key twice: readers differ in which of the two they take."""
    size_bytes = 0
    kept = bytearray()

    async def take() -> Message:
        nonlocal size_bytes
        message = await receive()
        block = message.get("body", b"")
        size_bytes += len(block)
        # HTTPException is the one exception that FastAPI lets pass while it reads a body.
        if size_bytes > MAX_BODY_BYTES:
            raise HTTPException(413, too_large_message(MAX_BODY_BYTES))
        if is_json and message["type"] == "http.request":
            kept.extend(block)
            if not message.get("more_body", False):
                _refuse_repeated_keys(bytes(kept))
        return message

    return take


def _refuse_repeated_keys(body: bytes) -> None:
    """Raises HTTPException; what is no JSON at all is left to the route, which says so."""

    def look(pairs: list[tuple[str, object]]) -> None:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            name = next(name for name in names if names.count(name) > 1)
            raise HTTPException(
                422, f"the JSON body has the key {name[:64]!r} twice in one object; give it once"
            )

    with suppress(ValueError, RecursionError):
        json.loads(body, object_pairs_hook=look)


async def _drain(receive: Receive) -> None:
    """Drop a refused body, so that a client which sends first sees the answer; up to a limit."""
    dropped_bytes = 0
    while dropped_bytes <= _MOST_DRAINED_BYTES:
        message = await receive()
        dropped_bytes += len(message.get("body", b""))
        if not message.get("more_body", False):
            return


def _request_id(scope: Scope) -> str:
    """The sender's id when it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            if _REQUEST_ID.fullmatch(text):
                return str(text)
    return uuid.uuid4().hex
