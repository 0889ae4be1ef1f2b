"""Subtitle files as transcripts of videos, on both databases."""

from __future__ import annotations

import pytest

from sopilot.core.errors import BadTranscript, InputError, VideoNotFound, VideoNotReady
from sopilot.core.timespan import TimeSpan
from sopilot.library.annotations import Source, TextFilter, list_annotations, search_texts
from sopilot.library.queries import get_video
from sopilot.library.transcripts import (
    Transcript,
    forget_transcript,
    put_transcript,
    read_transcript,
)
from sopilot.runtime import Runtime
from sopilot.store.tables import videos

FILE = """WEBVTT
Language: ru

00:01.000 --> 00:02.500
<v Анна>Снимите крышку

00:04.000 --> 00:05.000
カバーを外す
"""


def load(
    runtime: Runtime, text: str, video: int | str = 1, language: str | None = None
) -> Transcript:
    with runtime.database.read() as connection:
        length = get_video(connection, video).duration_sec
    transcript = read_transcript(text.encode(), length, language)
    with runtime.database.write() as connection:
        put_transcript(connection, video, transcript)
    return transcript


def found(runtime: Runtime, query: str) -> list[tuple[int, TimeSpan]]:
    with runtime.database.snapshot() as connection:
        hits = search_texts(connection, query, TextFilter(), 9)
    return [(hit.annotation.video_id, hit.annotation.span) for hit in hits]


def test_a_transcript_is_found_replaced_and_forgotten(runtime: Runtime) -> None:
    done = load(runtime, FILE)
    assert (len(done.rows), done.format, done.language, done.notes) == (2, "vtt", "ru", ())
    assert found(runtime, "крышки") == [(1, TimeSpan(1.0, 2.5))]
    with runtime.database.read() as connection:
        first, _ = before = list_annotations(connection, 1, source=Source.TRANSCRIPT)
    assert (first.label, first.language, first.detail) == ("Анна", "ru", {"line": 4})
    load(runtime, FILE)
    with runtime.database.read() as connection:
        assert list_annotations(connection, 1) == before
    load(runtime, "1\n00:00:03,000 --> 00:00:04,000\nreplace the lid\n", language="en")
    assert found(runtime, "крышки カバー") == []
    assert found(runtime, "lids") == [(1, TimeSpan(3.0, 4.0))]
    with runtime.database.write() as connection:
        assert forget_transcript(connection, 1) == 1
    assert found(runtime, "lids") == []


def test_times_are_held_against_the_video(runtime: Runtime) -> None:
    with runtime.database.read() as connection:
        length = connection.execute(videos.select()).first().duration_sec
    assert length == pytest.approx(15.0, abs=0.1)
    late = "WEBVTT\n\n00:14.000 --> 00:{}\nthe end\n"
    assert "cut at the end" in load(runtime, late.format("15.900")).notes[0]
    with pytest.raises(BadTranscript, match="line 3"):
        load(runtime, late.format("17.000"))
    assert found(runtime, "end") == [(1, TimeSpan(14.0, length))]  # the refused one changed nothing


def test_refusals(runtime: Runtime) -> None:
    with pytest.raises(VideoNotFound):
        load(runtime, FILE, video=999)
    with pytest.raises(InputError, match="language"):
        load(runtime, FILE, language="Russian, spoken")
    with runtime.database.write() as connection:
        connection.execute(videos.update().where(videos.c.id == 2).values(status="processing"))
    with pytest.raises(VideoNotReady):
        load(runtime, FILE, video=2)
