"""Thumbnails: one per second, small, stored and chosen."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from media_clips import LIMITS, texture, write_clip

from sopilot.core.errors import NoFrames, StoreError
from sopilot.core.records import VideoInfo
from sopilot.core.timespan import TimeSpan
from sopilot.media.decode import run_pass
from sopilot.media.keyframes import Strip, StripFile, ThumbnailStrip, choose_keyframe
from sopilot.media.probe import probe


def strip_of(path: Path) -> Strip:
    consumer = ThumbnailStrip()
    run_pass(path, probe(path, LIMITS), [consumer])
    return consumer.finish()


def hand_made(sharpness: list[float]) -> Strip:
    count = len(sharpness)
    jpegs = tuple(bytes([index]) * (index + 1) for index in range(count))
    return Strip(np.arange(count, dtype=float), np.array(sharpness, np.float32), jpegs)


def test_one_small_jpeg_per_second(tmp_path: Path) -> None:
    frames = [texture(640, 360, index // 10) for index in range(40)]
    strip = strip_of(write_clip(tmp_path / "a.mp4", frames, size_px=(640, 360)))
    assert strip.times_sec.tolist() == [0.0, 1.0, 2.0, 3.0]
    picture = cv2.imdecode(np.frombuffer(strip.jpegs[2], np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (180, 320, 3)
    wanted = cv2.resize(frames[20], (320, 180), interpolation=cv2.INTER_AREA)
    assert np.abs(picture.astype(float) - wanted).mean() < 8


@pytest.mark.parametrize(
    ("size", "wanted"), [((1280, 720), (320, 180)), ((720, 1280), (320, 569)), ((90, 60), (90, 60))]
)
def test_thumbnails_are_at_most_320_wide(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    info = VideoInfo(*size, 0, 30.0, False, 1.0, "h264", "yuv420p", False, 1, "x")
    assert ThumbnailStrip().size_px(info) == wanted


def test_the_blob_holds_the_strip_and_is_deterministic() -> None:
    strip = hand_made([1.0, 2.0, 3.0])
    again = Strip.from_bytes(strip.to_bytes())
    assert again.jpegs == strip.jpegs
    assert again.times_sec.tolist() == strip.times_sec.tolist()
    assert again.to_bytes() == strip.to_bytes()


@pytest.mark.parametrize("blob", [b"", b"junk", hand_made([1.0]).to_bytes()[:-30]])
def test_a_damaged_blob_is_a_store_error(blob: bytes) -> None:
    with pytest.raises(StoreError, match="ingest the video again"):
        Strip.from_bytes(blob)


@pytest.mark.parametrize(
    ("sharpness", "span", "chosen_sec"),
    [
        ([1, 1, 1, 1, 1, 1, 1, 1, 1], (0.0, 8.0), 4.0),
        ([9, 1, 1, 1, 1, 2, 1, 1, 9], (0.0, 8.0), 5.0),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1], (2.9, 3.1), 3.0),
        ([1, 1, 1, 1, 1, 1, 1, 1, 1], (30.0, 40.0), 8.0),
        ([1, 1, 1], (1.0, 1.0), 1.0),
    ],
)
def test_the_keyframe_is_sharp_and_central(
    sharpness: list[float], span: tuple[float, float], chosen_sec: float
) -> None:
    assert choose_keyframe(hand_made(sharpness), TimeSpan(*span)).time_sec == chosen_sec


def test_a_strip_stays_small_in_a_long_video() -> None:
    strip = ThumbnailStrip()
    picture = np.zeros((9, 16, 3), np.uint8)
    for second in range(10_000):
        if strip.wants(second):
            strip.take(float(second), picture)
    times = strip.finish().times_sec
    assert len(times) <= 3600
    assert set(np.diff(times)) == {4.0}


def test_a_strip_written_piece_by_piece_is_the_same(tmp_path: Path) -> None:
    consumer = ThumbnailStrip()
    for second in range(5):
        consumer.take(float(second), np.asarray(texture(64, 36, second)))
    consumer.write(tmp_path / "strip")
    assert (tmp_path / "strip").read_bytes() == consumer.finish().to_bytes()


def test_no_picture_is_no_strip(tmp_path: Path) -> None:
    with pytest.raises(NoFrames):
        ThumbnailStrip().finish()
    with pytest.raises(NoFrames):
        ThumbnailStrip().write(tmp_path / "strip")


def test_pictures_come_one_by_one_out_of_the_file(tmp_path: Path) -> None:
    strip = Strip(
        np.array([0.0, 1.0, 2.0]), np.ones(3, np.float32), (b"first", b"", b"the third one")
    )
    (tmp_path / "strip").write_bytes(strip.to_bytes())
    with StripFile(tmp_path / "strip") as file:
        assert [file.jpeg(place) for place in (2, 0, 1)] == [b"the third one", b"first", b""]
        assert (len(file), file.nearest(1.4), file.nearest(1.5), file.nearest(9)) == (3, 1, 1, 2)
    (tmp_path / "strip").write_bytes(b"PK no strip")
    with pytest.raises(StoreError, match="ingest the video again"):
        StripFile(tmp_path / "strip")
