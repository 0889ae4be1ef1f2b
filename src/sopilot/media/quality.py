"""Is a recording fit to be judged: duration, resolution, brightness, sharpness, stability.

`QualityMeter` takes part in the one decode pass; its report names every axis with the limit and
what to do. Brightness and sharpness come from one picture per second, stability from bursts of
neighbouring pictures, so a cut is no shake and a shake is no cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.records import QualityCheck, QualityReport, VideoInfo
from sopilot.media.decode import PassSummary
from sopilot.media.middle import median
from sopilot.media.scaling import fit_size

# Pictures are measured at this longer side (never enlarged): the sharpness limit belongs to it.
MEASURE_SIDE_PX = 640
# Bursts: pictures 0.1 s apart, three of them each second.
_BURST_RATE_FPS = 10.0
_BURST_PERIOD = 10
_BURST_LENGTH = 3
# Global motion: tiles of a picture this wide; the median tile moves with the camera, not with the
# hands, as long as they fill less than half of the picture.
_MOTION_SIDE_PX = 160
_TILES = 3
_FLAT_TILE_STD = 2.0
_LEAST_TEXTURED_TILES = 3
# The value that 80 % of the bursts stay below: robust against the odd cut inside a burst.
_SHAKE_QUANTILE = 0.8
_REFERENCE_DIAGONAL_PX = float(np.hypot(3840, 2160))


@dataclass(frozen=True, slots=True)
class QualityLimits:
    """Limits of the five axes, in seconds, pixels and the units of `QualityMeter`.

    stability: see `QualityMeter`.
    """

    min_duration_sec: float = 3.0
    min_side_px: float = 64.0
    min_brightness: float = 40.0
    max_brightness: float = 220.0
    min_sharpness: float = 50.0
    max_stability: float = 80.0


class QualityMeter:
    """Consumer of a decode pass that measures the five axes; one per video.

    brightness: mean grey level 0-255. sharpness: median variance of the Laplacian of pictures
    scaled to a longer side of 640 px. stability: how much the camera's motion changes from one
    tenth of a second to the next, in pixels of a 3840x2160 picture: a steady pan gives 0, fixed
    cameras on real work 0-10, 80 means jumps of 1.8 % of the diagonal, every tenth of a second,
    in a fifth of the recording.
    """

    pixel_format: Literal["gray"] = "gray"

    def __init__(self, info: VideoInfo, limits: QualityLimits | None = None) -> None:
        self._info = info
        self._limits = limits or QualityLimits()
        # A slower source would only repeat its frames inside a burst.
        self.rate_fps = min(_BURST_RATE_FPS, max(info.fps, 0.1))
        self._frame_count = 0
        self._levels: list[float] = []
        self._laplacians: list[float] = []
        self._jumps: list[float] = []
        self._burst: list[NDArray[np.float32]] = []
        self._last_sec = -1.0

    def size_px(self, info: VideoInfo) -> tuple[int, int]:
        """The upright size with the longer side at most 640 px."""
        return fit_size(info.width_px, info.height_px, MEASURE_SIDE_PX)

    def wants(self, sample_index: int) -> bool:
        """The first three pictures of every ten."""
        return sample_index % _BURST_PERIOD < _BURST_LENGTH

    def take(self, time_sec: float, picture: NDArray[np.uint8]) -> None:
        """One gray picture."""
        self._frame_count += 1
        if not self._burst or time_sec - self._last_sec > 1.5 / self.rate_fps:
            self._burst.clear()
            self._levels.append(float(picture.mean()))
            _, spread = cv2.meanStdDev(cv2.Laplacian(picture, cv2.CV_16S))
            self._laplacians.append(float(spread[0, 0]) ** 2)
        self._last_sec = time_sec
        small_px = fit_size(picture.shape[1], picture.shape[0], _MOTION_SIDE_PX)
        small = cv2.resize(picture, small_px, interpolation=cv2.INTER_AREA)
        self._burst.append(small.astype(np.float32))
        if len(self._burst) == _BURST_LENGTH:
            first, second, third = self._burst
            jump_px = np.linalg.norm(camera_motion(second, third) - camera_motion(first, second))
            self._jumps.append(_REFERENCE_DIAGONAL_PX * float(jump_px) / float(np.hypot(*small_px)))
            self._burst.clear()

    def report(self, summary: PassSummary) -> QualityReport:
        """The verdict after the pass; axes in the documented order."""
        brightness = float(np.mean(self._levels)) if self._levels else 0.0
        sharpness = float(median(np.array(self._laplacians))) if self._laplacians else 0.0
        shake = float(np.quantile(self._jumps, _SHAKE_QUANTILE)) if self._jumps else 0.0
        values = (
            summary.duration_sec,
            float(min(self._info.width_px, self._info.height_px)),
            brightness,
            sharpness,
            shake,
        )
        results = [_judge(*pair) for pair in zip(_axes(self._limits), values, strict=True)]
        advice = [item for _, item in results if item is not None]
        return QualityReport(
            overall_pass=all(check.passed for check, _ in results),
            checks=tuple(check for check, _ in results),
            recommendations_ja=tuple(ja for ja, _ in advice),
            recommendations_en=tuple(en for _, en in advice),
            frame_count_sampled=self._frame_count,
            duration_sec=round(summary.duration_sec, 3),
            resolution=(self._info.width_px, self._info.height_px),
        )


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis: its limits, how its value is called, and what helps when it fails."""

    name: str
    low: float
    high: float
    label_ja: str
    label_en: str
    too_low: tuple[str, str]
    too_high: tuple[str, str]
    advice_low: tuple[str, str]
    advice_high: tuple[str, str]
    form: str = ".0f"


