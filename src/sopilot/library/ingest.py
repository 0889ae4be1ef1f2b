"""The ingest job: a stored file becomes a ready video, or a failed one whose file is removed.

The untrusted file is opened only in the limited child (`library.analyze`). What the same producers
made of the same bytes before is used again without decoding. Result and job completion are one
transaction. Features and thumbnails stay in files: the memory of an ingest is that of a short one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from sopilot.core.errors import (
    BlobNotFound,
    Conflict,
    DiskFull,
    MediaError,
    ModelError,
    SopilotError,
    StoreError,
    VideoNotFound,
    WorkerLost,
)
from sopilot.core.log import get_logger
from sopilot.embed.base import VideoFeatures
from sopilot.jobs.context import JobContext
from sopilot.jobs.records import Job
from sopilot.library import queries
from sopilot.library.add import quality_error
from sopilot.library.analyze import (
    FEATURES,
    MASKED,
    MASKED_FILE,
    PICTURES,
    REPORT,
    SIGNALS,
    THUMBNAILS,
    analysis_arguments,
    feature_producer,
    fitting_producers,
    is_masked,
    media_producer,
)
from sopilot.library.capsules import Analysed, analysed, keep_capsule
from sopilot.library.look import picture_producer
from sopilot.library.moments import forget_video, index_video
from sopilot.library.play import uploaded_file
from sopilot.library.remove import note, release_after, settle
from sopilot.library.schemas import Analysis, VideoRow
from sopilot.library.workplace import clear_workplace, workplace
from sopilot.media.isolate import run_limited
from sopilot.media.pictures import plan_of
from sopilot.runtime import Runtime
from sopilot.store.derived import find_derived, record_derived
from sopilot.store.engine import after_commit
from sopilot.store.tallies import Tally, count

_TARGET = "sopilot.library.analyze:analyze"

_log = get_logger(__name__)

BoundariesOf = Callable[[Path], tuple[int, ...]]
"""Proposes step boundaries as clip indices, edges included, of a file of features; given by the
band above."""


@dataclass(frozen=True, slots=True)
class _Parts:
    """What one pass made: files by kind with their producers' fingerprints, and the report."""

    files: Mapping[str, Path]
    producers: Mapping[str, str]
    report: Mapping[str, Any]
    analysis_sec: float | None = None  # None: known before, or nothing to score


VideoHook = Callable[[Connection, VideoRow], None]
"""What a feature of the band above does in the transaction that makes a video ready, or failed."""


def no_hook(_connection: Connection, _video: VideoRow) -> None:
    """The VideoHook of a caller who waits for no video."""


def ingest_video(
    runtime: Runtime,
    context: JobContext,
    boundaries_of: BoundariesOf,
    on_ready: VideoHook = no_hook,
) -> None:
    """Make the job's video ready. Raises what the file or the limits make of it."""
    with runtime.database.read() as connection:
        video = queries.get_video(connection, int(context.job.payload["video_id"]))
        task = queries.task_number(connection, video.task_id)
    with _parts(runtime, video, context) as parts:
        found = _analysis(parts, boundaries_of)
        if video.is_gold and video.enforce_quality and not found.quality["overall_pass"]:
            raise quality_error(dict(found.quality))
        _store(runtime, context, video, task, parts, found, on_ready)


def _store(
    runtime: Runtime,
    context: JobContext,
    video: VideoRow,
    task: int,
    parts: _Parts,
    found: Analysis,
    on_ready: VideoHook,
) -> None:
    """Keep the files, then their rows, the ready video and the end of the job at once."""
    notes: list[tuple[Path, str]] = []
    stored = {}
    try:
        # Before the transaction, which must be short.
        for kind, path in parts.files.items():
            blob_sha256 = runtime.blobs.put_file("derived", path)
            notes.append((note(runtime, "derived", blob_sha256), blob_sha256))
            stored[kind] = (blob_sha256, path.stat().st_size)
        # Before the row is ready: a killed worker leaves moments that no search shows, never a
        # ready video without any.
        if FEATURES in parts.files:
            index_video(runtime, video, task, parts.files[FEATURES])
        with context.commit() as connection:
            for kind, (blob_sha256, size_bytes) in stored.items():
                record_derived(
                    connection,
                    content_sha256=video.sha256,
                    kind=kind,
                    producer=parts.producers[kind],
                    blob_sha256=blob_sha256,
                    size_bytes=size_bytes,
                )
            if parts.analysis_sec is not None:
                analysed(connection, runtime.choice, parts.analysis_sec)
            is_raw_kept = runtime.settings.privacy_keep_raw
            queries.mark_ready(connection, video, found, is_raw_kept=is_raw_kept)
            if not is_raw_kept:
                release_after(connection, runtime, video.sha256)
            on_ready(connection, queries.get_video(connection, video.id))
    except BaseException:
        for noted, blob_sha256 in notes:
            settle(runtime, "derived", blob_sha256, noted)
        _forget_if_gone(runtime, video.id)
        raise
    for noted, _ in notes:
        noted.unlink(missing_ok=True)


def _forget_if_gone(runtime: Runtime, video_id: int) -> None:
    """Take back the moments of a video that was deleted while it was analysed."""
    try:
        with runtime.database.read() as connection:
            queries.get_video(connection, video_id)
    except VideoNotFound:
        forget_video(runtime, video_id)
    except StoreError as error:
        _log.warning("ingest.not_looked_at", video_id=video_id, reason=error.message)


