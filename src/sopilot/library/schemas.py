"""Records of the library: what is known about a stored video, and what comes with an upload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sopilot.core.records import Role


class VideoStatus(StrEnum):
    """Life of a video row: processing until its ingest job ended, then one of the other two."""

    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UploadMeta:
    """What the sender says about a recording; nothing of it is interpreted."""

    original_filename: str | None = None
    site_id: str | None = None
    camera_id: str | None = None
    operator_id_hash: str | None = None
    recorded_at: str | None = None


@dataclass(frozen=True, slots=True)
class VideoRow:
    """A row of `videos`. Ready rows have info, quality, duration and, unless they are footage,
    clips and boundaries.

    info: VideoInfo as a mapping, with sampled_fps. quality: QualityReport as a mapping.
    step_boundaries: clip indices, edges included (0 .. clip_count). producer: fingerprint of what
    made the features.
    """

    id: int
    uid: str
    task_id: str
    role: Role
    status: VideoStatus
    sha256: str
    size_bytes: int
    original_filename: str | None
    site_id: str | None
    camera_id: str | None
    operator_id_hash: str | None
    recorded_at: str | None
    gold_version: int | None
    ingest_job_id: int | None
    enforce_quality: bool
    info: Mapping[str, Any] | None
    quality: Mapping[str, Any] | None
    duration_sec: float | None
    clip_count: int | None
    step_boundaries: tuple[int, ...]
    embedding_model: str | None
    producer: str | None
    error_code: str | None
    error_message: str | None
    created_at: str
    updated_at: str
    is_raw_kept: bool = True

    @property
    def is_gold(self) -> bool:
        """Is the video a reference of its task?"""
        return self.role is Role.GOLD


@dataclass(frozen=True, slots=True)
class DatasetFigures:
    """How many videos a task has; failed ones are not counted. by_site: "" = none named."""

    total_count: int
    gold_count: int
    trainee_count: int
    ready_count: int
    by_site: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Analysis:
    """What ingest found in a video; the ready row is made of it. Footage has no clips."""

    info: Mapping[str, Any]
    quality: Mapping[str, Any]
    duration_sec: float
    clip_count: int | None = None
    step_boundaries: tuple[int, ...] = ()
    embedding_model: str | None = None
    producer: str | None = None


@dataclass(frozen=True, slots=True)
class VideoFilter:
    """Which rows a list shows; None = any, but footage only by its role."""

    task_id: str | None = None
    role: Role | None = None
    site_id: str | None = None
    is_gold: bool | None = None
    operator_id_hash: str | None = None
    status: VideoStatus | None = None
