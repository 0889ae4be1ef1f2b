"""The tables. One metadata object; migrations/ must always lead from empty to exactly this.

Times are stored as UTC ISO text with microseconds (`2026-02-28T09:00:00.000000+00:00`): one form on
both databases, sortable as text. JSON columns hold canonical JSON. Public
ids are never given twice, also on SQLite (AUTOINCREMENT), so that an old id names nothing new.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    true,
)

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

metadata = MetaData(naming_convention=NAMING)

_TIME = String(32)
_JSON = JSON(none_as_null=True)

tasks = Table(
    "tasks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("task_id", String(128), nullable=False, unique=True),
    Column("task_name", String(256), nullable=False),
    Column("pass_score", Float, nullable=False),
    Column("retrain_score", Float, nullable=False),
    Column("default_weights", _JSON, nullable=False),
    Column("deviation_policy", _JSON, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    sqlite_autoincrement=True,
)

task_steps = Table(
    "task_steps",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("task_id", String(128), ForeignKey("tasks.task_id", ondelete="CASCADE"), nullable=False),
    Column("step_index", Integer, nullable=False),
    Column("name_ja", String(256)),
    Column("name_en", String(256)),
    Column("start_sec", Float),
    Column("end_sec", Float),
    Column("expected_duration_sec", Float),
    Column("min_duration_sec", Float),
    Column("max_duration_sec", Float),
    Column("is_critical", Boolean, nullable=False),
    Column("description", Text),
    Column("kind", String(16)),
    UniqueConstraint("task_id", "step_index"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("kind", String(64), nullable=False),
    Column("queue", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("payload", _JSON, nullable=False),
    Column("requested_by", String(128), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("run_after", _TIME, nullable=False),
    Column("lease_owner", String(128)),
    Column("lease_until", _TIME),
    Column("fence", Integer, nullable=False),
    Column("progress", Float, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("error_details", _JSON),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("started_at", _TIME),
    Column("finished_at", _TIME),
    Index("ix_jobs_ready", "queue", "state", "run_after", "id"),
    Index("ix_jobs_state", "state", "kind"),
    sqlite_autoincrement=True,
)

videos = Table(
    "videos",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("task_id", String(128), ForeignKey("tasks.task_id"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("sha256", String(64), nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("original_filename", String(512)),
    Column("site_id", String(128), index=True),
    Column("camera_id", String(128)),
    Column("operator_id_hash", String(128), index=True),
    Column("recorded_at", String(64)),
    Column("gold_version", Integer),
    Column("ingest_job_id", Integer, ForeignKey("jobs.id"), index=True),
    Column("enforce_quality", Boolean, nullable=False),
    Column("info", _JSON),
    Column("quality", _JSON),
    Column("duration_sec", Float),
    Column("clip_count", Integer),
    Column("step_boundaries", _JSON),
    Column("embedding_model", String(128)),
    Column("producer", String(64)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("is_raw_kept", Boolean, nullable=False, server_default=true()),
    sqlite_autoincrement=True,
)

derived = Table(
    "derived",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("content_sha256", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("producer", String(64), nullable=False),
    Column("blob_sha256", String(64), nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("meta", _JSON, nullable=False),
    Column("created_at", _TIME, nullable=False),
    UniqueConstraint("content_sha256", "kind", "producer"),
)

scores = Table(
    "scores",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("task_id", String(128), ForeignKey("tasks.task_id"), nullable=False, index=True),
    Column("gold_video_id", Integer, ForeignKey("videos.id"), nullable=False, index=True),
    Column("gold_video_ids", _JSON, nullable=False),
    Column("trainee_video_id", Integer, ForeignKey("videos.id"), nullable=False),
    Column("weights", _JSON),
    Column("score", Float),
    Column("decision", String(16)),
    Column("result", _JSON),
    Column("profile_version", Integer),
    Column("algorithm", String(64)),
    Column("requested_by", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("kind", String(16), nullable=False, server_default="score"),
    Column("completed_at", _TIME),
    Column("adapter_version", Integer),
    # All that analytics count stands in these: the rows carry results of many kilobytes.
    Index(
        "ix_scores_completed_at",
        *("completed_at", "id", "task_id", "kind", "trainee_video_id", "score", "decision"),
    ),
    Index(
        "ix_scores_trainee_video_id",
        *("trainee_video_id", "completed_at", "kind", "task_id", "score", "decision"),
    ),
    sqlite_autoincrement=True,
)

score_steps = Table(
    "score_steps",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("score_id", Integer, ForeignKey("scores.id", ondelete="CASCADE"), nullable=False),
    Column("step_index", Integer, nullable=False),
    Column("is_missing", Boolean, nullable=False),
    Column("is_deviating", Boolean, nullable=False),
    Column("is_swapped", Boolean, nullable=False),
    Column("is_over_time", Boolean, nullable=False),
    Column("actual_sec", Float),
    UniqueConstraint("score_id", "step_index"),
)
"""What became of each step in a completed score, so that analytics need not open its record."""

score_reviews = Table(
    "score_reviews",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column(
        "score_id",
        Integer,
        ForeignKey("scores.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    Column("verdict", String(16), nullable=False),
    Column("note", Text),
    Column("reviewer", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
)

profile_versions = Table(
    "profile_versions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("task_id", String(128), ForeignKey("tasks.task_id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("profile", _JSON, nullable=False),
    Column("steps", _JSON, nullable=False),
    Column("changed_by", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    UniqueConstraint("task_id", "version"),
)

adapters = Table(
    "adapters",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("task_id", String(128), ForeignKey("tasks.task_id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("key", String(16), nullable=False),
    Column("video_ids", _JSON, nullable=False),
    Column("proof", _JSON, nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id")),
    Column("created_at", _TIME, nullable=False),
    UniqueConstraint("task_id", "version"),
)
"""Adopted adaptations; the newest of a task is in force."""

trainings = Table(
    "trainings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("trigger", String(16), nullable=False),
    Column("result", _JSON),
    Column("created_at", _TIME, nullable=False),
    sqlite_autoincrement=True,
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("video_id", Integer, ForeignKey("videos.id"), nullable=False, unique=True),
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True),
    Column("domain", String(16)),
    Column("language", String(8), nullable=False),
    Column("custom_events", _JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("stage", Integer),
    Column("method", String(16)),
    Column("inferred_domain", String(16)),
    Column("has_event", Boolean),
    Column("duration_sec", Float),
    Column("frame_count", Integer),
    Column("window_count", Integer),
    Column("model_version", String(256)),
    Column("prompt_version", String(64)),
    Column("analysis", _JSON),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("requested_by", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    sqlite_autoincrement=True,
)
"""Videos that were sent in to be looked through for dangerous events, each with its own row of
`videos`. analysis: every answer and picture hash of its passes, enough to conclude anew."""

incident_events = Table(
    "incident_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("incident_id", Integer, ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("event_type", String(64), nullable=False),
    Column("start_sec", Float, nullable=False),
    Column("end_sec", Float, nullable=False),
    Column("highlight_start_sec", Float, nullable=False),
    Column("highlight_end_sec", Float, nullable=False),
    Column("confidence", Float),
    Column("score", Float),
    Column("percentile", Float),
    Column("method", String(16), nullable=False),
    Column("description", Text, nullable=False),
    Column("keyframe_sec", Float),
    Column("keyframe", LargeBinary),
    Index("ix_incident_events_incident_id", "incident_id", "start_sec", "id"),
    sqlite_autoincrement=True,
)
"""What was found. keyframe: JPEG of the highlight, so that a report needs no other file."""

incident_windows = Table(
    "incident_windows",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Integer, ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("window_index", Integer, nullable=False),
    Column("start_sec", Float, nullable=False),
    Column("end_sec", Float, nullable=False),
    Column("label", String(16), nullable=False),
    Column("has_event", Boolean),
    Column("caption", Text),
    Column("risk_score", Float),
    Column("event_type", String(64)),
    UniqueConstraint("incident_id", "window_index"),
    sqlite_autoincrement=True,
)
"""The timeline: the windows of the pass that decided. has_event: None where nobody looked."""

incident_logs = Table(
    "incident_logs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("incident_id", Integer, ForeignKey("incidents.id", ondelete="CASCADE"), nullable=False),
    Column("event", String(32), nullable=False),
    Column("status", String(16), nullable=False),
    Column("stage", Integer),
    Column("detail", _JSON, nullable=False),
    Column("model_version", String(256)),
    Column("prompt_version", String(64)),
    Column("created_at", _TIME, nullable=False),
    Index("ix_incident_logs_incident_id", "incident_id", "id"),
    sqlite_autoincrement=True,
)
"""What happened to an incident, append-only; its ids are the event ids of the status stream."""

vigil_videos = Table(
    "vigil_videos",
    metadata,
    Column(
        "video_id",
        Integer,
        ForeignKey("videos.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("domain", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True),
    Column("recorded_from", _TIME, index=True),
    Column("producer", String(64)),
    Column("collection", String(64)),
    Column("counts", _JSON, nullable=False),
    Column("covered_sec", Float),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("requested_by", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("updated_at", _TIME, nullable=False),
    Column("indexed_at", _TIME),
    Column("held_by", String(128)),
    Column("hold_reason", Text),
    Column("texts_producer", String(64)),
    Column("texts_count", Integer),
    Column("texts_last_id", Integer),
    Column("wants_speech", Boolean, nullable=False, server_default=false()),
    Column("speech_job_id", Integer, ForeignKey("jobs.id"), index=True),
)
"""Videos that VIGIL knows. counts: chunks by level. producer: of its chunks and vectors. held_by:
who forbade to delete it, None = nobody. texts_*: which annotations have vectors, and whose: as many
and up to that id; ids are never used twice, so that every change shows. wants_speech: the index
is to have what is said. speech_job_id: the last job that transcribed it by itself."""

retention_rules = Table(
    "retention_rules",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("camera_id", String(128), unique=True),
    Column("max_age_days", Float, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    sqlite_autoincrement=True,
)
"""After how many days footage is deleted; camera_id None = of cameras without a rule."""

chunks = Table(
    "chunks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("video_id", Integer, ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
    Column("level", String(16), nullable=False),
    Column("chunk_index", Integer, nullable=False),
    Column("start_sec", Float, nullable=False),
    Column("end_sec", Float, nullable=False),
    Column("keyframes_sec", _JSON, nullable=False),
    UniqueConstraint("video_id", "level", "chunk_index"),
    Index("ix_chunks_start_sec", "video_id", "level", "start_sec"),
)
"""Indexed spans. keyframes_sec: times of the stored thumbnails that stand for one."""

embeddings = Table(
    "embeddings",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("collection", String(64), nullable=False, unique=True),
    Column("model_name", String(256), nullable=False),
    Column("model_version", String(128), nullable=False),
    Column("dimension", Integer, nullable=False),
    Column("settings", _JSON, nullable=False),
    Column("created_at", _TIME, nullable=False),
)
"""Which model a collection of vectors is of."""

event_definitions = Table(
    "event_definitions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("event_type", String(64), nullable=False),
    Column("version", Integer, nullable=False),
    Column("description", Text, nullable=False),
    Column("visual_cues", _JSON, nullable=False),
    Column("contrast", Text),
    Column("method", String(16), nullable=False),
    Column("threshold", Float),
    Column("alert", _JSON),
    Column("is_enabled", Boolean, nullable=False),
    Column("created_by", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    UniqueConstraint("event_type", "version"),
    sqlite_autoincrement=True,
)
"""Events in plain words, every version kept; the highest of a type is in force."""

event_runs = Table(
    "event_runs",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column(
        "definition_id",
        Integer,
        ForeignKey("event_definitions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("video_id", Integer, ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
    Column("job_id", Integer, ForeignKey("jobs.id"), index=True),
    Column("state", String(16), nullable=False),
    Column("checked_sec", Float),
    Column("unchecked", _JSON, nullable=False),
    Column("model_version", String(256)),
    Column("prompt_version", String(64)),
    Column("analysis", _JSON),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("requested_by", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("finished_at", _TIME),
    UniqueConstraint("definition_id", "video_id"),
    Index("ix_event_runs_video_id", "video_id"),
    sqlite_autoincrement=True,
)
"""One version of a definition looked for in one video. unchecked: spans that nobody looked at."""

vigil_events = Table(
    "vigil_events",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("video_id", Integer, ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
    Column("run_id", Integer, ForeignKey("event_runs.id", ondelete="CASCADE"), index=True),
    Column("event_type", String(64), nullable=False),
    Column("start_sec", Float, nullable=False),
    Column("end_sec", Float, nullable=False),
    Column("confidence", Float),
    Column("score", Float),
    Column("method", String(16), nullable=False),
    Column("description", Text, nullable=False),
    Column("evidence", _JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reviewed_by", String(128)),
    Column("reviewed_at", _TIME),
    Column("note", Text),
    Column("alerted_at", _TIME),
    Column("created_at", _TIME, nullable=False),
    Index("ix_vigil_events_video_id", "video_id", "start_sec", "id"),
    Index("ix_vigil_events_event_type", "event_type", "status"),
    sqlite_autoincrement=True,
)
"""Events of footage. run_id: None where they were imported. score: of the method, 0-1, not
calibrated."""

vigil_queries = Table(
    "vigil_queries",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("question", Text, nullable=False),
    Column("request", _JSON, nullable=False),
    Column("answer", Text, nullable=False),
    Column("method", String(16), nullable=False),
    Column("confidence", Float),
    Column("evidence", _JSON, nullable=False),
    Column("unknowns", _JSON, nullable=False),
    Column("raw", _JSON),
    Column("llm_model", String(256)),
    Column("embedding_model", String(256)),
    Column("latency_sec", Float, nullable=False),
    Column("feedback", String(8)),
    Column("feedback_comment", Text),
    Column("feedback_by", String(128)),
    Column("requested_by", String(128), nullable=False),
    Column("created_at", _TIME, nullable=False),
    sqlite_autoincrement=True,
)
"""Questions with their answers and evidence. raw: what was sent to a model and what it said."""
annotation_rows = Table(
    "annotations",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("video_id", Integer, ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
    Column("source", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("label", String(256)),
    Column("start_sec", Float, nullable=False),
    Column("end_sec", Float, nullable=False),
    Column("text", Text, nullable=False),
    Column("language", String(16)),
    Column("detail", _JSON, nullable=False),
    Column("producer", String(64), nullable=False),
    Column("term_count", Integer, nullable=False),
    Column("tokens", Text, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Index("ix_annotations_video_id", "video_id", "source", "start_sec"),
    Index("ix_annotations_producer", "producer", "source"),
    sqlite_autoincrement=True,
)
"""Timed texts and events of videos that one feature writes and another reads. tokens: the terms of
the text as the word index takes them (see `store.lexical`), repeated as often as they occur."""

annotation_sets = Table(
    "annotation_sets",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("video_id", Integer, ForeignKey("videos.id", ondelete="CASCADE"), nullable=False),
    Column("source", String(16), nullable=False),
    Column("producer", String(64), nullable=False),
    Column("analyzer", String(64), nullable=False),
    Column("text_count", Integer, nullable=False),
    Column("term_count", Integer, nullable=False),
    UniqueConstraint("video_id", "source", "producer"),
    Index("ix_annotation_sets_analyzer", "analyzer", "text_count", "term_count"),
)
"""What one producer says of one video: how much, and whose terms these are. Ranking asks how many
texts there are and how long all are together, which must not take longer with each of them."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("uid", String(36), nullable=False, unique=True),
    Column("event", String(64), nullable=False),
    Column("payload", _JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("run_after", _TIME, nullable=False),
    Column("last_error", Text),
    Column("created_at", _TIME, nullable=False),
    Column("delivered_at", _TIME),
    Index("ix_outbox_ready", "state", "run_after", "id"),
    sqlite_autoincrement=True,
)

tallies = Table(
    "tallies",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("tally", String(32), nullable=False),
    Column("label", String(128), nullable=False),
    Column("bound", Float),
    Column("count", Integer, nullable=False),
    Column("total_sec", Float, nullable=False),
    sqlite_autoincrement=True,
)
"""Occurrences and seconds for the metrics (see `store.tallies`); names no video and no person."""

ui_sessions = Table(
    "ui_sessions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("token_sha256", String(64), nullable=False, unique=True),
    Column("actor", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("expires_at", _TIME, nullable=False),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("ts", _TIME, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("role", String(16), nullable=False),
    Column("action", String(64), nullable=False, index=True),
    Column("resource", String(256), nullable=False),
    Column("task_id", String(128), index=True),
    Column("request_id", String(128)),
    Column("ip", String(64)),
    Column("outcome", String(16), nullable=False),
    Column("detail", _JSON, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""Append-only; every row carries the hash of the one before it (see `store.audit`)."""
