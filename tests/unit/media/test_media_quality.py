"""The quality axes, each made to fail by a recording that a person would refuse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from media_clips import LIMITS, Picture, texture, write_clip

from sopilot.core.records import QualityCheck, QualityReport
from sopilot.media.decode import run_pass
from sopilot.media.probe import probe
from sopilot.media.quality import QualityLimits, QualityMeter

SIZE = (320, 180)
FPS = 20
AXES = ["duration", "resolution", "brightness", "sharpness", "stability"]


def measure(path: Path, limits: QualityLimits | None = None) -> QualityReport:
    info = probe(path, LIMITS)
    meter = QualityMeter(info, limits)
    return meter.report(run_pass(path, info, [meter]))


def moving(offsets_px: list[tuple[float, float]]) -> Iterator[Picture]:
    """The camera looks at one place of a wide texture, shifted by the offsets."""
    wide = texture(SIZE[0] + 400, SIZE[1] + 200)
    for x_px, y_px in offsets_px:
        move = np.array([[1, 0, -200 - x_px], [0, 1, -100 - y_px]], np.float32)
        yield cv2.warpAffine(wide, move, SIZE, flags=cv2.INTER_LINEAR)


def write(path: Path, offsets_px: list[tuple[float, float]]) -> Path:
    return write_clip(path, list(moving(offsets_px)), size_px=SIZE, fps=FPS)


def check(report: QualityReport, name: str) -> QualityCheck:
    return next(item for item in report.checks if item.name == name)


def test_a_good_recording_passes_every_axis(tmp_path: Path) -> None:
    report = measure(write(tmp_path / "g.mp4", [(0, 0)] * 4 * FPS))
    assert [item.name for item in report.checks] == AXES
    assert report.overall_pass
    assert report.recommendations_ja == report.recommendations_en == ()
    assert report.resolution == SIZE
    assert report.frame_count_sampled == 12


@pytest.mark.parametrize(
    ("gain", "offset", "words_ja", "words_en"),
    [(0.2, 0, "照度不足（平均輝度: 2", "Too dark"), (0.1, 235, "露出過多", "Too bright")],
)
def test_wrong_light_is_named_in_both_languages(
    tmp_path: Path, gain: float, offset: float, words_ja: str, words_en: str
) -> None:
    frame = np.clip(texture(*SIZE) * gain + offset, 0, 255).astype(np.uint8)
    report = measure(write_clip(tmp_path / "l.mp4", [frame] * 80, size_px=SIZE, fps=FPS))
    result = check(report, "brightness")
    assert not result.passed
    assert words_ja in result.message_ja
    assert words_en in result.message_en
    assert report.recommendations_ja
    assert not report.overall_pass


def test_a_blurred_recording_is_not_sharp(tmp_path: Path) -> None:
    frame = cv2.GaussianBlur(texture(*SIZE), (0, 0), 8)
    report = measure(write_clip(tmp_path / "b.mp4", [frame] * 80, size_px=SIZE, fps=FPS))
    assert [item.name for item in report.checks if not item.passed] == ["sharpness"]


def sway(amplitude_px: float, rate_hz: float) -> list[tuple[float, float]]:
    times = np.arange(4 * FPS) / FPS
    return [(amplitude_px * float(np.sin(2 * np.pi * rate_hz * t)), 0.0) for t in times]


def test_shake_fails_and_grows_with_its_amplitude(tmp_path: Path) -> None:
    values = [
        check(measure(write(tmp_path / "s.mp4", sway(px, 2.7))), "stability").value
        for px in (0.5, 2.0, 8.0)
    ]
    assert values == sorted(values)
    assert values[0] < 80 < values[2]


def test_a_steady_pan_is_no_shake(tmp_path: Path) -> None:
    pan = [(40.0 * index / FPS - 80, 0.0) for index in range(4 * FPS)]
    assert check(measure(write(tmp_path / "p.mp4", pan)), "stability").value < 20


def test_cuts_are_no_shake(tmp_path: Path) -> None:
    frames = [texture(*SIZE, seed=index // 15) for index in range(5 * FPS)]
    report = measure(write_clip(tmp_path / "c.mp4", frames, size_px=SIZE, fps=FPS))
    assert check(report, "stability").passed


def test_work_in_a_third_of_the_picture_is_no_shake(tmp_path: Path) -> None:
    still = texture(*SIZE)
    frames = []
    for index in range(4 * FPS):
        frame = still.copy()
        frame[60:, 100:200] = np.roll(texture(100, 120, 5), (index * 7) % 13 * 5, axis=0)
        frames.append(frame)
    report = measure(write_clip(tmp_path / "w.mp4", frames, size_px=SIZE, fps=FPS))
    assert check(report, "stability").value < 20


def test_short_and_small_are_named(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "t.mp4", count=10, size_px=(64, 48))
    failed = [item.name for item in measure(path).checks if not item.passed]
    assert failed[:2] == ["duration", "resolution"]


def test_limits_are_the_callers(tmp_path: Path) -> None:
    path = write(tmp_path / "g.mp4", [(0, 0)] * 4 * FPS)
    report = measure(path, QualityLimits(min_sharpness=1e6))
    assert check(report, "sharpness").threshold == 1e6
    assert not report.overall_pass
