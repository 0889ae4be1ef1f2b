"""The handles of a running installation, opened once per process and passed down."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass

from sopilot.core.config import Settings
from sopilot.core.errors import BadSettings
from sopilot.core.log import get_logger
from sopilot.embed.base import Embedder
from sopilot.embed.open import Choice, choose_backend, embedder_named, open_stills
from sopilot.embed.speech import Recogniser, open_recogniser
from sopilot.embed.stills import StillEmbedder
from sopilot.jobs.transport import TableTransport, Transport
from sopilot.media.faces import check_mask
from sopilot.store.blobs import Blobs, open_blobs
from sopilot.store.engine import Database, open_database
from sopilot.store.occupancy import occupy
from sopilot.store.vector_files import VectorFiles
from sopilot.store.vectors import VectorStore

_log = get_logger(__name__)

_SERVER_SEC = 30.0
"""How long one call of a vector server may take."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Settings and open handles; safe to share between threads, not between processes."""

    settings: Settings
    database: Database
    blobs: Blobs
    embedder: Embedder
    transport: Transport
    vectors: VectorStore
    choice: Choice
    stills: StillEmbedder
    recogniser: Recogniser | None = None
    claim: int | None = None
    """Descriptor of the data folder's shared lock."""


def open_runtime(settings: Settings) -> Runtime:
    """Open the data folder and the database (made or migrated where needed) and the embedder.

    Raises BadSettings, DiskFull, StoreError, SchemaTooNew; then nothing stays open.
    """
    check_mask(settings)
    blobs = open_blobs(settings.data_dir)
    choice = choose_backend(settings)
    if choice.has_failed_over:
        _log.warning("embedder.failed_over", asked=choice.failed_from, used=choice.backend)
    embedder = embedder_named(choice.backend)
    stills = open_stills(settings)
    recogniser = open_recogniser(settings)
    vectors = vectors_of(settings, settings.vector_backend)
    claim = occupy(blobs.root)
    try:
        database = open_database(settings.resolved_database_url)
    except BaseException:
        os.close(claim)
        raise
    return Runtime(
        settings,
        database,
        blobs,
        embedder,
        TableTransport(),
        vectors,
        choice,
        stills,
        recogniser,
        claim,
    )


def vectors_of(settings: Settings, backend: str) -> VectorStore:
    """The vector store of a backend's name. Raises BadSettings."""
    if backend != "qdrant":
        return VectorFiles(settings.data_dir / "vectors")
    from sopilot.store.vector_server import open_server

    if not settings.resolved_qdrant_url:
        raise BadSettings("no vector server is named; set SOPILOT_QDRANT_URL")
    key = settings.qdrant_api_key
    secret = None if key is None else key.get_secret_value()
    return open_server(settings.resolved_qdrant_url, secret, _SERVER_SEC)


def close_runtime(runtime: Runtime) -> None:
    """Close every connection."""
    runtime.database.close()
    if runtime.claim is not None:
        with suppress(OSError):  # closed already
            os.close(runtime.claim)
