"""Removal: what goes from the blob store when the last row that stands on it is gone or failed."""

from __future__ import annotations

from sqlalchemy import Connection

from sopilot.library import queries
from sopilot.store.blobs import Blobs


def release_content(connection: Connection, blobs: Blobs, sha256: str) -> bool:
    """Delete an uploaded file unless a row that has not failed uses it; True when deleted.

    Inside a write transaction: no upload of the same bytes can come between look and deletion.
    """
    queries.lock_content(connection, sha256)
    if queries.content_is_used(connection, sha256):
        return False
    blobs.delete("raw", sha256)
    return True