def fail_video(
    runtime: Runtime,
    connection: Connection,
    job: Job,
    error: SopilotError,
    on_failed: VideoHook = no_hook,
) -> None:
    """The end of an ingest that failed or was cancelled: row failed, nothing else left."""
    clear_workplace(runtime, job, "ingest")
    video = queries.get_video(connection, int(job.payload["video_id"]))
    queries.mark_failed(connection, video.id, error.code, error.message)
    release_after(connection, runtime, video.sha256)
    after_commit(connection, partial(forget_video, runtime, video.id))
    on_failed(connection, queries.get_video(connection, video.id))


@contextmanager
def _parts(runtime: Runtime, video: VideoRow, context: JobContext) -> Iterator[_Parts]:
    """Known parts, or new ones, whose files are gone afterwards."""
    with workplace(runtime, context.job, "ingest") as folder:
        yield _stored_parts(runtime, video) or _analyze(runtime, video, context, folder)


def _analysis(parts: _Parts, boundaries_of: BoundariesOf) -> Analysis:
    found = Analysis(
        info=parts.report["info"],
        quality=parts.report["quality"],
        duration_sec=float(parts.report["duration_sec"]),
    )
    if FEATURES not in parts.files:
        return found
    features = VideoFeatures.from_file(parts.files[FEATURES])
    return replace(
        found,
        clip_count=features.clip_count,
        step_boundaries=boundaries_of(parts.files[FEATURES]),
        embedding_model=features.producer.version,
        producer=features.producer.fingerprint,
    )


def _stored_parts(runtime: Runtime, video: VideoRow) -> _Parts | None:
    """What an earlier ingest of the same bytes left; None when a part is missing or damaged."""
    media = media_producer(runtime.settings).fingerprint
    producers = {THUMBNAILS: media, REPORT: media}
    if is_masked(runtime.settings):
        producers[MASKED] = media
    extra = {SIGNALS: media}  # older versions made none; who needs it looks again
    with runtime.database.read() as connection:
        for producer in fitting_producers(runtime.settings, runtime.embedder, video.role):
            if find_derived(connection, video.sha256, FEATURES, producer) is not None:
                producers[FEATURES] = producer
                break
        for kind, producer in extra.items():
            if find_derived(connection, video.sha256, kind, producer) is not None:
                producers[kind] = producer
        rows = {
            kind: find_derived(connection, video.sha256, kind, producer)
            for kind, producer in producers.items()
        }
    hashes = {kind: row.blob_sha256 for kind, row in rows.items() if row is not None}
    exists = (runtime.blobs.exists("derived", blob_sha256) for blob_sha256 in hashes.values())
    is_unknown = video.role.is_scored and FEATURES not in hashes
    if is_unknown or len(hashes) < len(rows) or not all(exists):
        return None
    try:
        files = {kind: runtime.blobs.checked_path("derived", item) for kind, item in hashes.items()}
    except (StoreError, BlobNotFound):
        _log.warning("derived.damaged", video_id=video.id)
        return None  # the analysis makes it anew, and storing it replaces the damaged file
    return _Parts(files, producers, json.loads(files[REPORT].read_text(encoding="utf-8")))


def _analyze(runtime: Runtime, video: VideoRow, context: JobContext, folder: Path) -> _Parts:
    """Decode the video once, in the child, which writes into the job's work folder."""
    own = FEATURES if video.role.is_scored else SIGNALS
    files = {kind: folder / kind for kind in (own, THUMBNAILS, REPORT)}
    settings = runtime.settings
    plan = context.job.payload.get("plan")
    if plan is not None:
        files[PICTURES] = folder / PICTURES
    if is_masked(settings):
        files[MASKED] = folder / MASKED_FILE
    if not video.is_raw_kept:
        raise Conflict(
            f"video {video.id} cannot be analysed again: its upload was not kept "
            "(SOPILOT_PRIVACY_KEEP_RAW=false); upload the file again"
        )
    path = uploaded_file(runtime, video)
    name = video.original_filename or "the upload"
    if video.role.is_scored:
        with runtime.database.write() as connection:
            count(connection, Tally.EMBEDDER, Analysed.REQUEST)
    begun_sec = time.monotonic()
    try:
        folder.mkdir(parents=True)
        report = run_limited(
            _TARGET,
            analysis_arguments(
                settings,
                path,
                name=name,
                sha256=video.sha256,
                role=video.role,
                folder=folder,
                backend=runtime.choice.backend,
                plan=plan,
            ),
            memory_mb=settings.decoder_memory_mb,
            cpu_seconds=settings.decoder_cpu_seconds,
            progress=context.progress,
        )
        text = json.dumps(report, sort_keys=True, ensure_ascii=False)
        files[REPORT].write_text(text, encoding="utf-8")
    except (MediaError, ModelError, WorkerLost) as error:
        keep_capsule(runtime, video, context.job, error)
        raise
    except OSError as error:
        raise DiskFull(
            f"{folder} cannot be written ({error.strerror}); free space, then retry"
        ) from error
    media = media_producer(settings).fingerprint
    producers = dict.fromkeys(files, media)
    if plan is not None:
        producers[PICTURES] = picture_producer(runtime, plan_of(plan))
    if not video.role.is_scored:
        return _Parts(files, producers, report)
    producers[FEATURES] = feature_producer(settings, runtime.embedder, video.role).fingerprint
    return _Parts(files, producers, report, time.monotonic() - begun_sec)
