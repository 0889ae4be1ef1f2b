"""VIGIL events: definitions in plain words, runs of them over videos, and what they found."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)
_TIME = sa.String(length=32)
_UID = sa.String(length=36)


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "event_definitions",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", _UID, nullable=False),
        sa.Column("event_type", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("visual_cues", _JSON, nullable=False),
        sa.Column("contrast", sa.Text(), nullable=True),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("threshold", sa.Float(), nullable=True),
        sa.Column("alert", _JSON, nullable=True),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_definitions")),
        sa.UniqueConstraint("uid", name=op.f("uq_event_definitions_uid")),
        sa.UniqueConstraint("event_type", "version", name=op.f("uq_event_definitions_event_type")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "event_runs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", _UID, nullable=False),
        sa.Column("definition_id", sa.Integer(), nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("checked_sec", sa.Float(), nullable=True),
        sa.Column("unchecked", _JSON, nullable=False),
        sa.Column("model_version", sa.String(length=256), nullable=True),
        sa.Column("prompt_version", sa.String(length=64), nullable=True),
        sa.Column("analysis", _JSON, nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["definition_id"],
            ["event_definitions.id"],
            name=op.f("fk_event_runs_definition_id_event_definitions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_event_runs_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_event_runs_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_runs")),
        sa.UniqueConstraint("uid", name=op.f("uq_event_runs_uid")),
        sa.UniqueConstraint("definition_id", "video_id", name=op.f("uq_event_runs_definition_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_event_runs_job_id"), "event_runs", ["job_id"])
    op.create_index("ix_event_runs_video_id", "event_runs", ["video_id"])
    op.create_table(
        "vigil_events",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", _UID, nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.Integer(), nullable=True),
        sa.Column("event_type", sa.String(length=64), nullable=False),
        sa.Column("start_sec", sa.Float(), nullable=False),
        sa.Column("end_sec", sa.Float(), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("evidence", _JSON, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("reviewed_by", sa.String(length=128), nullable=True),
        sa.Column("reviewed_at", _TIME, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("alerted_at", _TIME, nullable=True),
        sa.Column("created_at", _TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["event_runs.id"],
            name=op.f("fk_vigil_events_run_id_event_runs"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_vigil_events_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vigil_events")),
        sa.UniqueConstraint("uid", name=op.f("uq_vigil_events_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_vigil_events_run_id"), "vigil_events", ["run_id"])
    op.create_index("ix_vigil_events_video_id", "vigil_events", ["video_id", "start_sec", "id"])
    op.create_index("ix_vigil_events_event_type", "vigil_events", ["event_type", "status"])


def downgrade() -> None:
    """Drop them."""
    for table in ("vigil_events", "event_runs", "event_definitions"):
        op.drop_table(table)
