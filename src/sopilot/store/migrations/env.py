"""Alembic's entrance: runs revisions on the connection that store/migrate.py hands over."""

from __future__ import annotations

from alembic import context

from sopilot.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,  # SQLite cannot alter most things in place
    transactional_ddl=True,  # also on SQLite: a revision happens whole or not at all
    compare_server_default=True,
)
context.run_migrations()
