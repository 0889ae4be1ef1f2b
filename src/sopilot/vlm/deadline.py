"""HTTP connections on which a whole answer has a deadline, not only each of its bytes.

Used by `vlm.client.connections`. httpx waits for every read anew: a server that sends one byte of a
header now and then would hold a question for ever.
"""

from __future__ import annotations

import math
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

_PIECE_BYTES = 1 << 16


class DeadlineTransport(httpx.HTTPTransport):
    """A transport without proxies. most_sec: from the end of a request to the end of its answer,
    and for each block of the request, which may be a file of any size.

    Beyond them httpx.ReadTimeout and httpx.WriteTimeout are raised.
    """

    def __init__(self, most_sec: float, limits: httpx.Limits) -> None:
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False, limits=limits)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(most_sec),
        )


class _Backend(httpcore.SyncBackend):
    """Opens connections as httpcore does, each with the deadline."""

    def __init__(self, most_sec: float) -> None:
        self._most_sec = most_sec

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        opened = super().connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(opened, self._most_sec)


class _Stream(httpcore.NetworkStream):
    """A connection that carries one question at a time: what is sent begins a new one."""

    def __init__(self, inner: httpcore.NetworkStream, most_sec: float) -> None:
        self._inner = inner
        self._most_sec = most_sec
        self._latest: float | None = None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._latest is None:
            self._latest = time.monotonic() + self._most_sec
        left_sec = self._latest - time.monotonic()
        if left_sec <= 0:
            raise httpcore.ReadTimeout("the whole answer takes too long")
        return self._inner.read(max_bytes, _least(timeout, left_sec))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._latest = None
        latest = time.monotonic() + self._most_sec
        rest = memoryview(buffer)
        while rest:
            left_sec = latest - time.monotonic()
            if left_sec <= 0:
                raise httpcore.WriteTimeout("the question is taken too slowly")
            self._inner.write(bytes(rest[:_PIECE_BYTES]), _least(timeout, left_sec))
            rest = rest[_PIECE_BYTES:]

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, timeout)
        return _Stream(inner, self._most_sec)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _least(timeout: float | None, left_sec: float) -> float:
    return min(math.inf if timeout is None else timeout, left_sec)
