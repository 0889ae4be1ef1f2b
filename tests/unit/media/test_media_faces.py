"""Face blur: the detector loads, and what it finds is blurred for every consumer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from sopilot.core.records import Limits, VideoInfo
from sopilot.media import faces
from sopilot.media.decode import run_pass
from sopilot.media.encode import VideoWriter
from sopilot.media.mask import Mask
from sopilot.media.probe import probe


class Pictures:
    """Keeps the gray pictures of a pass at their own size."""

    rate_fps = None
    pixel_format: Literal["gray"] = "gray"

    def __init__(self) -> None:
        self.taken: list[NDArray[np.uint8]] = []

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        return info.width_px, info.height_px

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        self.taken.append(picture.copy())


class Detector:
    """Finds one face in the first picture it sees, then none."""

    def __init__(self) -> None:
        self.seen = 0

    def detectMultiScale(self, gray: Any, **_: Any) -> list[tuple[int, int, int, int]]:
        self.seen += 1
        return [(40, 40, 40, 40)] if self.seen == 1 else []


def test_the_detectors_of_the_wheel_load_and_find_nothing_in_noise() -> None:
    assert len(faces.load_cascades()) == 2
    flat = np.full((120, 160), 90, np.uint8)
    assert faces.FaceFinder().find(flat).rects == ()


def test_a_found_face_is_blurred_and_stays_so_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = (np.indices((120, 160)).sum(axis=0) // 4 % 2 * 255).astype(np.uint8)
    path = tmp_path / "checks.mp4"
    with VideoWriter(path, (160, 120), fps=10.0) as writer:
        for _ in range(30):
            writer.write(cv2.cvtColor(checks, cv2.COLOR_GRAY2BGR).astype(np.uint8))
    monkeypatch.setattr(faces, "load_cascades", lambda: (Detector(), Detector2()))
    consumer = Pictures()
    info = probe(path, Limits(10**8, 100.0, 0.0), "0" * 64)
    run_pass(path, info, [consumer], Mask((), "black", has_face_blur=True))
    contrast = [float(picture[40:80, 40:80].std()) for picture in consumer.taken]
    assert max(contrast[:16]) < 40
    assert contrast[-1] > 80
    assert consumer.taken[0][90:, 100:].std() > 80


class Detector2:
    """Finds nothing."""

    def detectMultiScale(self, gray: Any, **_: Any) -> list[tuple[int, int, int, int]]:
        return []


def test_face_blur_is_part_of_the_fingerprint() -> None:
    rects = ((0.0, 0.0, 0.5, 0.5),)
    assert Mask(rects).fingerprint != Mask(rects, has_face_blur=True).fingerprint
