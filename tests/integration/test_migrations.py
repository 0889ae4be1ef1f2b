"""Every way to the present tables leads to the same tables, on both databases."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from sopilot.core.errors import SchemaTooNew, StoreError
from sopilot.store import migrate, schema
from sopilot.store.engine import Database, open_database
from sopilot.store.tables import metadata


@pytest.fixture
def bare(database_url):
    database = open_database(database_url, ensure=False)
    yield database
    database.close()


def test_opened_database_equals_the_table_definitions(database: Database) -> None:
    with database.read() as connection:
        assert migrate.differences(connection) == []
        assert schema.stored_revision(connection) == schema.HEAD


def test_migrations_from_empty_lead_to_the_table_definitions(bare: Database) -> None:
    with bare.write() as connection:
        migrate.upgrade(connection)
    with bare.read() as connection:
        assert set(metadata.tables) < set(inspect(connection).get_table_names())
        assert migrate.differences(connection) == []
        assert schema.stored_revision(connection) == schema.HEAD


def test_migrated_and_directly_made_sqlite_files_have_the_same_statements(tmp_path: Path) -> None:
    # Reflection sees no AUTOINCREMENT and no constraint names of SQLite; the statements do.
    texts = []
    for name, ensure in (("made.db", True), ("migrated.db", False)):
        database = open_database(f"sqlite:///{tmp_path / name}", ensure=ensure)
        if not ensure:
            with database.write() as connection:
                migrate.upgrade(connection)
        with database.read() as connection:
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master"))
            texts.append({row.name: sorted(re.findall(r"\w+", row.sql or "")) for row in rows})
        database.close()
    assert "AUTOINCREMENT" in texts[0]["videos"]
    assert texts[0] == texts[1]


def test_down_and_up_again(bare: Database) -> None:
    with bare.write() as connection:
        migrate.upgrade(connection)
    with bare.write() as connection:
        migrate.downgrade(connection, "base")
    with bare.read() as connection:
        assert set(inspect(connection).get_table_names()) == {"alembic_version"}
    with bare.write() as connection:
        migrate.upgrade(connection)
    with bare.read() as connection:
        assert migrate.differences(connection) == []


def test_every_earlier_schema_leads_to_the_table_definitions(bare: Database) -> None:
    for revision in schema.REVISIONS:
        with bare.write() as connection:
            migrate.upgrade(connection, revision)
        with bare.write() as connection:
            migrate.upgrade(connection)
        with bare.read() as connection:
            assert migrate.differences(connection) == []
        with bare.write() as connection:
            migrate.downgrade(connection, "base")


def test_known_revisions_are_those_in_the_folder() -> None:
    assert migrate.revisions() == schema.REVISIONS


def test_failed_migration_leaves_nothing(bare: Database) -> None:
    with bare.write() as connection:
        connection.execute(text("CREATE TABLE videos (id INTEGER)"))
    with pytest.raises(Exception, match="exists"), bare.write() as connection:
        migrate.upgrade(connection)
    with bare.read() as connection:
        assert inspect(connection).get_table_names() == ["videos"]


def test_newer_database_is_refused_and_untouched(database_url: str) -> None:
    database = open_database(database_url)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaTooNew, match="9999"):
        open_database(database_url)
    with database.read() as connection:
        assert schema.stored_revision(connection) == "9999"
    database.close()


def test_database_with_foreign_tables_is_refused(bare: Database, database_url: str) -> None:
    with bare.write() as connection:
        connection.execute(text("CREATE TABLE videos (id INTEGER)"))
    with pytest.raises(StoreError, match="videos"):
        open_database(database_url)
    with bare.read() as connection:
        assert inspect(connection).get_table_names() == ["videos"]


def test_openers_that_meet_on_an_empty_database_agree(database_url: str) -> None:
    with ThreadPoolExecutor(6) as threads:
        opened = list(threads.map(open_database, [database_url] * 6))
    with opened[0].read() as connection:
        count = connection.execute(text("SELECT count(*) FROM alembic_version")).scalar()
    assert count == 1
    for database in opened:
        database.close()
