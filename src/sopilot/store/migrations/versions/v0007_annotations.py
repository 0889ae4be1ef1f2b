"""Timed texts and events of videos, with an index of their words."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_SQLITE = (
    "CREATE VIRTUAL TABLE annotation_words USING fts5(tokens, content='annotations', "
    "content_rowid='id', tokenize='ascii', detail='none', columnsize='0')",
    "CREATE TRIGGER annotation_words_in AFTER INSERT ON annotations BEGIN "
    "INSERT INTO annotation_words (rowid, tokens) VALUES (new.id, new.tokens); END",
    "CREATE TRIGGER annotation_words_out AFTER DELETE ON annotations BEGIN "
    "INSERT INTO annotation_words (annotation_words, rowid, tokens) "
    "VALUES ('delete', old.id, old.tokens); END",
    "CREATE TRIGGER annotation_words_change AFTER UPDATE OF tokens ON annotations BEGIN "
    "INSERT INTO annotation_words (annotation_words, rowid, tokens) "
    "VALUES ('delete', old.id, old.tokens); "
    "INSERT INTO annotation_words (rowid, tokens) VALUES (new.id, new.tokens); END",
)
_POSTGRESQL = (
    "CREATE INDEX ix_annotations_words ON annotations "
    "USING gin (array_to_tsvector(string_to_array(tokens, ' ')))",
)


def upgrade() -> None:
    """Make the table and its index of words; what is known already comes with the next writing."""
    op.create_table(
        "annotations",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("label", sa.String(length=256), nullable=True),
        sa.Column("start_sec", sa.Float(), nullable=False),
        sa.Column("end_sec", sa.Float(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("producer", sa.String(length=64), nullable=False),
        sa.Column("term_count", sa.Integer(), nullable=False),
        sa.Column("tokens", sa.Text(), nullable=False),
        sa.Column("created_at", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_annotations_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotations")),
        sa.UniqueConstraint("uid", name=op.f("uq_annotations_uid")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_annotations_video_id", "annotations", ["video_id", "source", "start_sec"])
    op.create_index("ix_annotations_producer", "annotations", ["producer", "source"])
    op.create_table(
        "annotation_sets",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("video_id", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("producer", sa.String(length=64), nullable=False),
        sa.Column("analyzer", sa.String(length=64), nullable=False),
        sa.Column("text_count", sa.Integer(), nullable=False),
        sa.Column("term_count", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["video_id"],
            ["videos.id"],
            name=op.f("fk_annotation_sets_video_id_videos"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_annotation_sets")),
        sa.UniqueConstraint(
            "video_id", "source", "producer", name=op.f("uq_annotation_sets_video_id")
        ),
    )
    op.create_index(
        "ix_annotation_sets_analyzer",
        "annotation_sets",
        ["analyzer", "text_count", "term_count"],
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE if is_sqlite else _POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    """Drop them; the videos stay."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE annotation_words")
    op.drop_table("annotation_sets")
    op.drop_table("annotations")
