"""Which definitions are looked for in which videos, when an order leaves one of them out."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from sopilot.core.errors import InputError
from sopilot.core.records import Actor
from sopilot.library import queries as library
from sopilot.runtime import Runtime
from sopilot.vigil import event_queries, queries
from sopilot.vigil.event_schemas import RunRow, RunState
from sopilot.vigil.events import MOST_RUNS, request_runs, version_of


def queue_runs(
    runtime: Runtime,
    connection: Connection,
    event_types: Sequence[str],
    videos: Sequence[str],
    by: Actor,
) -> list[RunRow]:
    """Queue the named definitions, else all that are enabled, over the named videos, else all that
    are indexed. Raises DefinitionNotFound, VideoNotFound, and what `events.request_runs` raises;
    InputError where nothing is left.
    """
    if event_types:
        definitions = [version_of(connection, kind, None) for kind in dict.fromkeys(event_types)]
    else:
        in_force = event_queries.definitions_in_force(connection)
        definitions = [row for row in in_force if row.is_enabled]
    if videos:
        ids = [library.get_video(connection, video).id for video in dict.fromkeys(videos)]
    else:
        ids = [row.video_id for row in queries.indexed_footage(connection)]
    if not definitions or not ids:
        missing = "no event is defined and enabled" if not definitions else "no video is indexed"
        raise InputError(f"{missing}; there is nothing to look for")
    return request_runs(runtime, connection, definitions, list(dict.fromkeys(ids)), by)


def runs_in_force(
    connection: Connection, video_id: int, event_type: str | None = None
) -> list[RunRow]:
    """Per definition the newest version that was looked for in a video, in vain too."""
    runs, _ = event_queries.list_runs(
        connection, MOST_RUNS, 0, video_id=video_id, event_type=event_type
    )
    newest: dict[str, RunRow] = {}
    for run in runs:
        known = newest.get(run.event_type)
        if run.state in (RunState.DONE, RunState.ERROR) and (
            known is None or run.version > known.version
        ):
            newest[run.event_type] = run
    return [newest[name] for name in sorted(newest)]
