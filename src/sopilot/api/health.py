"""Is the installation able to work? Read on request; nothing is remembered between requests."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from typing import Literal

from sopilot import __version__
from sopilot.api.schemas import (
    DatabaseCheck,
    DiskCheck,
    EmbedderCheck,
    EmbedderStats,
    HealthChecks,
    HealthResponse,
    ReadinessResponse,
    SecondDatabaseCheck,
    StatusResponse,
)
from sopilot.core.errors import ModelError, StoreError
from sopilot.core.records import Role
from sopilot.jobs.queries import count_jobs
from sopilot.jobs.records import JobState
from sopilot.library.capsules import Analysed
from sopilot.runtime import Runtime
from sopilot.store.follow import state_of
from sopilot.store.tallies import Figures, Tally, read_tallies
from sopilot.store.times import now_text, seconds_between

_LEAST_FREE_BYTES = 200 * 1024 * 1024
_LEAST_READY_BYTES = 16 * 1024 * 1024
"""Below this even a score, which stores little, may fail."""
_GIGABYTE_BYTES = 1e9
_LONG_WAIT_SEC = 60.0


def embedder_name(runtime: Runtime) -> str:
    """Public name of what makes the features; the configured one where it cannot be loaded."""
    return _check_embedder(runtime).name


def embedder_stats(runtime: Runtime, figures: Mapping[str, Figures]) -> EmbedderStats:
    """Analyses so far, by all processes, and whether another backend stands in.

    The choice is made at start and holds until the next one: what has failed over stays so.
    """

    def so_often(label: str) -> int:
        return figures[label].count if label in figures else 0

    return EmbedderStats(
        requests_total=so_often(Analysed.REQUEST),
        primary_successes_total=so_often(Analysed.PRIMARY),
        fallback_uses_total=so_often(Analysed.FALLBACK),
        failure_capsules_total=so_often(Analysed.CAPSULE),
        failed_over=runtime.choice.has_failed_over,
        permanently_failed=runtime.choice.has_failed_over,
        retry_interval_seconds=0.0,
    )


def _check_database(runtime: Runtime) -> DatabaseCheck:
    started_sec = time.perf_counter()
    try:
        runtime.database.ping()
    except StoreError:
        return DatabaseCheck(status="down", latency_ms=None)
    return DatabaseCheck(
        status="up", latency_ms=round(1000 * (time.perf_counter() - started_sec), 2)
    )


def _check_disk(runtime: Runtime) -> DiskCheck:
    root = runtime.blobs.root
    try:
        usage = shutil.disk_usage(root)
    except OSError:
        return DiskCheck(status="down", free_gb=None, total_gb=None, writable=False)
    writable = os.access(root, os.W_OK | os.X_OK)
    status: Literal["up", "degraded", "down"] = "up"
    if not writable or usage.free < _LEAST_FREE_BYTES:
        status = "down"
    elif 1.0 - usage.free / usage.total > runtime.settings.disk_high_water_percent / 100.0:
        status = "degraded"
    return DiskCheck(
        status=status,
        free_gb=round(usage.free / _GIGABYTE_BYTES, 1),
        total_gb=round(usage.total / _GIGABYTE_BYTES, 1),
        writable=writable,
    )


def _check_embedder(runtime: Runtime) -> EmbedderCheck:
    failed_over = runtime.choice.has_failed_over
    try:
        name = runtime.embedder.producer_for(Role.TRAINEE).version
    except ModelError:
        name = runtime.choice.backend
        return EmbedderCheck(status="down", name=name, failed_over=failed_over)
    status: Literal["degraded", "up"] = "degraded" if failed_over else "up"
    return EmbedderCheck(status=status, name=name, failed_over=failed_over)


def _check_second(runtime: Runtime) -> SecondDatabaseCheck | None:
    """How far a database that follows is behind; None where none does."""
    if not runtime.settings.second_database_url:
        return None
    try:
        state = state_of(runtime.database)
    except StoreError:
        return None
    if state is None:
        return None
    since = state.waiting_since
    has_waited = since is not None and seconds_between(since, now_text()) > _LONG_WAIT_SEC
    return SecondDatabaseCheck(
        status="degraded" if has_waited or not state.is_copied else "up",
        waiting=state.waiting,
        applied_at=state.applied_at,
        waiting_since=since,
    )


def check_health(runtime: Runtime) -> HealthResponse:
    """Database, disk and embedder; unhealthy without a database, degraded without another."""
    checks = HealthChecks(
        database=_check_database(runtime),
        disk=_check_disk(runtime),
        embedder=_check_embedder(runtime),
        second_database=_check_second(runtime),
    )
    has_database = checks.database.status == "up"
    if not has_database:
        return HealthResponse(status="unhealthy", checks=checks, db=False, version=__version__)
    second = checks.second_database
    is_whole = checks.disk.status == checks.embedder.status == "up"
    is_whole = is_whole and (second is None or second.status == "up")
    status = "healthy" if is_whole else "degraded"
    return HealthResponse.model_validate(
        {"status": status, "checks": checks, "db": True, "version": __version__}
    )


def check_readiness(runtime: Runtime) -> ReadinessResponse:
    """May requests be sent here?"""
    has_database = _check_database(runtime).status == "up"
    has_embedder = _check_embedder(runtime).status != "down"
    found = {"database": has_database, "embedder": has_embedder, "disk": _has_room(runtime)}
    details = {name: "ok" if works else "unavailable" for name, works in found.items()}
    return ReadinessResponse(ready=all(found.values()), details=details)


def _has_room(runtime: Runtime) -> bool:
    """Is the data folder there, writable and not full?"""
    root = runtime.blobs.root
    try:
        free_bytes = shutil.disk_usage(root).free
    except OSError:
        return False
    return os.access(root, os.W_OK | os.X_OK) and free_bytes >= _LEAST_READY_BYTES


def read_status(runtime: Runtime, *, is_known_caller: bool) -> StatusResponse:
    """What runs here; the server's paths are for callers with credentials only."""
    with runtime.database.read() as connection:
        counts = count_jobs(connection)
        stats = embedder_stats(runtime, read_tallies(connection)[Tally.EMBEDDER])
    waiting = sum(count for (_, state), count in counts.items() if state is JobState.QUEUED)
    return StatusResponse(
        version=__version__,
        primary_task_id=runtime.settings.primary_task_id,
        embedder=embedder_name(runtime),
        embedder_stats=stats,
        queue_depth=waiting,
        data_dir=str(runtime.blobs.root) if is_known_caller else None,
    )
