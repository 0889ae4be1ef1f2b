"""The transcript of a video as VIGIL gives and takes it."""

from __future__ import annotations

from sqlalchemy import Connection

from sopilot.core.records import Actor
from sopilot.library import queries as library
from sopilot.library.annotations import Annotation, Source, list_annotations
from sopilot.library.transcripts import Imported, import_transcript
from sopilot.store.audit import Action, record


def put_transcript(
    connection: Connection,
    video: int | str,
    data: bytes,
    by: Actor,
    language: str | None = None,
) -> Imported:
    """Make a WebVTT or SubRip file the transcript of a video, on record.

    Raises as `library.transcripts.import_transcript`; then the one before stays.
    """
    found = import_transcript(connection, video, data, language)
    detail = {"cue_count": found.sentence_count, "format": found.format}
    name = f"video:{found.video_id}"
    record(connection, by, Action.TRANSCRIPT_IMPORTED, name, detail=detail)
    return found


def transcript_of(connection: Connection, video: int | str) -> tuple[str, list[Annotation]]:
    """The video's uid and its transcript in order of time. Raises VideoNotFound."""
    row = library.get_video(connection, video)
    return row.uid, list_annotations(connection, row.id, source=Source.TRANSCRIPT)
