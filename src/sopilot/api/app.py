"""Assembly of the HTTP service: routers at their prefixes, errors, headers, the open handles."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from sopilot import __version__
from sopilot.api.boundary import Boundary
from sopilot.api.errors import install_error_handlers
from sopilot.api.openapi import Service
from sopilot.api.routers import (
    admin,
    analytics,
    audit,
    docs,
    ops,
    reports,
    score_orders,
    score_views,
    scores,
    search,
    tasks,
    training,
    videos,
)
from sopilot.core.config import Settings, load_settings
from sopilot.core.log import get_logger
from sopilot.library.remove import sweep
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.memo import Memo
from sopilot.worker import embedded_pool

ROUTERS = (
    ops.router,
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
ALIAS_PREFIXES = ("/api/v1", "/sop")
"""The same routes are served below these; the documentation shows the short form."""

_DESCRIPTION = (
    "Scores a trainee's video against a gold video of the same procedure. Send the API key in "
    "`X-API-Key`. All routes are also served below `/api/v1` and `/sop`. Every failure has the "
    'form `{"error": {"code", "message", "details"}, "detail": message}`.'
)

_log = get_logger(__name__)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    settings: Settings | None = None,
    *,
    runtime: Runtime | None = None,
    with_workers: bool = True,
) -> FastAPI:
    """The service; settings default to the environment's.

    runtime: handles that the caller has opened already, so that a data folder which cannot be used
    is reported before the service starts; they are closed at its end all the same.
    with_workers: run the embedded pool; without it another process must work on the jobs.
    """
    settings = settings or (runtime.settings if runtime else load_settings())
    app = Service(
        title="SOPilot",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # a redirect would be built from the Host header
        lifespan=_lifespan(settings, runtime, with_workers=with_workers),
    )
    app.state.settings = settings
    app.state.has_workers = with_workers and settings.score_workers > 0
    app.state.analytics_memo = Memo()
    app.state.is_stopping = lambda: False  # the server replaces it: waits end when it stops
    app.state.documented_routes = [
        route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)
    ]
    install_error_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
        for prefix in ALIAS_PREFIXES:
            app.include_router(router, prefix=prefix, include_in_schema=False)
    app.include_router(docs.router)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(settings.cors_origins),
        allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["X-API-Key", "Authorization", "Content-Type", "X-Request-ID", "Range"],
        expose_headers=["X-Request-ID", "Location", "Content-Range"],
    )
    app.add_middleware(Boundary)
    return app


def _lifespan(settings: Settings, given: Runtime | None, *, with_workers: bool) -> Lifespan:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        runtime = given if given is not None else await run_in_threadpool(open_runtime, settings)
        app.state.runtime = runtime
        swept = await run_in_threadpool(sweep, runtime)
        _log.info("service.started", data_dir=str(runtime.blobs.root), swept=swept)
        pool = embedded_pool(settings) if with_workers else None
        try:
            if pool is not None:
                await run_in_threadpool(pool.start)
            yield
        finally:
            if pool is not None:
                await run_in_threadpool(pool.stop)
            await run_in_threadpool(close_runtime, runtime)
            _log.info("service.stopped")

    return run
