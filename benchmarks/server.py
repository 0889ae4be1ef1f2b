"""A service process to measure: the real application with two plain routes beside its own.

`python -m benchmarks.server DATA_DIR` listens on a free port, prints it, and runs until SIGTERM.
No workers: what is uploaded stays queued, so that only the service's own CPU time is counted.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI, Request
from starlette.types import Receive, Scope, Send

from benchmarks.harness import process_cpu_sec

PLAIN_PATH, BODY_PATH = "/bench/json", "/bench/body"


@dataclass(frozen=True, slots=True)
class Server:
    """A running process and where it listens."""

    pid: int
    port: int

    def cpu_of(self, requests: Sequence[Sequence[bytes]]) -> float:
        """CPU seconds the server spent on these requests, a list per connection.

        Raises RuntimeError for an answer that is not 2xx.
        """
        before = process_cpu_sec(self.pid)
        asyncio.run(_send_all(self.port, requests))
        return process_cpu_sec(self.pid) - before


@contextmanager
def serving(data_dir: Path) -> Iterator[Server]:
    """A server on this data folder for the time of the block."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.server", str(data_dir)], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            raise RuntimeError("the server ended before it listened; its message stands above")
        yield Server(child.pid, int(line))
    finally:
        child.terminate()
        child.communicate()


def get(path: str) -> bytes:
    """A GET request on a connection that stays open."""
    return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def post(path: str, kind: str, body: bytes) -> bytes:
    """A POST request with its whole body."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _send_all(port: int, requests: Sequence[Sequence[bytes]]) -> None:
    await asyncio.gather(*(_converse(port, one) for one in requests))


async def _converse(port: int, requests: Sequence[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for request in requests:
            writer.write(request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length:")[2].split("\r\n")[0] or 0)
            body = await reader.readexactly(length)
            if head.split()[1][0] != "2":
                raise RuntimeError(f"the server answered {head.splitlines()[0]}: {body[:300]!r}")
    finally:
        writer.close()
        await writer.wait_closed()


def _run(data_dir: Path) -> None:
    import uvicorn

    from sopilot.api.app import create_app
    from sopilot.core.config import load_settings
    from sopilot.core.log import configure_logging

    configure_logging("ERROR", "console")
    app = create_app(load_settings(data_dir=data_dir, max_upload_mb=1024), with_workers=False)

    async def plain_json() -> dict[str, object]:
        return {"video_id": 1, "task_id": "bench", "status": "ready", "clip_count": 64}

    async def plain_body(request: Request) -> dict[str, int]:
        size_bytes = 0
        with tempfile.NamedTemporaryFile(dir=data_dir) as target:
            async for block in request.stream():
                target.write(block)
                size_bytes += len(block)
        return {"size_bytes": size_bytes}

    # The plain body goes round the service's own layers: they limit the size of a body.
    bare = FastAPI()
    bare.add_api_route(BODY_PATH, plain_body, methods=["POST"])
    app.add_api_route(PLAIN_PATH, plain_json, methods=["GET"])

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        chosen = bare if scope.get("path") == BODY_PATH else app
        await chosen(scope, receive, send)

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()  # before the port is told: early clients wait instead of being refused
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(either, log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    _run(Path(sys.argv[1]))
