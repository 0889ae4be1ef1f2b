"""Rows of the derived table: which blob holds what a producer made of a video's bytes.

Keyed by (content hash, kind, producer fingerprint); everything here can be made again from raw.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, select

from sopilot.store.blobs import Blobs
from sopilot.store.tables import derived
from sopilot.store.times import now_text
from sopilot.store.upsert import upsert


@dataclass(frozen=True, slots=True)
class Derived:
    """One derived blob. `producer` is a Producer's fingerprint; `meta` is the maker's own."""

    content_sha256: str
    kind: str
    producer: str
    blob_sha256: str
    size_bytes: int
    meta: Mapping[str, Any]
    created_at: str


def put_derived(
    connection: Connection,
    blobs: Blobs,
    *,
    content_sha256: str,
    kind: str,
    producer: str,
    data: bytes,
    meta: Mapping[str, Any] | None = None,
) -> Derived:
    """Store `data` and its row; a row of the same key is replaced.

    The blob is written before the row: a row never points to nothing.
    """
    blob_sha256 = blobs.put_bytes("derived", data)
    return record_derived(
        connection,
        content_sha256=content_sha256,
        kind=kind,
        producer=producer,
        blob_sha256=blob_sha256,
        size_bytes=len(data),
        meta=meta,
    )


def record_derived(
    connection: Connection,
    *,
    content_sha256: str,
    kind: str,
    producer: str,
    blob_sha256: str,
    size_bytes: int,
    meta: Mapping[str, Any] | None = None,
) -> Derived:
    """The row of a blob that is stored already; a row of the same key is replaced."""
    record = Derived(
        content_sha256=content_sha256,
        kind=kind,
        producer=producer,
        blob_sha256=blob_sha256,
        size_bytes=size_bytes,
        meta=dict(meta or {}),
        created_at=now_text(),
    )
    values = {name: getattr(record, name) for name in Derived.__dataclass_fields__}
    upsert(connection, derived, ("content_sha256", "kind", "producer"), values)
    return record


def find_derived(
    connection: Connection, content_sha256: str, kind: str, producer: str
) -> Derived | None:
    """The row of a key, or None when that producer has not made it."""
    row = connection.execute(
        select(derived).where(
            derived.c.content_sha256 == content_sha256,
            derived.c.kind == kind,
            derived.c.producer == producer,
        )
    ).one_or_none()
    return None if row is None else _record(row)


def blob_is_used(connection: Connection, blob_sha256: str) -> bool:
    """Does any row stand on this derived blob?"""
    query = select(derived.c.id).where(derived.c.blob_sha256 == blob_sha256).limit(1)
    return connection.execute(query).first() is not None


def list_derived(connection: Connection, content_sha256: str) -> tuple[Derived, ...]:
    """Everything that was made of these bytes, oldest first."""
    rows = connection.execute(
        select(derived).where(derived.c.content_sha256 == content_sha256).order_by(derived.c.id)
    )
    return tuple(_record(row) for row in rows)


def delete_derived(connection: Connection, content_sha256: str) -> None:
    """Remove the rows of all that was made of these bytes."""
    connection.execute(derived.delete().where(derived.c.content_sha256 == content_sha256))


def delete_kind(connection: Connection, content_sha256: str, kind: str) -> tuple[str, ...]:
    """Remove the rows of one kind; the blobs that they stood on."""
    rows = connection.execute(
        derived.delete()
        .where(derived.c.content_sha256 == content_sha256, derived.c.kind == kind)
        .returning(derived.c.blob_sha256)
    )
    return tuple(sorted(rows.scalars()))


def _record(row: Row[Any]) -> Derived:
    return Derived(**{name: getattr(row, name) for name in Derived.__dataclass_fields__})
