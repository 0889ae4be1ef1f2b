"""Public shapes of administration: database figures and the state of the queues."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class BackupMade(BaseModel):
    name: str
    backup_path: str = Field(description="Same as name; it lies below the data folder's backups.")
    timestamp: str
    file_count: int


class Optimized(BaseModel):
    status: Literal["optimized"] = "optimized"
    size_before_bytes: int
    size_after_bytes: int


class DatabaseFigures(BaseModel):
    tables: dict[str, int] = Field(description="Rows per table; clips: of ready videos.")
    db_size_bytes: int = Field(description="On SQLite with the write-ahead log.")
    db_size_human: str


class QueueState(BaseModel):
    key: str
    name: str
    queued: int
    started: int
    failed: int
    finished: int
    deferred: int = Field(description="Waits for another job; never here.")
    scheduled: int = Field(description="Part of queued that waits for a moment to come.")


class QueueBackend(BaseModel):
    backend: Literal["inline", "rq"]
    redis_ok: bool | None = Field(description="null: no Redis is used.")
    error: str | None
    queues: list[QueueState]


class QueueResponse(BaseModel):
    generated_at: str
    runtime_mode: Literal["embedded", "external"] = Field(
        description="embedded: this service runs workers; external: `sopilot worker` must."
    )
    queue: QueueBackend
    jobs: dict[str, dict[str, int]] = Field(description="Status to count, and `total`.")
    webhooks: dict[str, int] = Field(description="Deliveries pending, delivered, dead.")
