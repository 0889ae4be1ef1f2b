"""What is remembered of analyses: figures of the embedder, and the failures, where that is asked.

A capsule is one JSON line per failed analysis, enough to look for the cause without the video:
which bytes, which backend, which error. No file name, no person. Called by `library.ingest`.
"""

from __future__ import annotations

import json
import os
from enum import StrEnum

from sqlalchemy import Connection

from sopilot.core.errors import SopilotError
from sopilot.core.log import get_logger
from sopilot.embed.open import Choice
from sopilot.jobs.records import Job
from sopilot.library.schemas import VideoRow
from sopilot.runtime import Runtime
from sopilot.store.tallies import Tally, count, observe
from sopilot.store.times import now_text

_log = get_logger(__name__)


class Analysed(StrEnum):
    """Labels of the tally `embedder`."""

    REQUEST = "request"
    PRIMARY = "primary"  # succeeded with the backend asked for
    FALLBACK = "fallback"  # succeeded with another one
    CAPSULE = "capsule"  # failed, and a line was kept


def analysed(connection: Connection, choice: Choice, seconds: float) -> None:
    """Count a successful analysis, in the transaction that makes its video ready."""
    label = Analysed.FALLBACK if choice.has_failed_over else Analysed.PRIMARY
    count(connection, Tally.EMBEDDER, label)
    observe(connection, Tally.FEATURE_SECONDS, choice.backend, seconds)


def keep_capsule(runtime: Runtime, video: VideoRow, job: Job, error: SopilotError) -> None:
    """Append a line on a failed analysis, where the settings ask for it; a full disk is logged."""
    settings = runtime.settings
    if not settings.enable_failure_capsule:
        return
    path = settings.embedder_failure_capsule_path
    path = path or runtime.blobs.root / "embedder_failures.jsonl"
    line = json.dumps(
        {
            "ts": now_text(),
            "run_id": settings.run_id or None,
            "embedder": runtime.choice.backend,
            "video_id": video.id,
            "sha256": video.sha256,
            "job_id": job.uid,
            "attempt": job.attempt,
            "code": error.code,
        }
    )
    try:
        # One write of one line: several processes append to the same file.
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            os.write(descriptor, line.encode() + b"\n")
        finally:
            os.close(descriptor)
    except OSError as fault:
        _log.warning("capsule.not_written", path=str(path), reason=fault.strerror)
        return
    with runtime.database.write() as connection:
        count(connection, Tally.EMBEDDER, Analysed.CAPSULE)
