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
    """Calls the application without a socket, as if from an address of choice."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def get(self, path: str, headers: dict[str, str] = KEY) -> Response:
        return self.send("GET", path, headers=headers)

    def post(self, path: str) -> Response:
        return self.send("POST", path, headers=KEY)

    def send(
        self,
        method: str,
        path: str,
        *,
        peer: str = "127.0.0.1",
        base: str = "http://localhost",
        **options: Any,
    ) -> Response:
        async def run() -> Response:
            transport = ASGITransport(self.app, raise_app_exceptions=False, client=(peer, 50_000))
            async with AsyncClient(transport=transport, base_url=base) as client:
                return await client.request(method, path, **options)

        return asyncio.run(run())
