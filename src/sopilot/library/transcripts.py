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
    prepared,
    put_annotations,
)
from sopilot.library.schemas import VideoRow
from sopilot.text.subtitles import Subtitles, parse_subtitles

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Transcript:
    """A file that was read. notes: what was changed on the way, in words for the sender."""

    rows: tuple[NewAnnotation, ...]
    format: str
    language: str | None
    notes: tuple[str, ...]


def read_transcript(
    data: bytes, duration_sec: float | None, language: str | None = None
) -> Transcript:
    """A WebVTT or SubRip file of a video of this length, ready to be stored.

    Before the transaction: a long file takes seconds. language: None = what the file says it is.
    Raises BadTranscript; InputError for what is no language.
    """
    if language is not None and not _LANGUAGE.fullmatch(language):
        raise InputError(f"{language!r:.40} is no language; give a code such as ru, en or ja")
    told = parse_subtitles(data, duration_sec)
    spoken = language or told.language
    return Transcript(tuple(prepared(_rows(told, spoken))), told.format, spoken, told.notes)


def put_transcript(connection: Connection, video: int | str, transcript: Transcript) -> VideoRow:
    """Make it the transcript of a ready video, in the place of an earlier one. Idempotent.

    Raises VideoNotFound, VideoNotReady.
    """
    found = queries.get_ready_video(connection, video)
    put_annotations(connection, found.id, Source.TRANSCRIPT, _producer(found.id), transcript.rows)
    return found


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
