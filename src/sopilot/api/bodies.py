"""The innermost layer of every request: what no route need see is refused, and bodies are limited.

It lies within the rate limit, so that a refused request counts like any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

import anyio
from fastapi import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sopilot.api.boundary import ALIAS_PREFIXES
from sopilot.api.errors import too_large, too_large_message, unusable_address

MAX_BODY_BYTES = 2 << 20
"""Largest body of a request that is no upload; it is read before the caller is known."""

SILENCE_SEC = 120.0
"""How long a client may send nothing before its body is complete."""

# These check the credentials first, then stream their body under a limit of their own.
_UPLOADS = frozenset(
    f"{prefix}/{n}" for prefix in ("", *ALIAS_PREFIXES) for n in ("gold", "videos")
) | {"/api/v1/incidents/upload", "/vigil/videos"}
_MOST_DRAINED_BYTES = 8 * MAX_BODY_BYTES


class BodyLimit:
    """ASGI middleware; it looks at every block of a body, and at a JSON body when it is whole."""

    def __init__(self, app: ASGIApp, larger: Mapping[str, int] | None = None) -> None:
        """larger: the limits of paths, in bytes, whose bodies may be larger than others."""
        self._app = app
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with a limit on its body, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        alive = _impatient(receive)
        is_json = _is_json(scope)
        is_unlimited = _is_upload(scope) and not is_json
        most_bytes = self._larger.get(scope["path"], MAX_BODY_BYTES)
        limited = alive if is_unlimited else _limited(alive, most_bytes, is_json=is_json)
        refusal = await _refusal(scope, alive, None if is_unlimited else most_bytes)
        await (refusal or self._app)(scope, limited, send)


def _impatient(receive: Receive) -> Receive:
    """`receive` for which a client that falls silent within its body is one that has left.

    A machine that loses its power or its network says so to nobody: its half upload would lie in
    the data folder until the service stops.
    """
    is_whole = False

    async def take() -> Message:
        nonlocal is_whole
        if is_whole:  # now only the end of the connection can come
            return await receive()
        message: Message = {"type": "http.disconnect"}
        with anyio.move_on_after(SILENCE_SEC):
            message = await receive()
        is_whole = not message.get("more_body", False)
        return message

    return take


def _is_upload(scope: Scope) -> bool:
    return scope["method"] == "POST" and scope["path"] in _UPLOADS


async def _refusal(scope: Scope, receive: Receive, most_bytes: int | None) -> ASGIApp | None:
    """The answer to a request that no route need see, or None."""
    if _has_nul(scope):
        return unusable_address()
    if most_bytes is not None and _announced_bytes(scope) > most_bytes:
        await _drain(receive)
        return too_large(most_bytes)
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


def _limited(receive: Receive, most_bytes: int, *, is_json: bool) -> Receive:
    """`receive` that refuses, while it arrives, a body beyond most_bytes, and one of JSON that
    names a key twice: readers differ in which of the two they take."""
    size_bytes = 0
    kept = bytearray()

    async def take() -> Message:
        nonlocal size_bytes
        message = await receive()
        block = message.get("body", b"")
        size_bytes += len(block)
        # HTTPException is the one exception that FastAPI lets pass while it reads a body.
        if size_bytes > most_bytes:
            raise HTTPException(413, too_large_message(most_bytes))
        if is_json and message["type"] == "http.request":
            kept.extend(block)
            if not message.get("more_body", False):
                _refuse_repeated_keys(bytes(kept))
        return message

    return take


def _refuse_repeated_keys(body: bytes) -> None:
    """Raises HTTPException; what is no JSON at all is left to the route, which says so."""

    def look(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise HTTPException(
                    422,
                    f"the JSON body has the key {name[:64]!r} twice in one object; give it once",
                )
            seen.add(name)

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
