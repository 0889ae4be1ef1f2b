"""VIGIL: footage with its chunks, the models of its vectors, questions and their answers.

Videos of incidents become footage, which is searched and never scored.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_JSON = sa.JSON(none_as_null=True)
_OF_INCIDENTS = "WHERE id IN (SELECT video_id FROM incidents)"


def upgrade() -> None:
    """Make the four tables."""
    op.create_table(
        "vigil_videos",
        sa.Column("video_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("domain", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("job_id", sa.Integer(), nullable=True),
        sa.Column("recorded_from", sa.String(length=32), nullable=True),
        sa.Column("producer", sa.String(length=64), nullable=True),
        sa.Column("collection", sa.String(length=64), nullable=True),
        sa.Column("counts", _JSON, nullable=False),
        sa.Column("covered_sec", sa.Float(), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.Column("updated_at", sa.String(length=32), nullable=False),
        sa.Column("indexed_at", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_vigil_videos_job_id_jobs")),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_vigil_videos_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("video_id", name=op.f("pk_vigil_videos")),
    )
    op.create_index(op.f("ix_vigil_videos_job_id"), "vigil_videos", ["job_id"])
    op.create_index(op.f("ix_vigil_videos_recorded_from"), "vigil_videos", ["recorded_from"])
    op.create_table(
        "chunks",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("level", sa.String(length=16), nullable=False),
        sa.Column("chunk_index", sa.Integer(), nullable=False),
        sa.Column("start_sec", sa.Float(), nullable=False),
        sa.Column("end_sec", sa.Float(), nullable=False),
        sa.Column("keyframes_sec", _JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_chunks_video_id_videos"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
        sa.UniqueConstraint("video_id", "level", "chunk_index", name=op.f("uq_chunks_video_id")),
    )
    op.create_table(
        "embeddings",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("model_name", sa.String(length=256), nullable=False),
        sa.Column("model_version", sa.String(length=128), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("settings", _JSON, nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_embeddings")),
        sa.UniqueConstraint("collection", name=op.f("uq_embeddings_collection")),
    )
    op.create_table(
        "vigil_queries",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("request", _JSON, nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("method", sa.String(length=16), nullable=False),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("evidence", _JSON, nullable=False),
        sa.Column("unknowns", _JSON, nullable=False),
        sa.Column("raw", _JSON, nullable=True),
        sa.Column("llm_model", sa.String(length=256), nullable=True),
        sa.Column("embedding_model", sa.String(length=256), nullable=True),
        sa.Column("latency_sec", sa.Float(), nullable=False),
        sa.Column("feedback", sa.String(length=8), nullable=True),
        sa.Column("feedback_comment", sa.Text(), nullable=True),
        sa.Column("feedback_by", sa.String(length=128), nullable=True),
        sa.Column("requested_by", sa.String(length=128), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vigil_queries")),
        sa.UniqueConstraint("uid", name=op.f("uq_vigil_queries_uid")),
        sqlite_autoincrement=True,
    )
    op.execute(f"UPDATE videos SET role = 'footage' {_OF_INCIDENTS}")


def downgrade() -> None:
    """Drop them; footage becomes what videos of incidents were before."""
    op.execute("UPDATE videos SET role = 'audit' WHERE role = 'footage'")
    for table in ("vigil_queries", "embeddings", "chunks", "vigil_videos"):
        op.drop_table(table)
