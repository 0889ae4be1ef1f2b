"""What the probe says about files, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from media_clips import LIMITS, corner_picture, write_clip

from sopilot.core.errors import BadUpload, ProbeError, SopilotError
from sopilot.media.probe import hash_file, probe


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("a.mp4", {}, {"codec": "h264", "fps": 10.0, "is_vfr": False, "has_audio": False}),
        ("a.mp4", {"with_audio": True}, {"has_audio": True, "duration_sec": 4.0}),
        ("a.mp4", {"size_px": (161, 97)}, {"width_px": 161, "height_px": 97}),
        ("a.mp4", {"rotation_deg": 90}, {"width_px": 96, "height_px": 160, "rotation_deg": 90}),
        ("a.mp4", {"rotation_deg": 180}, {"width_px": 160, "height_px": 96, "rotation_deg": 180}),
        ("a.mp4", {"rotation_deg": 270}, {"width_px": 96, "height_px": 160, "rotation_deg": 270}),
        ("a.mp4", {"pixel_format": "yuv420p10le"}, {"pixel_format": "yuv420p10le"}),
        ("a.mkv", {"codec": "ffv1", "pixel_format": "yuv420p10le"}, {"codec": "ffv1"}),
        ("a.avi", {"codec": "mpeg4"}, {"codec": "mpeg4", "duration_sec": 4.0}),
        ("a.h264", {}, {"codec": "h264", "is_vfr": False}),
        ("a.ts", {}, {"codec": "h264", "duration_sec": 4.0}),
        ("a.mp4", {"count": 1}, {"duration_sec": 0.1}),
    ],
)
def test_the_description_matches_what_was_written(
    tmp_path: Path, name: str, options: dict[str, Any], expected: dict[str, Any]
) -> None:
    info = probe(write_clip(tmp_path / name, **options), LIMITS)
    assert {key: getattr(info, key) for key in expected} == pytest.approx(expected)


def test_variable_frame_rate_is_seen(tmp_path: Path) -> None:
    times = np.cumsum([0.05 if index % 3 else 0.2 for index in range(40)]).tolist()
    for name in ("v.mp4", "v.mkv"):
        info = probe(write_clip(tmp_path / name, times_sec=times), LIMITS)
        assert info.is_vfr
        assert info.duration_sec == pytest.approx(times[-1] - times[0], abs=0.25)


def test_a_constant_rate_that_does_not_divide_the_clock_is_constant(tmp_path: Path) -> None:
    info = probe(write_clip(tmp_path / "n.mkv", fps=30000 / 1001), LIMITS)
    assert not info.is_vfr
    assert info.fps == pytest.approx(30000 / 1001, rel=1e-3)


def test_the_hash_is_of_the_bytes(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4")
    assert probe(path, LIMITS).sha256 == hash_file(path)
    assert probe(path, LIMITS, sha256="known").sha256 == "known"


def empty(path: Path) -> None:
    path.touch()


def text(path: Path) -> None:
    path.write_text("this is no video\n" * 50)


def folder(path: Path) -> None:
    path.mkdir()


def missing(_path: Path) -> None:
    return


def playlist(path: Path) -> None:
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n/etc/passwd\n")


def concat(path: Path) -> None:
    path.write_text("ffconcat version 1.0\nfile 'other.mp4'\n")


def picture(path: Path) -> None:
    cv2.imwrite(str(path.with_suffix(".png")), corner_picture(64, 64))
    shutil.move(path.with_suffix(".png"), path)


def sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        for index in range(50):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 44100, index * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def without_frames(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"


def without_index(path: Path) -> None:
    write_clip(path, faststart=False)
    path.write_bytes(path.read_bytes()[:-2000])


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (empty, BadUpload, "empty"),
        (text, ProbeError, "cannot be read"),
        (folder, BadUpload, "folder"),
        (missing, BadUpload, "no such file"),
        (playlist, ProbeError, "cannot be read"),
        (concat, ProbeError, "cannot be read"),
        (picture, ProbeError, "cannot be read"),
        (sound, BadUpload, "only sound"),
        (without_frames, SopilotError, "v.mp4"),
        (without_index, ProbeError, "complete MP4"),
    ],
)
def test_what_is_no_video_is_refused(
    tmp_path: Path, make: Callable[[Path], None], kind: type[SopilotError], words: str
) -> None:
    path = tmp_path / "v.mp4"
    make(path)
    with pytest.raises(kind, match=words):
        probe(path, LIMITS)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (replace(LIMITS, max_pixels=160 * 96 - 1), "SOPILOT_MAX_PIXELS"),
        (replace(LIMITS, max_duration_sec=3.9), "SOPILOT_MAX_VIDEO_SECONDS"),
        (replace(LIMITS, min_duration_sec=4.1), "SOPILOT_MIN_VIDEO_SECONDS"),
    ],
)
def test_a_limit_is_named_when_it_is_passed(tmp_path: Path, limits: Any, words: str) -> None:
    with pytest.raises(BadUpload, match=words):
        probe(write_clip(tmp_path / "a.mp4"), limits)


def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    frame = np.zeros((1040, 8000, 3), np.uint8)
    path = write_clip(tmp_path / "h.mkv", [frame], size_px=(8000, 1040), codec="mpeg4")
    with pytest.raises(BadUpload, match="8000x1040"):
        probe(path, LIMITS)
