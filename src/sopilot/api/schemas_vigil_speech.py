"""Shapes of speech recognition over HTTP."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from sopilot.jobs.records import Job


class SpeechOrder(BaseModel):
    model_config = ConfigDict(extra="forbid")

    replace: bool = Field(
        default=False,
        description="Remove the imported transcript, if any, once the recognised one is there.",
    )


class SpeechState(BaseModel):
    job_id: int
    state: str = Field(description="queued, running, completed, failed or cancelled.")
    progress: float
    error_code: str | None
    error: str | None


def speech_shape(job: Job) -> SpeechState:
    """How far a transcription is."""
    return SpeechState(
        job_id=job.id,
        state=str(job.state),
        progress=job.progress,
        error_code=job.error_code,
        error=job.error_message,
    )
