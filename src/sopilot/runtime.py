"""The handles of a running installation, opened once per process and passed down."""

from __future__ import annotations

from dataclasses import dataclass

from sopilot.core.config import Settings
from sopilot.embed.base import Embedder
from sopilot.embed.open import open_embedder
from sopilot.jobs.transport import TableTransport, Transport
from sopilot.store.blobs import Blobs, open_blobs
from sopilot.store.engine import Database, open_database
from sopilot.store.vector_files import VectorFiles
from sopilot.store.vectors import VectorStore


@dataclass(frozen=True, slots=True)
class Runtime:
    """Settings and open handles; safe to share between threads, not between processes."""

    settings: Settings
    database: Database
    blobs: Blobs
    embedder: Embedder
    transport: Transport
    vectors: VectorStore


def open_runtime(settings: Settings) -> Runtime:
    """Open the data folder and the database (made or migrated where needed) and the embedder.

    Raises BadSettings, DiskFull, StoreError, SchemaTooNew; then nothing stays open.
    """
    blobs = open_blobs(settings.data_dir)
    embedder = open_embedder(settings)
    vectors = VectorFiles(settings.data_dir / "vectors")
    database = open_database(settings.resolved_database_url)
    return Runtime(settings, database, blobs, embedder, TableTransport(), vectors)


def close_runtime(runtime: Runtime) -> None:
    """Close every connection."""
    runtime.database.close()
