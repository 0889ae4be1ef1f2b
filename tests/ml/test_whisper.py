"""Speech through a Whisper of random weights: it babbles; loading, hearing and placing hold."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from sopilot.core.config import Settings
from sopilot.core.errors import BadSettings
from sopilot.embed.speech import open_recogniser
from sopilot.embed.whisper import FasterWhisper
from sopilot.jobs.records import JobState
from sopilot.library.annotations import Source, list_annotations
from sopilot.runtime import close_runtime
from sopilot.vigil.add import request_index
from sopilot.vigil.speech import request_speech
from tests.integration.service_parts import open_test_runtime
from tests.integration.sound_films import write_film
from tests.ml.test_image_text import BY, indexed

pytestmark = pytest.mark.ml


@pytest.fixture(scope="module")
def folder(backend: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.ml.tiny_checkpoints import write_whisper

    return write_whisper(tmp_path_factory.mktemp("whisper"))


def tone(seconds: float) -> np.ndarray:
    times = np.arange(round(16_000 * seconds)) / 16_000
    return (0.3 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)


def test_the_same_sound_gives_the_same_sentences(folder: Path) -> None:
    first, second = (FasterWhisper(folder, compute_type="float32") for _ in range(2))
    said = list(first.sentences(tone(8.0)))
    assert said
    assert list(second.sentences(tone(8.0))) == said
    assert all(item.span.start_sec <= item.span.end_sec for item in said)
    assert first.producer == second.producer
    other = FasterWhisper(folder, compute_type="float32", language="ja")
    assert other.producer.fingerprint != first.producer.fingerprint


def test_a_video_gets_what_is_said_in_it(folder: Path, tmp_path: Path) -> None:
    runtime = open_test_runtime(
        tmp_path,
        asr_backend="faster-whisper",
        asr_model_dir=folder,
        asr_compute_type="float32",
        asr_language="en",
    )
    try:
        path = write_film(tmp_path / "talk.mp4", 8.0, [(1.0, 7.0)])
        video_id = indexed(runtime, path)
        with runtime.database.write() as connection:
            asked = request_index(runtime, connection, video_id, by=BY, wants_speech=True)
        from tests.integration.service_parts import work

        assert asked.job_id is not None
        work(runtime, asked.job_id)
        with runtime.database.read() as connection:
            rows = list_annotations(connection, video_id, source=Source.ASR)
        assert rows
        assert all(0.0 <= row.span.start_sec <= row.span.end_sec <= 8.2 for row in rows)
        assert {row.detail["recogniser"] for row in rows} == {"faster-whisper"}
        assert {row.language for row in rows} == {"en"}
    finally:
        close_runtime(runtime)


def test_a_video_is_transcribed_by_a_job_of_its_own(folder: Path, tmp_path: Path) -> None:
    runtime = open_test_runtime(
        tmp_path,
        asr_backend="faster-whisper",
        asr_model_dir=folder,
        asr_compute_type="float32",
    )
    try:
        video_id = indexed(runtime, write_film(tmp_path / "talk.mp4", 8.0, [(1.0, 7.0)]))
        with runtime.database.write() as connection:
            job = request_speech(runtime, connection, video_id, BY)
        from tests.integration.service_parts import work

        assert work(runtime, job.id).state is JobState.COMPLETED
        with runtime.database.read() as connection:
            rows = list_annotations(connection, video_id, source=Source.ASR)
        assert rows
        assert runtime.recogniser is not None
        version = runtime.recogniser.producer.version
        assert {row.detail["version"] for row in rows} == {version}
        assert all(row.language for row in rows)
    finally:
        close_runtime(runtime)


def test_a_damaged_model_is_told(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.bin").write_bytes(b"\0" * 100)
    with pytest.raises(BadSettings, match="cannot be loaded as a Whisper on cpu as int8"):
        list(FasterWhisper(broken).sentences(tone(1.0)))


def test_numbers_that_the_device_does_not_know_are_told(folder: Path) -> None:
    asked = Settings(
        asr_backend="faster-whisper", asr_model_dir=folder, asr_device="cuda",
        asr_compute_type="float16",
    )  # fmt: skip
    recogniser = open_recogniser(asked)
    assert recogniser is not None
    with pytest.raises(BadSettings, match="SOPILOT_ASR_DEVICE"):
        list(recogniser.sentences(tone(1.0)))
