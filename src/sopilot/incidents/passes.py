"""The three passes over a video, each finer than the one before and only after an empty one.

Source: contract vigil-incidents 1.4, whose changes of parameters these are, to the digit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sopilot.core.config import Settings
from sopilot.core.records import Progress
from sopilot.incidents.schemas import Language
from sopilot.media.pictures import PicturePlan

OnStage = Callable[[int, str, str | None], None]
"""Told when a pass begins: its number, who looks, and the prompt's version where it is known."""

STAGE_NAMES: Mapping[Language, tuple[str, str, str]] = {
    "ru": ("Первичный анализ", "Повторный анализ (мелкие окна)", "Покадровый анализ"),
    "en": ("First pass", "Second pass (small windows)", "Frame by frame"),
    "ja": ("一次解析", "再解析(小さな区間)", "フレームごとの解析"),
}
_FRAME_PASS_TOKENS = 150
_FRAME_PASS_CONCURRENCY = 5
_WINDOW_TOKENS = 400


@dataclass(frozen=True, slots=True)
class PassSetting:
    """Parameters of one pass. form: `windows` asks the guiding questions of every event type,
    `frames` asks in one short question whether anything happens at all."""

    number: int
    window_sec: float
    rate_fps: float
    picture_count: int
    form: Literal["windows", "frames"]
    max_tokens: int
    concurrency: int
    side_px: int

    @property
    def plan(self) -> PicturePlan:
        """The pictures of this pass."""
        return PicturePlan(self.rate_fps, self.window_sec, self.picture_count, self.side_px)

    @property
    def parameters(self) -> dict[str, Any]:
        """For records and reports."""
        return {
            "window_sec": self.window_sec,
            "target_fps": self.rate_fps,
            "frames_per_window": self.picture_count,
            "form": self.form,
        }


def pass_settings(settings: Settings) -> tuple[PassSetting, PassSetting, PassSetting]:
    """The passes that the settings ask for."""
    window_sec, rate_fps = settings.incident_window_sec, settings.incident_target_fps
    count, side_px = settings.incident_frames_per_window, settings.vlm_picture_px
    at_once = settings.vlm_concurrency
    finer_sec, finer_fps = max(0.5, window_sec / 2), min(30.0, 2 * rate_fps)
    first = PassSetting(1, window_sec, rate_fps, count, "windows", _WINDOW_TOKENS, at_once, side_px)
    second = PassSetting(
        2, finer_sec, finer_fps, min(10, count + 2), "windows", _WINDOW_TOKENS, at_once, side_px
    )
    third = PassSetting(
        3,
        2.0,
        max(2.0, rate_fps),
        4,
        "frames",
        _FRAME_PASS_TOKENS,
        _FRAME_PASS_CONCURRENCY,
        side_px,
    )
    return first, second, third


def share_of_pass(progress: Progress, number: int, count: int) -> Progress:
    """The progress of one pass as a share of all of them."""
    return lambda share: progress((number - 1 + share) / count)
