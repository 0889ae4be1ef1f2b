"""How much one address may ask: requests per minute and second, wrong credentials per minute, and
streams at a time.

Counted in the memory of this process, which is bounded, by moving windows; a second server process
would count for itself. Called for every request by `RateLimit`, and by `auth` where credentials
are wrong.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sopilot.api.boundary import ALIAS_PREFIXES
from sopilot.api.client import limit_key
from sopilot.api.errors import rate_limited
from sopilot.core.config import Settings
from sopilot.core.errors import RateLimited

_UNLIMITED = frozenset(
    f"{prefix}/{name}"
    for prefix in ("", *ALIAS_PREFIXES)
    for name in ("health", "readiness", "metrics")
)
"""What monitors ask for at their own pace."""

MOST_ADDRESSES = 4096
"""Addresses that are counted apart within a minute; all beyond share one count."""

MOST_STREAMS = 100
"""Streams of events that one address may hold open: each reads the database again and again."""

_STREAM_RETRY_SEC = 5
_WINDOW_SEC = 60.0
_OTHERS = "others"


class Limits:
    """The counters of one service."""

    def __init__(self, settings: Settings) -> None:
        self._storage = MemoryStorage()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._streams: Counter[str] = Counter()
        self._seen_sec: dict[str, float] = {}
        self._forgot_sec = time.monotonic()
        self._requests: tuple[RateLimitItem, ...] = ()
        if settings.rate_limit_rpm:
            self._requests = (
                RateLimitItemPerSecond(settings.rate_limit_burst, namespace="requests"),
                RateLimitItemPerMinute(settings.rate_limit_rpm, namespace="requests"),
            )
        failures = settings.login_failures_per_minute
        self._failures = RateLimitItemPerMinute(failures, namespace="logins") if failures else None

    @property
    def per_minute(self) -> int | None:
        """Requests per minute that one address may send; None = no limit."""
        return self._requests[-1].amount if self._requests else None

    def take(self, key: str) -> int | None:
        """Count a request of an address; how many more it may send in this minute.

        None = no limit. Raises RateLimited; a refused request is not counted.
        """
        if not self._requests:
            return None
        key = self._counter(key)
        for item in self._requests:
            if not self._limiter.test(item, key):
                raise self._refusal(item, key, f"more than {item} requests")
        for item in self._requests:
            self._limiter.hit(item, key)
        return int(self._limiter.get_window_stats(self._requests[-1], key).remaining)

    def require_login(self, key: str) -> None:
        """Raises RateLimited where an address sent too many wrong credentials of late."""
        if self._failures is None:
            return
        key = self._counter(key)
        if not self._limiter.test(self._failures, key):
            raise self._refusal(
                self._failures, key, f"more than {self._failures} wrong credentials"
            )

    def count_failure(self, key: str) -> None:
        """Wrong credentials came from an address."""
        if self._failures is not None:
            self._limiter.hit(self._failures, self._counter(key))

    @contextmanager
    def hold_stream(self, key: str) -> Iterator[None]:
        """Count a stream of an address while it is open. Raises RateLimited."""
        if self._streams[key] >= MOST_STREAMS:
            raise RateLimited(
                f"{MOST_STREAMS} streams are open from this address already; close one first",
                {"retry_after_sec": _STREAM_RETRY_SEC},
            )
        self._streams[key] += 1
        try:
            yield
        finally:
            self._streams[key] -= 1
            if not self._streams[key]:
                del self._streams[key]

    def _counter(self, key: str) -> str:
        """The address, or what it shares with others where too many are counted already."""
        now_sec = time.monotonic()
        if now_sec - self._forgot_sec > _WINDOW_SEC:
            self._forget(now_sec)
        if key not in self._seen_sec and len(self._seen_sec) >= MOST_ADDRESSES:
            return _OTHERS
        self._seen_sec[key] = now_sec
        return key

    def _forget(self, now_sec: float) -> None:
        """Drop who has not come for a minute; the storage itself keeps every name for ever."""
        items = (*self._requests, *filter(None, (self._failures,)))
        gone = [key for key, seen in self._seen_sec.items() if now_sec - seen > _WINDOW_SEC]
        for key in gone:
            del self._seen_sec[key]
            for item in items:
                name = item.key_for(key)
                with self._storage.locks[name]:  # its own thread tidies too
                    self._storage.clear(name)
        self._forgot_sec = now_sec

    def _refusal(self, item: RateLimitItem, key: str, what: str) -> RateLimited:
        reset_sec = self._limiter.get_window_stats(item, key).reset_time - time.time()
        wait_sec = max(1, math.ceil(reset_sec))
        return RateLimited(
            f"{what} came from this address; wait {wait_sec} s",
            {"retry_after_sec": wait_sec},
        )


class RateLimit:
    """ASGI middleware: counts every request against its client's address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or answer 429 with the seconds to wait."""
        if scope["type"] != "http" or scope["path"] in _UNLIMITED:
            await self._app(scope, receive, send)
            return
        gate = scope["app"].state.gate
        request = HTTPConnection(scope)
        if gate.is_open_to(request):
            await self._app(scope, receive, send)
            return
        limits: Limits = gate.limits
        try:
            left = limits.take(limit_key(gate.address_of(request)))
        except RateLimited as error:
            await rate_limited(error)(scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if left is not None and message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-RateLimit-Limit"] = str(limits.per_minute)
                headers["X-RateLimit-Remaining"] = str(left)
            await send(message)

        await self._app(scope, receive, send_counted)