def _axes(limits: QualityLimits) -> tuple[_Axis, ...]:
    none = ("", "")
    no_limit = float("inf")
    return (
        _Axis(
            "duration",
            limits.min_duration_sec,
            no_limit,
            "長さ（秒）",
            "duration in s",
            ("動画が短すぎます", "Too short"),
            none,
            ("作業全体が映るように撮影し直してください", "Record the whole procedure again"),
            none,
            ".1f",
        ),
        _Axis(
            "resolution",
            limits.min_side_px,
            no_limit,
            "短辺（px）",
            "shorter side in px",
            ("解像度不足", "Resolution too low"),
            none,
            ("カメラの解像度を上げてください", "Raise the camera's resolution"),
            none,
        ),
        _Axis(
            "brightness",
            limits.min_brightness,
            limits.max_brightness,
            "平均輝度",
            "mean brightness",
            ("照度不足", "Too dark"),
            ("露出過多", "Too bright"),
            (
                "照明を追加するか、カメラの露出を上げてください",
                "Add more lighting or increase camera exposure",
            ),
            (
                "逆光や直射光を避け、カメラの露出を下げてください",
                "Avoid backlight and direct light, or reduce camera exposure",
            ),
        ),
        _Axis(
            "sharpness",
            limits.min_sharpness,
            no_limit,
            "ラプラシアン分散",
            "Laplacian variance",
            ("ピントが合っていません", "Out of focus"),
            none,
            (
                "レンズを清掃し、ピントを合わせて撮影してください",
                "Clean the lens and focus on the work area",
            ),
            none,
        ),
        _Axis(
            "stability",
            0.0,
            limits.max_stability,
            "揺れ（4K換算px）",
            "shake in px of a 4K picture",
            none,
            ("手ブレが大きすぎます", "Camera too shaky"),
            none,
            ("カメラを三脚などで固定してください", "Fix the camera on a tripod or mount"),
        ),
    )


def _judge(axis: _Axis, value: float) -> tuple[QualityCheck, tuple[str, str] | None]:
    """The check of one axis, and the advice (ja, en) where it failed."""
    is_low, is_high = value < axis.low, value > axis.high
    limit = axis.high if is_high or axis.name == "stability" else axis.low
    shown, shown_limit = _shown(value, limit, axis.form)
    if not (is_low or is_high):
        ja, en = "適正", "OK"
        sign = "≤" if limit == axis.high else "≥"
    else:
        ja, en = axis.too_low if is_low else axis.too_high
        sign = "<" if is_low else ">"
    check = QualityCheck(
        name=axis.name,
        passed=not (is_low or is_high),
        value=round(value, 2),
        threshold=limit,
        message_ja=f"{ja}（{axis.label_ja}: {shown} {sign} {shown_limit}）",
        message_en=f"{en} ({axis.label_en}: {shown})",
    )
    if check.passed:
        return check, None
    return check, axis.advice_low if is_low else axis.advice_high


def _shown(value: float, limit: float, form: str) -> tuple[str, str]:
    """Value and limit as text; one decimal more where rounding would make them equal."""
    shown, shown_limit = f"{value:{form}}", f"{limit:{form}}"
    if shown == shown_limit and value != limit:
        return f"{value:.2f}", f"{limit:.2f}"
    return shown, shown_limit


def camera_motion(before: NDArray[np.float32], after: NDArray[np.float32]) -> NDArray[np.float64]:
    """Shift (x, y) in px of the picture as a whole: the median over textured tiles.

    before, after: (h, w) float32 grey. (0, 0) where too few tiles have texture to tell.
    """
    height_px, width_px = before.shape
    tile_w, tile_h = width_px // _TILES, height_px // _TILES
    if tile_w < 8 or tile_h < 8:
        return np.zeros(2)
    window = cv2.createHanningWindow((tile_w, tile_h), cv2.CV_32F)
    shifts = []
    for row in range(_TILES):
        for column in range(_TILES):
            area = np.s_[row * tile_h : (row + 1) * tile_h, column * tile_w : (column + 1) * tile_w]
            one, other = before[area], after[area]
            (mean_one, std_one), (mean_other, std_other) = _moments(one), _moments(other)
            if min(std_one, std_other) < _FLAT_TILE_STD:
                continue
            shifts.append(cv2.phaseCorrelate(one - mean_one, other - mean_other, window)[0])
    if len(shifts) < _LEAST_TEXTURED_TILES:
        return np.zeros(2)
    return np.asarray(median(np.array(shifts)), dtype=np.float64)


def _moments(tile: NDArray[np.float32]) -> tuple[float, float]:
    mean, spread = cv2.meanStdDev(tile)
    return float(mean[0, 0]), float(spread[0, 0])
