"""Derived rows: one per content, kind and producer; blobs go when nobody needs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from sopilot.store.blobs import Blobs, open_blobs
from sopilot.store.derived import Derived, find_derived, list_derived, put_derived
from sopilot.store.engine import Database


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return open_blobs(tmp_path)


def put(database: Database, blobs: Blobs, content: str, kind: str, data: bytes) -> Derived:
    with database.write() as connection:
        return put_derived(
            connection,
            blobs,
            content_sha256=content,
            kind=kind,
            producer="f00d",
            data=data,
            meta={"clip_count": 3},
        )


def test_row_and_blob_are_found_by_key(sqlite_database: Database, blobs: Blobs) -> None:
    made = put(sqlite_database, blobs, "c1", "features", b"array")
    with sqlite_database.read() as connection:
        found = find_derived(connection, "c1", "features", "f00d")
        assert found == made
        assert found is not None
        assert blobs.get_bytes("derived", found.blob_sha256) == b"array"
        assert find_derived(connection, "c1", "features", "other") is None


def test_same_key_is_replaced(sqlite_database: Database, blobs: Blobs) -> None:
    put(sqlite_database, blobs, "c1", "features", b"old")
    newer = put(sqlite_database, blobs, "c1", "features", b"newer")
    with sqlite_database.read() as connection:
        assert list_derived(connection, "c1") == (newer,)
