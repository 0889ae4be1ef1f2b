"""What is said becomes searchable text; who names loud spans stands in for a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from httpx import Client
from numpy.typing import NDArray
from service_parts import open_test_runtime, work
from sound_films import write_film
from test_api_service import serving
from test_vigil import found, indexed, send

from sopilot.api.app import create_app
from sopilot.core.errors import BadSettings
from sopilot.core.records import Producer
from sopilot.core.timespan import TimeSpan
from sopilot.embed.speech import Spoken, open_recogniser
from sopilot.library import queries as library
from sopilot.media.audio import RATE_HZ
from sopilot.runtime import Runtime, close_runtime
from sopilot.vigil import queries, transcribe
from sopilot.vigil.transcribe import pieces

TONES = [(2.0, 3.0), (4.0, 5.0), (8.0, 9.0)]


class LoudnessNamer:
    """Says "signal" where it is loud; of the last one with what a model may say of its own."""

    producer = Producer("loudness", "1")

    def sentences(self, samples: NDArray[np.float32]) -> Iterator[Spoken]:
        step = RATE_HZ // 10
        loud = np.abs(samples[: len(samples) // step * step].reshape(-1, step)).max(axis=1) > 0.1
        edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            span = TimeSpan(start / 10, end / 10)
            yield Spoken(span, " forklift\x00\x1b[31m  signal\n", "en")
            yield Spoken(TimeSpan(span.start_sec, 9e6), " \x07 ", "en")
        yield Spoken(TimeSpan(1e6, 2e6), "beyond the end", "en")


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[tuple[Runtime, Client]]:
    with ExitStack() as stack:
        runtime = replace(open_test_runtime(tmp_path), recogniser=LoudnessNamer())
        stack.callback(close_runtime, runtime)
        yield runtime, stack.enter_context(serving(create_app(runtime=runtime, with_workers=False)))


def transcribed(runtime: Runtime, client: Client, video: str) -> None:
    reply = client.post(f"/vigil/videos/{video}/index", json={"transcribe": True})
    assert reply.status_code == 202, reply.text
    with runtime.database.read() as connection:
        ingest = library.get_video(connection, video).ingest_job_id
    assert ingest is not None
    work(runtime, ingest)
    with runtime.database.read() as connection:
        job = queries.get_footage(connection, video).job_id
    assert job is not None
    done = work(runtime, job)
    assert done.error_code is None, done


def test_what_is_said_is_found_where_it_was_said(
    heard: tuple[Runtime, Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcribe, "PIECE_SEC", 4.5)
    monkeypatch.setattr(transcribe, "QUIET_SEC", 2.0)
    runtime, client = heard
    video = send(client, write_film(tmp_path / "talk.mp4", 12.0, TONES))["video_id"]
    transcribed(runtime, client, video)
    told = client.get(f"/vigil/videos/{video}/transcript").json()
    assert told["source"] == "asr"
    signals = [line for line in told["lines"] if "signal" in line["text"]]
    assert {line["text"] for line in signals} == {"forklift [31m signal"}
    starts = [line["start_sec"] for line in signals]
    assert starts == pytest.approx([2.0, 4.0, 8.0], abs=0.25)
    assert all(line["end_sec"] <= 12.1 for line in told["lines"])
    assert not any(line["text"].strip() == "" for line in told["lines"])
    (first, *_) = found(client, query="forklift signals", top_k=3)["results"]
    assert "asr text match" in first["why_relevant"]
    # A second time the same; an imported transcript is shown in its place and both are searched.
    transcribed(runtime, client, video)
    assert client.get(f"/vigil/videos/{video}/transcript").json() == told
    client.put(
        f"/vigil/videos/{video}/transcript",
        content="WEBVTT\n\n00:06.000 --> 00:07.000\nA forklift honks.\n",
        headers={"content-type": "text/vtt"},
    )
    assert client.get(f"/vigil/videos/{video}/transcript").json()["source"] == "transcript"
    assert found(client, query="forklift")["num_results"] == 4


def test_a_silent_video_is_indexed_without_a_word(
    heard: tuple[Runtime, Client], tmp_path: Path
) -> None:
    runtime, client = heard
    video = send(client, write_film(tmp_path / "mute.mp4", 6.0, None))["video_id"]
    transcribed(runtime, client, video)
    assert client.get(f"/vigil/status/{video}").json()["indexed"]
    assert client.get(f"/vigil/videos/{video}/transcript").json()["source"] is None


def test_without_a_recogniser_it_is_refused(tmp_path: Path) -> None:
    with ExitStack() as stack:
        runtime = open_test_runtime(tmp_path)
        stack.callback(close_runtime, runtime)
        client = stack.enter_context(serving(create_app(runtime=runtime, with_workers=False)))
        video = indexed(runtime, client, write_film(tmp_path / "talk.mp4", 6.0, TONES[:1]))
        reply = client.post(f"/vigil/videos/{video}/index", json={"transcribe": True})
        assert reply.status_code == 422
        assert "SOPILOT_ASR_BACKEND" in reply.json()["detail"]
        assert client.get(f"/vigil/status/{video}").json()["state"] == "ready"


@pytest.mark.parametrize(
    ("lacks", "said"),
    [("folder", "SOPILOT_ASR_MODEL_DIR"), ("files", "lacks model.bin, config.json, tokenizer")],
)
def test_a_model_that_is_not_there_stops_the_start(tmp_path: Path, lacks: str, said: str) -> None:
    folder = None if lacks == "folder" else tmp_path
    with pytest.raises(BadSettings, match=said):
        open_test_runtime(tmp_path, asr_backend="faster-whisper", asr_model_dir=folder)


def test_long_sound_is_cut_where_it_is_quiet() -> None:
    dice = np.random.default_rng(1)
    samples = dice.normal(0, 3000, 1300 * RATE_HZ).astype(np.int16)
    samples[round(585.0 * RATE_HZ) : round(586.0 * RATE_HZ)] = 0
    found_pieces = list(pieces(samples))
    assert found_pieces[0][0] == 0
    assert 585.0 <= found_pieces[0][1] / RATE_HZ <= 586.0
    assert found_pieces[-1][1] == len(samples)
    assert [a for a, _ in found_pieces[1:]] == [b for _, b in found_pieces[:-1]]
    assert all(b - a <= 600 * RATE_HZ for a, b in found_pieces)


def test_no_backend_is_the_default() -> None:
    from sopilot.core.config import Settings

    assert open_recogniser(Settings()) is None
