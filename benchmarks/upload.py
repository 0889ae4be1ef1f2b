"""Uploads, hashed while they stream into the blob store, against streaming a body to disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.harness import Options, Row, paired
from benchmarks.server import BODY_PATH, Server, post, serving

SIZE_BYTES = 96 << 20
_BOUNDARY = "bench-boundary"


def rows(options: Options) -> Iterator[Row]:
    """Raw body and multipart form; CPU time of the server process per upload."""
    filler = os.urandom(SIZE_BYTES)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder, serving(Path(folder)) as server:
        requests: tuple[Callable[[], bytes], ...] = (
            lambda: post(BODY_PATH, "video/mp4", _fresh(filler)),
            lambda: post("/videos?async=true&task_id=bench", "video/mp4", _fresh(filler)),
            lambda: _form(_fresh(filler)),
        )
        plain, raw, form = _interleaved(server, requests, options.rounds)
    for name, spent in (("raw upload with hash", raw), ("multipart upload with hash", form)):
        yield paired(Row("upload", name, "plain body streaming", target=2.0), spent, plain)


def _interleaved(
    server: Server, requests: tuple[Callable[[], bytes], ...], rounds: int
) -> list[list[float]]:
    taken: list[list[float]] = [[] for _ in requests]
    for index in range(-1, rounds):
        for offset in range(len(requests)):
            side = (index + offset) % len(requests)
            spent_sec = server.cpu_of([[requests[side]()]])
            if index >= 0:  # the first round warms up
                taken[side].append(spent_sec)
    return taken


def _fresh(filler: bytes) -> bytes:
    """Bytes that were never uploaded before: known ones would be dropped as a duplicate."""
    return os.urandom(64) + filler


def _form(body: bytes) -> bytes:
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        'filename="bench.mp4"\r\nContent-Type: video/mp4\r\n\r\n'
    )
    whole = head.encode() + body + f"\r\n--{_BOUNDARY}--\r\n".encode()
    path = "/videos?async=true&task_id=bench"
    return post(path, f"multipart/form-data; boundary={_BOUNDARY}", whole)
