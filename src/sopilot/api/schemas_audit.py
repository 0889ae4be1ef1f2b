"""Shapes of `/audit/*`."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field

from sopilot.ops.audit_export import AuditExport
from sopilot.ops.audit_queries import JobType, TrailFilter
from sopilot.store.audit import Action, Outcome
from sopilot.store.times import text_of


def _to_utc(value: datetime) -> datetime:
    try:
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("give a moment between the years 1 and 9999 of UTC") from error


Moment = Annotated[datetime | None, AfterValidator(lambda value: value and _to_utc(value))]
Words = Annotated[str | None, Field(max_length=256)]


class TrailQuery(BaseModel):
    """Which rows of the audit log are wanted."""

    limit: int = Field(default=100, ge=1, le=1000)
    action: Action | None = None
    actor: Words = Field(default=None, description="As in the row, such as `token:api`.")
    task_id: Words = None
    resource: Words = Field(default=None, description="As in the row, such as `video:12`.")
    outcome: Outcome | None = None
    since: Moment = Field(default=None, description="ISO 8601; without a zone it is UTC.")
    before: Moment = Field(default=None, description="Excluded; as `since`.")
    before_seq: int | None = Field(
        default=None, ge=1, le=2**31 - 1, description="Rows older than this one, to page."
    )

    @property
    def chosen(self) -> TrailFilter:
        """The filter as the query takes it."""
        plain = self.model_dump(exclude={"limit"})
        for name in ("since", "before"):
            plain[name] = None if plain[name] is None else text_of(plain[name])
        return TrailFilter(**plain)


class TrailItem(BaseModel):
    """One row with the job it is about; the fields from `seq` on are what the hash covers."""

    job_id: str | None = Field(description="UUID of the job as it is now; null: none (any more).")
    job_type: JobType | None
    requested_by: str = Field(description="Who asked for the job; without one the actor.")
    task_id: str | None
    subject: str
    status: str | None
    model_name: str | None
    score: float | None
    error_message: str | None
    queued_at: str | None
    started_at: str | None
    finished_at: str | None
    created_at: str
    seq: int
    ts: str
    actor: str
    role: str
    action: str
    resource: str
    request_id: str | None
    ip: str | None
    outcome: str
    detail: dict[str, Any]
    prev_hash: str
    hash: str


class TrailResponse(BaseModel):
    items: list[TrailItem] = Field(description="Newest first.")
    has_more: bool
    next_before_seq: int | None = Field(description="`before_seq` of the next page.")


class SignatureFields(BaseModel):
    algorithm: str
    key_id: str
    payload_sha256: str
    signature_hex: str


class ChainFields(BaseModel):
    first_seq: int | None
    last_seq: int | None
    last_hash: str | None


class AuditExportMade(BaseModel):
    export_id: str
    generated_at: str
    item_count: int
    file_path: str = Field(description="Below the data folder.")
    signature: SignatureFields
    chain: ChainFields


def trail_response(items: list[dict[str, Any]], limit: int) -> TrailResponse:
    """A page of at most `limit` items, of which one more was read to know whether it is the last.

    Built without validation: the rows are ours, and one that somebody changed is shown as it is.
    """
    page = [TrailItem.model_construct(**item) for item in items[:limit]]
    has_more = len(items) > limit
    return TrailResponse.model_construct(
        items=page, has_more=has_more, next_before_seq=page[-1].seq if has_more else None
    )


def export_made(made: AuditExport, file_path: str) -> AuditExportMade:
    """What the caller of an export is told."""
    return AuditExportMade(
        export_id=made.export_id,
        generated_at=made.generated_at,
        item_count=made.item_count,
        file_path=file_path,
        signature=SignatureFields(**asdict(made.signature)),
        chain=ChainFields(**asdict(made.chain)),
    )
