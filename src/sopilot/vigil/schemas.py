"""Records of VIGIL: footage and its index, chunks, and what a search or a question gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sopilot.core.timespan import TimeSpan


class Domain(StrEnum):
    """What kind of scene a video shows; decides how long its chunks are."""

    GENERIC = "generic"
    FACTORY = "factory"
    SURVEILLANCE = "surveillance"
    SPORTS = "sports"


class IndexState(StrEnum):
    """Life of an index: none until it is asked for, then queued, indexing and one of two ends."""

    NONE = "none"
    QUEUED = "queued"
    INDEXING = "indexing"
    READY = "ready"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class FootageRow:
    """A row of `vigil_videos` beside its video. recorded_at: as its sender wrote it; recorded_from:
    the same moment in UTC, None = not known. counts: chunks by level. covered_sec: seconds that
    chunks with a picture cover. progress: of its index job, 0-1."""

    video_id: int
    domain: Domain
    state: IndexState
    job_id: int | None
    recorded_from: str | None
    producer: str | None
    collection: str | None
    counts: Mapping[str, int]
    covered_sec: float | None
    error_code: str | None
    error_message: str | None
    requested_by: str
    created_at: str
    updated_at: str
    indexed_at: str | None
    held_by: str | None
    hold_reason: str | None
    wants_speech: bool
    speech_job_id: int | None
    uid: str
    status: str
    task_id: str
    camera_id: str | None
    site_id: str | None
    filename: str | None
    recorded_at: str | None
    sha256: str
    size_bytes: int
    duration_sec: float | None
    video_error: str | None
    progress: float | None


@dataclass(frozen=True, slots=True)
class ChunkRow:
    """A row of `chunks`. keyframes_sec: times of stored thumbnails, ascending, each within or, in a
    chunk shorter than their spacing, next to the span; none where the video showed nothing."""

    video_id: int
    level: str
    index: int
    span: TimeSpan
    keyframes_sec: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class NewAnswer:
    """A question and its answer as they are kept. evidence: passages that the answer cites."""

    question: str
    request: Mapping[str, Any]
    answer: str
    method: str
    evidence: Sequence[Mapping[str, Any]]
    unknowns: Sequence[str]
    raw: Mapping[str, Any] | None
    llm_model: str | None
    embedding_model: str | None
    latency_sec: float


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A row of `vigil_queries`."""

    id: int
    uid: str
    question: str
    request: Mapping[str, Any]
    answer: str
    method: str
    confidence: float | None
    evidence: Sequence[Mapping[str, Any]]
    unknowns: Sequence[str]
    llm_model: str | None
    embedding_model: str | None
    latency_sec: float
    feedback: str | None
    feedback_comment: str | None
    feedback_by: str | None
    requested_by: str
    created_at: str


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A row of `retention_rules`. camera_id: None = every camera without a rule of its own."""

    id: int
    uid: str
    camera_id: str | None
    max_age_days: float
    created_by: str
    created_at: str
