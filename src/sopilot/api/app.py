"""Assembly of the HTTP service: routers at their prefixes, errors, headers, the open handles."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from threading import BoundedSemaphore

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from sopilot import __version__
from sopilot.api.auth import Gate
from sopilot.api.bodies import BodyLimit
from sopilot.api.boundary import ALIAS_PREFIXES, Boundary
from sopilot.api.errors import install_error_handlers
from sopilot.api.limits import RateLimit
from sopilot.api.openapi import Service
from sopilot.api.routers import (
    admin,
    analytics,
    audit,
    docs,
    incidents,
    ops,
    reports,
    score_orders,
    score_views,
    scores,
    search,
    session,
    tasks,
    training,
    videos,
    vigil,
    vigil_events,
)
from sopilot.core.config import Settings, load_settings
from sopilot.core.errors import SopilotError, StoreError
from sopilot.core.log import get_logger
from sopilot.core.records import Actor
from sopilot.library.remove import sweep
from sopilot.library.watch import Watcher, watch
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.memo import Memo
from sopilot.sop.tasks import task_opener
from sopilot.store.audit import Action, record
from sopilot.worker import embedded_pool

ROUTERS = (
    ops.router,
    session.router,
    videos.router,
    scores.router,
    reports.router,
    score_orders.router,
    score_views.router,
    tasks.router,
    analytics.router,
    admin.router,
    audit.router,
    search.router,
    training.router,
)

PLACED_ROUTERS = (incidents.router, vigil.router, vigil_events.router)
"""Routers that have one place: their contract names the prefix."""

_DESCRIPTION = (
    "Scores a trainee's video against a gold video of the same procedure. Send the API key in "
    "`X-API-Key`. All routes are also served below `/api/v1` and `/sop`. Every failure has the "
    'form `{"error": {"code", "message", "details"}, "detail": message}`.'
)

SERVICE = Actor("system:service")
"""Who starts and stops in the audit log."""

_log = get_logger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    settings: Settings | None = None,
    *,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    with_workers: bool = True,
) -> FastAPI:
    """The service; settings default to the environment's.

    runtime: handles that the caller has opened already, so that a data folder which cannot be used
    is reported before the service starts; they are closed at its end all the same.
    watcher: likewise, a watcher that has entered its folder; without one the settings decide.
    with_workers: run the embedded pool; without it another process must work on the jobs.
    """
    settings = settings or (runtime.settings if runtime else load_settings())
    app = Service(
        title="SOPilot",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=None,  # served by routers/docs.py, like every route at each prefix
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would be built from the Host header
        lifespan=_told(_lifespan(settings, runtime, watcher, with_workers=with_workers)),
    )
    app.state.settings = settings
    app.state.gate = Gate.of(settings)
    app.state.has_workers = with_workers and settings.score_workers > 0
    app.state.analytics_memo = Memo()
    app.state.vigil_slots = BoundedSemaphore(settings.vigil_concurrent_queries)
    app.state.start_failure = None
    app.state.is_stopping = lambda: False  # the server replaces it: waits end when it stops
    placed = [
        r for r in PLACED_ROUTERS if settings.vigil_enabled or r.prefix != vigil.router.prefix
    ]
    app.state.documented_routes = [
        route
        for router in (*ROUTERS, *placed)
        for route in router.routes
        if isinstance(route, APIRoute)
    ]
    install_error_handlers(app)
    for router in (*ROUTERS, docs.router):
        app.include_router(router)
        for prefix in ALIAS_PREFIXES:
            app.include_router(router, prefix=prefix, include_in_schema=False)
    for router in placed:
        app.include_router(router)
    app.add_middleware(BodyLimit)  # within the rate limit: a refused body counts
    app.add_middleware(RateLimit)  # within CORS, so that a page can read a 429
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["X-API-Key", "Authorization", "Content-Type", "X-Request-ID", "Range"],
        expose_headers=[
            "X-Request-ID",
            "Location",
            "Content-Range",
            "Retry-After",
            "X-RateLimit-Limit",
            "X-RateLimit-Remaining",
        ],
    )
    app.add_middleware(Boundary)
    return app


def _lifespan(
    settings: Settings, given: Runtime | None, watcher: Watcher | None, *, with_workers: bool
) -> Lifespan:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        runtime = given if given is not None else await run_in_threadpool(open_runtime, settings)
        app.state.runtime = runtime
        swept = await run_in_threadpool(sweep, runtime)
        _log.info("service.started", data_dir=str(runtime.blobs.root), swept=swept)
        await run_in_threadpool(_record, runtime, Action.SERVICE_STARTED, version=__version__)
        pool = embedded_pool(settings) if with_workers else None
        try:
            if pool is not None:
                await run_in_threadpool(pool.start)
            with _watching(watcher or watcher_of(runtime)):
                yield
        finally:
            if pool is not None:
                await run_in_threadpool(pool.stop)
            with suppress(StoreError):  # the end must not hang on the database
                await run_in_threadpool(_record, runtime, Action.SERVICE_STOPPED)
            await run_in_threadpool(close_runtime, runtime)
            _log.info("service.stopped")

    return run


def _told(lifespan: Lifespan) -> Lifespan:
    """The same, but what stops it is kept for who started the server, which only logs it."""

    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with lifespan(app):
                yield
        except SopilotError as error:
            app.state.start_failure = error
            raise

    return run


def watcher_of(runtime: Runtime) -> Watcher | None:
    """The watcher that the settings ask for, not yet at its folder."""
    settings = runtime.settings
    if not settings.watch_enabled:
        return None
    return Watcher(runtime, task_opener(settings), settings.resolved_watch_dir)


@contextmanager
def _watching(watcher: Watcher | None) -> Iterator[None]:
    """Load what is put into the watch folder, where there is a watcher for it."""
    if watcher is None:
        yield
        return
    stop = threading.Event()
    with watcher:
        thread = threading.Thread(target=watch, args=(watcher, stop), name="watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _record(runtime: Runtime, action: Action, **detail: str) -> None:
    with runtime.database.write() as connection:
        record(connection, SERVICE, action, "service", detail=detail)
