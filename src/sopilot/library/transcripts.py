"""A subtitle file becomes the transcript of a video, in the place of an earlier one.

Called by the routes and the command line; the sentences are annotations from then on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from sopilot.core.errors import InputError
from sopilot.library import queries
from sopilot.library.annotations import (
    Kind,
    NewAnnotation,
    Source,
    drop_annotations,
    put_annotations,
)
from sopilot.text.subtitles import Subtitles, parse_subtitles

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did. notes: what was changed on the way, in words for the sender."""

    video_id: int
    sentence_count: int
    format: str
    language: str | None
    notes: tuple[str, ...]


def import_transcript(
    connection: Connection, video: int | str, data: bytes, language: str | None = None
) -> Imported:
    """Make a WebVTT or SubRip file the transcript of a ready video. Idempotent.

    language: None = what the file says of itself. Its times are held against the video's length.
    Raises VideoNotFound, VideoNotReady, BadTranscript, InputError for what is no language.
    """
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise InputError(f"{language!r:.40} is no language; give a code such as ru, en or ja")
    found = queries.get_ready_video(connection, video)
    told = parse_subtitles(data, found.duration_sec)
    spoken = language or told.language
    rows = _rows(told, spoken)
    count = put_annotations(connection, found.id, Source.TRANSCRIPT, _producer(found.id), rows)
    return Imported(found.id, count, told.format, spoken, told.notes)


def forget_transcript(connection: Connection, video: int | str) -> int:
    """Remove the imported transcript of a video; how many sentences. Raises VideoNotFound."""
    found = queries.get_video(connection, video)
    return drop_annotations(connection, Source.TRANSCRIPT, [_producer(found.id)])


def _producer(video_id: int) -> str:
    return f"subtitles:{video_id}"


def _rows(told: Subtitles, language: str | None) -> list[NewAnnotation]:
    return [
        NewAnnotation(
            Kind.TEXT,
            cue.span,
            cue.text,
            label=cue.speaker,
            language=language,
            detail={"line": cue.line},
        )
        for cue in told.cues
    ]
