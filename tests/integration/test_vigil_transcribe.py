"""A video is transcribed by itself: order, conflict with an import, no sound, cancel, command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from httpx import Client, Response
from service_parts import open_test_runtime, work
from sound_films import write_film
from sqlalchemy import select
from test_api_service import serving
from test_vigil import put_talk, send
from test_vigil_speech import TONES, LoudnessNamer
from typer.testing import CliRunner

from sopilot.api.app import create_app
from sopilot.cli.app import app
from sopilot.core.records import Actor
from sopilot.jobs.records import JobState
from sopilot.library import queries as library
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.tables import audit_log, jobs
from sopilot.vigil.add import delete_footage


@pytest.fixture
def heard(tmp_path: Path, database_url: str) -> Iterator[tuple[Runtime, Client]]:
    with ExitStack() as stack:
        made = open_test_runtime(tmp_path, database_url)
        stack.callback(close_runtime, made)
        runtime = replace(made, recogniser=LoudnessNamer())
        yield runtime, stack.enter_context(serving(create_app(runtime=runtime, with_workers=False)))


def brought_in(runtime: Runtime, client: Client, path: Path) -> str:
    video = str(send(client, path)["video_id"])
    with runtime.database.read() as connection:
        ingest = library.get_video(connection, video).ingest_job_id
    assert ingest is not None
    assert work(runtime, ingest).state is JobState.COMPLETED
    return video


def order(client: Client, video: str, **body: object) -> Response:
    return client.post(f"/vigil/videos/{video}/transcribe", json=body or None)


def transcript(client: Client, video: str) -> dict[str, Any]:
    told: dict[str, Any] = client.get(f"/vigil/videos/{video}/transcript").json()
    return told


def actions(runtime: Runtime) -> dict[str, dict[str, Any]]:
    with runtime.database.read() as connection:
        rows = connection.execute(select(audit_log.c.action, audit_log.c.detail))
        return {row.action: row.detail for row in rows}


def test_a_video_is_transcribed_without_an_index(
    heard: tuple[Runtime, Client], tmp_path: Path
) -> None:
    runtime, client = heard
    video = brought_in(runtime, client, write_film(tmp_path / "talk.mp4", 12.0, TONES))
    asked = order(client, video)
    assert (asked.status_code, asked.json()["state"]) == (202, "queued")
    assert order(client, video).json()["job_id"] == asked.json()["job_id"]
    assert order(client, video, replace=True).status_code == 409
    work(runtime, asked.json()["job_id"])
    status = client.get(f"/vigil/status/{video}").json()
    assert (status["state"], status["speech"]["state"]) == ("none", "completed")
    assert status["speech"]["progress"] == 1.0
    told = transcript(client, video)
    assert told["source"] == "asr"
    assert told["num_text"] == len(TONES) + 1
    said = actions(runtime)["transcript.recognised"]
    # Of every tone a wordless sentence; one sentence beyond the end.
    assert said == {"sentence_count": 4, "empty_count": 3, "moved_count": 1, "replaced_count": 0}
    again = order(client, video).json()["job_id"]
    work(runtime, again)
    assert transcript(client, video) == told


def test_an_imported_transcript_goes_only_where_that_is_asked_for(
    heard: tuple[Runtime, Client], tmp_path: Path
) -> None:
    runtime, client = heard
    video = brought_in(runtime, client, write_film(tmp_path / "talk.mp4", 12.0, TONES))
    put_talk(client, video, "WEBVTT\n\n00:06.000 --> 00:07.000\nBy hand.\n")
    refused = order(client, video)
    assert refused.status_code == 409
    assert "replace=true" in refused.json()["detail"]
    work(runtime, order(client, video, replace=True).json()["job_id"])
    assert transcript(client, video)["source"] == "asr"
    assert actions(runtime)["transcript.recognised"]["replaced_count"] == 1


def test_a_transcript_imported_meanwhile_stays(
    heard: tuple[Runtime, Client], tmp_path: Path
) -> None:
    runtime, client = heard
    video = brought_in(runtime, client, write_film(tmp_path / "talk.mp4", 12.0, TONES))
    put_talk(client, video, "WEBVTT\n\n00:06.000 --> 00:07.000\nBy hand.\n")
    job = order(client, video, replace=True).json()["job_id"]
    put_talk(client, video, "WEBVTT\n\n00:06.000 --> 00:07.000\nBy hand, better.\n")
    work(runtime, job)
    told = transcript(client, video)
    assert (told["source"], told["lines"][0]["text"]) == ("transcript", "By hand, better.")


def test_a_video_without_sound_says_so(heard: tuple[Runtime, Client], tmp_path: Path) -> None:
    runtime, client = heard
    video = brought_in(runtime, client, write_film(tmp_path / "mute.mp4", 6.0, None))
    put_talk(client, video, "WEBVTT\n\n00:02.000 --> 00:03.000\nBy hand.\n")
    work(runtime, order(client, video, replace=True).json()["job_id"])
    speech = client.get(f"/vigil/status/{video}").json()["speech"]
    assert (speech["state"], speech["error_code"]) == ("failed", "NO_SOUND")
    assert transcript(client, video)["source"] == "transcript"
    assert actions(runtime)["transcript.failed"] == {"code": "NO_SOUND"}


def test_a_transcription_is_cancelled(heard: tuple[Runtime, Client], tmp_path: Path) -> None:
    runtime, client = heard
    video = brought_in(runtime, client, write_film(tmp_path / "talk.mp4", 6.0, TONES[:1]))
    assert client.post(f"/vigil/videos/{video}/transcribe/cancel").status_code == 409
    order(client, video)
    ended = client.post(f"/vigil/videos/{video}/transcribe/cancel")
    assert ended.json()["state"] == "cancelled"
    assert client.post(f"/vigil/videos/{video}/transcribe/cancel").status_code == 409
    assert transcript(client, video)["source"] is None


def test_no_job_of_deleted_footage_is_left(heard: tuple[Runtime, Client], tmp_path: Path) -> None:
    runtime, client = heard
    video = brought_in(runtime, client, write_film(tmp_path / "talk.mp4", 6.0, TONES[:1]))
    job_id = order(client, video).json()["job_id"]
    with runtime.database.write() as connection:
        delete_footage(runtime, connection, video, Actor("test"))
        assert connection.execute(select(jobs.c.id).where(jobs.c.id == job_id)).first() is None


def test_without_a_recogniser_the_setting_is_named(tmp_path: Path) -> None:
    with ExitStack() as stack:
        runtime = open_test_runtime(tmp_path)
        stack.callback(close_runtime, runtime)
        client = stack.enter_context(serving(create_app(runtime=runtime, with_workers=False)))
        video = brought_in(runtime, client, write_film(tmp_path / "talk.mp4", 6.0, TONES[:1]))
        refused = order(client, video)
        assert refused.status_code == 422
        assert "SOPILOT_ASR_BACKEND" in refused.json()["detail"]


def test_the_command_waits_for_the_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopilot.runtime.open_recogniser", lambda _: LoudnessNamer())
    runtime = open_test_runtime(tmp_path)
    try:
        with serving(create_app(runtime=runtime, with_workers=False)) as client:
            path = write_film(tmp_path / "talk.mp4", 6.0, TONES[:1])
            video = brought_in(runtime, client, path)
    finally:
        close_runtime(runtime)
    where = ["--data-dir", str(tmp_path / "data")]
    done = CliRunner().invoke(app, ["vigil", "transcribe", video, *where])
    assert (done.exit_code, done.stdout) == (0, "2 sentences\n"), done.output
