"""Calls an application without a socket, as the holder of a key."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response

from sopilot.api.app import create_app
from sopilot.runtime import Runtime

KEY = {"X-API-Key": "admin-key"}


def app_of(runtime: Runtime) -> FastAPI:
    """The service on an open runtime, without workers."""
    app = create_app(runtime.settings, runtime=runtime, with_workers=False)
    app.state.runtime = runtime
    return app


class Caller:
    """Calls the application without a socket."""

    def __init__(self, app: FastAPI) -> None:
        self._transport = ASGITransport(app, raise_app_exceptions=False)

    def get(self, path: str, headers: dict[str, str] = KEY) -> Response:
        return self.send("GET", path, headers=headers)

    def post(self, path: str) -> Response:
        return self.send("POST", path, headers=KEY)

    def send(self, method: str, path: str, **options: Any) -> Response:
        return asyncio.run(self._send(method, path, options))

    async def _send(self, method: str, path: str, options: dict[str, Any]) -> Response:
        async with AsyncClient(transport=self._transport, base_url="http://localhost") as client:
            return await client.request(method, path, **options)
