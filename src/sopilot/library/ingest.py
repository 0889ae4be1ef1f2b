"""The ingest job: a stored file becomes a ready video, or a failed one whose file is removed.

The untrusted file is opened only in the limited child (`library.analyze`). What the same producers
made of the same bytes before is used again without decoding. Result and job completion are one
transaction.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from sopilot.core.errors import DiskFull, SopilotError
from sopilot.core.records import Role
from sopilot.embed.base import VideoFeatures
from sopilot.jobs.context import JobContext
from sopilot.jobs.records import Job
from sopilot.library import queries
from sopilot.library.add import quality_error
from sopilot.library.analyze import feature_producer, media_producer
from sopilot.library.remove import release_content
from sopilot.library.schemas import Analysis, VideoRow
from sopilot.media.isolate import run_limited
from sopilot.runtime import Runtime
from sopilot.store.derived import find_derived, put_derived

FEATURES, THUMBNAILS, REPORT = "features", "thumbnails", "report"
_TARGET = "sopilot.library.analyze:analyze"
_WORK = Path("derived/.work")

BoundariesOf = Callable[[VideoFeatures], tuple[int, ...]]
"""Proposes step boundaries as clip indices, edges included; given by the band above."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one pass made: blobs by kind with their producers' fingerprints, and the report."""

    features: VideoFeatures
    data: Mapping[str, bytes]
    producers: Mapping[str, str]
    report: Mapping[str, Any]


def ingest_video(runtime: Runtime, context: JobContext, boundaries_of: BoundariesOf) -> None:
    """Make the job's video ready. Raises what the file or the limits make of it."""
    with runtime.database.read() as connection:
        video = queries.get_video(connection, int(context.job.payload["video_id"]))
    parts = _stored_parts(runtime, video) or _analyze(runtime, video, context)
    found = _analysis(parts, boundaries_of)
    if video.is_gold and video.enforce_quality and not found.quality["overall_pass"]:
        raise quality_error(dict(found.quality))
    # Before the transaction, which must be short: storing the same bytes again is free.
    for data in parts.data.values():
        runtime.blobs.put_bytes("derived", data)
    with context.commit() as connection:
        for kind, data in parts.data.items():
            put_derived(
                connection,
                runtime.blobs,
                content_sha256=video.sha256,
                kind=kind,
                producer=parts.producers[kind],
                data=data,
            )
        queries.mark_ready(connection, video, found)


def fail_video(runtime: Runtime, connection: Connection, job: Job, error: SopilotError) -> None:
    """The end of an ingest that failed or was cancelled: row failed, nothing else left."""
    _clear_work(runtime, job)
    video = queries.get_video(connection, int(job.payload["video_id"]))
    queries.mark_failed(connection, video.id, error.code, error.message)
    release_content(connection, runtime.blobs, video.sha256)


def _analysis(parts: _Parts, boundaries_of: BoundariesOf) -> Analysis:
    return Analysis(
        info=parts.report["info"],
        quality=parts.report["quality"],
        duration_sec=float(parts.report["duration_sec"]),
        clip_count=parts.features.clip_count,
        step_boundaries=boundaries_of(parts.features),
        embedding_model=parts.features.producer.version,
        producer=parts.features.producer.fingerprint,
    )


def _stored_parts(runtime: Runtime, video: VideoRow) -> _Parts | None:
    """What an earlier ingest of the same bytes left, or None when a part of it is missing.

    A gold's features contain a trainee's, so they serve for it too.
    """
    media = media_producer(runtime.settings).fingerprint
    data: dict[str, bytes] = {}
    producers = {THUMBNAILS: media, REPORT: media}
    with runtime.database.read() as connection:
        for role in (video.role, Role.GOLD):
            producer = feature_producer(runtime.settings, runtime.embedder, role).fingerprint
            if find_derived(connection, video.sha256, FEATURES, producer) is not None:
                producers[FEATURES] = producer
                break
        rows = {
            kind: find_derived(connection, video.sha256, kind, producer)
            for kind, producer in producers.items()
        }
    for kind, row in rows.items():
        if row is None or not runtime.blobs.exists("derived", row.blob_sha256):
            return None
        data[kind] = runtime.blobs.get_bytes("derived", row.blob_sha256)
    if FEATURES not in data:
        return None
    features = VideoFeatures.from_bytes(data[FEATURES])
    return _Parts(features, data, producers, json.loads(data[REPORT]))


def _analyze(runtime: Runtime, video: VideoRow, context: JobContext) -> _Parts:
    """Decode the video once, in the child; its files are read and removed again."""
    _clear_work(runtime, context.job)
    folder = _work_folder(runtime, context.job)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise DiskFull(f"{folder} cannot be made ({error.strerror}); free space, retry") from error
    settings = runtime.settings
    arguments = {
        "path": str(runtime.blobs.local_path("raw", video.sha256)),
        "name": video.original_filename or "the upload",
        "sha256": video.sha256,
        "role": str(video.role),
        "folder": str(folder),
        "settings": settings.model_dump(mode="json", exclude={"api_key", "database_url"}),
    }
    try:
        report = run_limited(
            _TARGET,
            arguments,
            memory_mb=settings.decoder_memory_mb,
            cpu_seconds=settings.decoder_cpu_seconds,
            progress=context.progress,
        )
        data = {kind: (folder / kind).read_bytes() for kind in (FEATURES, THUMBNAILS)}
    finally:
        _clear_work(runtime, context.job)
    data[REPORT] = json.dumps(report, sort_keys=True, ensure_ascii=False).encode()
    features = VideoFeatures.from_bytes(data[FEATURES])
    media = media_producer(settings).fingerprint
    producers = {FEATURES: features.producer.fingerprint, THUMBNAILS: media, REPORT: media}
    return _Parts(features, data, producers, report)


def _work_folder(runtime: Runtime, job: Job) -> Path:
    # The fence keeps a vanished worker that is still writing out of its successor's folder.
    return runtime.blobs.root / _WORK / f"ingest-{job.uid}-{job.fence}"


def _clear_work(runtime: Runtime, job: Job) -> None:
    """Remove what this and earlier attempts at the job left; a successor's folder stays."""
    for folder in (runtime.blobs.root / _WORK).glob(f"ingest-{job.uid}-*"):
        if int(folder.name.rpartition("-")[2]) <= job.fence:
            shutil.rmtree(folder, ignore_errors=True)
