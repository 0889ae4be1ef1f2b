"""The vectors of all footage anew from the database and the stored thumbnails.

After the vector store was lost, or changed for another one. Called by `sopilot vectors rebuild`.
"""

from __future__ import annotations

from sopilot.core.errors import BlobNotFound, StoreError
from sopilot.core.log import get_logger
from sopilot.core.records import no_progress
from sopilot.library import queries as library
from sopilot.library.look import read_report, report_file, thumbnails_file
from sopilot.runtime import Runtime
from sopilot.vigil import queries
from sopilot.vigil.index import build_index
from sopilot.vigil.meaning import embed_changed
from sopilot.vigil.vectors import collection_of, store_index
from sopilot.vlm.open import open_text_embedder

_log = get_logger(__name__)


def rebuild_texts(runtime: Runtime) -> int:
    """The vectors of what texts mean, of all footage; how many videos. 0 without a server.

    Raises ModelError.
    """
    with open_text_embedder(runtime.settings) as embedder:
        if embedder is None:
            return 0
        with runtime.database.write() as connection:
            queries.forget_text_vectors(connection)
        return embed_changed(runtime, embedder, no_progress)


def rebuild_chunks(runtime: Runtime) -> dict[str, int]:
    """Points by collection. Videos that were indexed by another model are left for a new index."""
    stills = runtime.stills
    collection = collection_of(stills)
    with runtime.database.read() as connection:
        rows = queries.indexed_footage(connection)
    kept = [row for row in rows if row.collection == collection.name]
    for row in kept:
        try:
            with runtime.database.read() as connection:
                video = library.get_ready_video(connection, row.video_id)
                task = library.task_number(connection, video.task_id)
            index = build_index(
                row.video_id,
                read_report(report_file(runtime, video)),
                thumbnails_file(runtime, video),
                row.domain,
                stills,
            )
            store_index(runtime, collection, row, task, index)
        except (BlobNotFound, StoreError) as error:
            _log.warning("vigil.left_out", video_id=row.video_id, reason=error.message)
    known = {row.video_id for row in kept}
    for item in runtime.vectors.collections():
        if item.kind == "chunks":
            gone = runtime.vectors.video_ids(item) - (known if item == collection else set())
            runtime.vectors.remove(item, gone)
    return {collection.name: runtime.vectors.count(collection)} if kept else {}
