"""The transcript of a video as VIGIL takes and gives it."""

from __future__ import annotations

from sqlalchemy import Connection

from sopilot.core.records import Actor
from sopilot.library import queries as library
from sopilot.library.annotations import Annotation, Source, list_annotations
from sopilot.library.transcripts import Transcript, put_transcript, read_transcript
from sopilot.runtime import Runtime
from sopilot.store.audit import Action, record
from sopilot.vigil.meaning import request_vectors


def import_transcript(
    runtime: Runtime, video: int | str, data: bytes, by: Actor, language: str | None = None
) -> Transcript:
    """Make a WebVTT or SubRip file the transcript of a video, on record.

    Raises VideoNotFound, VideoNotReady, BadTranscript, InputError; then the one before stays.
    """
    with runtime.database.read() as connection:
        row = library.get_ready_video(connection, video)
    found = read_transcript(data, row.duration_sec, language)
    with runtime.database.write() as connection:
        put_transcript(connection, row.id, found)
        request_vectors(runtime, connection)
        record(
            connection,
            by,
            Action.TRANSCRIPT_IMPORTED,
            f"video:{row.id}",
            detail={"cue_count": len(found.rows), "format": found.format},
        )
    return found


def transcript_of(connection: Connection, video: int | str) -> tuple[str, list[Annotation]]:
    """The video's uid and its transcript in order of time: the imported one, else what was
    recognised. Raises VideoNotFound."""
    row = library.get_video(connection, video)
    imported = list_annotations(connection, row.id, source=Source.TRANSCRIPT)
    return row.uid, imported or list_annotations(connection, row.id, source=Source.ASR)
