"""The word index over `annotations`: which rows hold a term, asked of the database itself.

The column `tokens` holds one ASCII word per term (see `library.annotations`), so that FTS5 and
PostgreSQL, each with its own idea of a word, find the same rows. Neither ranks: that needs the same
arithmetic on both. Triggers (SQLite) and an expression index (PostgreSQL) follow the column, so
that no writer, no cascade and no copy of rows can leave a term behind.
"""

from __future__ import annotations

from sqlalchemy import Connection

FTS_TABLE = "annotation_words"
CHANGE_LOG = "change_log"
"""Of `store.change_log`, which stands outside of the schema as well."""
SCORE_CELLS = "score_cells"
"""Of `store.score_cells`, likewise."""
TOKENS_INDEX = "ix_annotations_words"
VECTOR = "array_to_tsvector(string_to_array(tokens, ' '))"
"""What PostgreSQL has indexed; a query must use these very words."""

# detail=none: no positions, which nobody asks for. The text itself stands in `annotations` only.
_SQLITE = (
    f"CREATE VIRTUAL TABLE {FTS_TABLE} USING fts5(tokens, content='annotations', "
    "content_rowid='id', tokenize='ascii', detail='none', columnsize='0')",
    f"CREATE TRIGGER {FTS_TABLE}_in AFTER INSERT ON annotations BEGIN "
    f"INSERT INTO {FTS_TABLE} (rowid, tokens) VALUES (new.id, new.tokens); END",
    f"CREATE TRIGGER {FTS_TABLE}_out AFTER DELETE ON annotations BEGIN "
    f"INSERT INTO {FTS_TABLE} ({FTS_TABLE}, rowid, tokens) "
    "VALUES ('delete', old.id, old.tokens); END",
    f"CREATE TRIGGER {FTS_TABLE}_change AFTER UPDATE OF tokens ON annotations BEGIN "
    f"INSERT INTO {FTS_TABLE} ({FTS_TABLE}, rowid, tokens) "
    "VALUES ('delete', old.id, old.tokens); "
    f"INSERT INTO {FTS_TABLE} (rowid, tokens) VALUES (new.id, new.tokens); END",
)
_POSTGRESQL = f"CREATE INDEX {TOKENS_INDEX} ON annotations USING gin ({VECTOR})"


def create_word_index(connection: Connection) -> None:
    """Make the index of an `annotations` table that was made just now."""
    statements = _SQLITE if connection.dialect.name == "sqlite" else (_POSTGRESQL,)
    for statement in statements:
        connection.exec_driver_sql(statement)


def is_compared(name: str | None, kind: str, _parents: object) -> bool:
    """Whether Alembic shall hold this object against tables.py: not what this module makes."""
    if name is None:
        return True
    is_ours = kind == "table" and name.startswith((FTS_TABLE, CHANGE_LOG, SCORE_CELLS))
    return not is_ours and not (kind == "index" and name == TOKENS_INDEX)
