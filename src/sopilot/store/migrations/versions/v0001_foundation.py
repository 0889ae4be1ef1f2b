"""The first tables: tasks, steps, jobs, videos, derived arrays, scores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "derived",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("content_sha256", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("producer", sa.String(length=64), nullable=False),
        sa.Column("blob_sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("meta", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_derived")),
        sa.UniqueConstraint(
            "content_sha256", "kind", "producer", name=op.f("uq_derived_content_sha256")
        ),
    )
    op.create_index(op.f("ix_derived_blob_sha256"), "derived", ["blob_sha256"], unique=False)
    op.create_table(
        "jobs",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("run_after", sa.String(length=32), nullable=False),
        sa.Column("lease_owner", sa.String(length=128), nullable=True),
        sa.Column("lease_until", sa.String(length=32), nullable=True),
        sa.Column("fence", sa.Integer(), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_details", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.Column("started_at", sa.String(length=32), nullable=True),
        sa.Column("finished_at", sa.String(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        sa.UniqueConstraint("uid", name=op.f("uq_jobs_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_jobs_ready", "jobs", ["queue", "state", "run_after", "id"], unique=False)
    op.create_index("ix_jobs_state", "jobs", ["state", "kind"], unique=False)
    op.create_table(
        "tasks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("task_name", sa.String(length=256), nullable=False),
        sa.Column("pass_score", sa.Float(), nullable=False),
        sa.Column("retrain_score", sa.Float(), nullable=False),
        sa.Column("default_weights", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("deviation_policy", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("task_id", name=op.f("uq_tasks_task_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_tasks_uid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "task_steps",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("step_index", sa.Integer(), nullable=False),
        sa.Column("name_ja", sa.String(length=256), nullable=True),
        sa.Column("name_en", sa.String(length=256), nullable=True),
        sa.Column("start_sec", sa.Float(), nullable=True),
        sa.Column("end_sec", sa.Float(), nullable=True),
        sa.Column("expected_duration_sec", sa.Float(), nullable=True),
        sa.Column("min_duration_sec", sa.Float(), nullable=True),
        sa.Column("max_duration_sec", sa.Float(), nullable=True),
        sa.Column("is_critical", sa.Boolean(), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["tasks.task_id"],
            name=op.f("fk_task_steps_task_id_tasks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_steps")),
        sa.UniqueConstraint("task_id", "step_index", name=op.f("uq_task_steps_task_id")),
    )
    op.create_table(
        "videos",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("original_filename", sa.String(length=512), nullable=True),
        sa.Column("site_id", sa.String(length=128), nullable=True),
        sa.Column("camera_id", sa.String(length=128), nullable=True),
        sa.Column("operator_id_hash", sa.String(length=128), nullable=True),
        sa.Column("recorded_at", sa.String(length=64), nullable=True),
        sa.Column("gold_version", sa.Integer(), nullable=True),
        sa.Column("ingest_job_id", sa.Integer(), nullable=True),
        sa.Column("enforce_quality", sa.Boolean(), nullable=False),
        sa.Column("info", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("quality", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("duration_sec", sa.Float(), nullable=True),
        sa.Column("clip_count", sa.Integer(), nullable=True),
        sa.Column("step_boundaries", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("embedding_model", sa.String(length=128), nullable=True),
        sa.Column("producer", sa.String(length=64), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["ingest_job_id"], ["jobs.id"], name=op.f("fk_videos_ingest_job_id_jobs")
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.task_id"], name=op.f("fk_videos_task_id_tasks")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_videos")),
        sa.UniqueConstraint("uid", name=op.f("uq_videos_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_videos_ingest_job_id"), "videos", ["ingest_job_id"], unique=False)
    op.create_index(
        op.f("ix_videos_operator_id_hash"), "videos", ["operator_id_hash"], unique=False
    )
    op.create_index(op.f("ix_videos_sha256"), "videos", ["sha256"], unique=False)
    op.create_index(op.f("ix_videos_site_id"), "videos", ["site_id"], unique=False)
    op.create_index(op.f("ix_videos_task_id"), "videos", ["task_id"], unique=False)
    op.create_table(
        "scores",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.String(length=128), nullable=False),
        sa.Column("gold_video_id", sa.Integer(), nullable=False),
        sa.Column("gold_video_ids", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("trainee_video_id", sa.Integer(), nullable=False),
        sa.Column("weights", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("decision", sa.String(length=16), nullable=True),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("profile_version", sa.Integer(), nullable=True),
        sa.Column("algorithm", sa.String(length=64), nullable=True),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["gold_video_id"], ["videos.id"], name=op.f("fk_scores_gold_video_id_videos")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_scores_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["task_id"], ["tasks.task_id"], name=op.f("fk_scores_task_id_tasks")
        ),
        sa.ForeignKeyConstraint(
            ["trainee_video_id"], ["videos.id"], name=op.f("fk_scores_trainee_video_id_videos")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scores")),
        sa.UniqueConstraint("job_id", name=op.f("uq_scores_job_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_scores_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_scores_gold_video_id"), "scores", ["gold_video_id"], unique=False)
    op.create_index(op.f("ix_scores_task_id"), "scores", ["task_id"], unique=False)
    op.create_index(
        op.f("ix_scores_trainee_video_id"), "scores", ["trainee_video_id"], unique=False
    )


def downgrade() -> None:
    """Drop the tables, those that point to others first."""
    op.drop_index(op.f("ix_scores_trainee_video_id"), table_name="scores")
    op.drop_index(op.f("ix_scores_task_id"), table_name="scores")
    op.drop_index(op.f("ix_scores_gold_video_id"), table_name="scores")
    op.drop_table("scores")
    op.drop_index(op.f("ix_videos_task_id"), table_name="videos")
    op.drop_index(op.f("ix_videos_site_id"), table_name="videos")
    op.drop_index(op.f("ix_videos_sha256"), table_name="videos")
    op.drop_index(op.f("ix_videos_operator_id_hash"), table_name="videos")
    op.drop_index(op.f("ix_videos_ingest_job_id"), table_name="videos")
    op.drop_table("videos")
    op.drop_table("task_steps")
    op.drop_table("tasks")
    op.drop_index("ix_jobs_state", table_name="jobs")
    op.drop_index("ix_jobs_ready", table_name="jobs")
    op.drop_table("jobs")
    op.drop_index(op.f("ix_derived_blob_sha256"), table_name="derived")
    op.drop_table("derived")
