"""What a prompt asks about a window, as the detection pass wants it, and how answers are read."""

from __future__ import annotations

from typing import Any, cast

from pydantic import BaseModel

from sopilot.incidents.passes import PassSetting
from sopilot.incidents.prompting import Prompt, frame_shape, frame_text, window_shape, window_text
from sopilot.media.pictures import Window
from sopilot.vlm.client import Reply
from sopilot.vlm.detect import Guide, Reading
from sopilot.vlm.probability import probability_of

FRAME_EVENT = "EVENT"
"""The type of what the frame by frame pass finds: it asks whether, not what."""


def guide_of(prompt: Prompt, setting: PassSetting) -> Guide:
    """The questions of a pass."""
    if setting.form == "frames":
        return Guide(
            instruction=prompt.instruction,
            text=lambda window: frame_text(prompt, *_place(window)),
            shape=lambda _: frame_shape(),
            read=read_frames,
        )
    return Guide(
        instruction=prompt.instruction,
        text=lambda window: window_text(prompt, *_place(window)),
        shape=lambda window: window_shape(prompt, window.index),
        read=read_window,
    )


def read_window(found: BaseModel, reply: Reply) -> Reading:
    """The scores of every event type. Without probabilities a plain yes counts as at least even,
    more by the model's own risk; a plain no as nothing."""
    told = cast(Any, found)
    answers: dict[str, bool] = told.answers.model_dump()
    scores = {
        kind: _score(is_yes, float(told.risk_score), probability_of(reply, kind))
        for kind, is_yes in answers.items()
    }
    return Reading(scores, str(told.caption).strip(), float(told.risk_score))


def read_frames(found: BaseModel, reply: Reply) -> Reading:
    """One score: does anything happen."""
    told = cast(Any, found)
    risk = float(told.risk_score)
    score = _score(bool(told.has_event), risk, probability_of(reply, "has_event"))
    return Reading({FRAME_EVENT: score}, str(told.description).strip(), risk)


def _score(is_yes: bool, risk: float, probability: float | None) -> float:
    if probability is not None:
        return probability
    return 0.5 + 0.5 * risk if is_yes else 0.0


def _place(window: Window) -> tuple[int, float, float]:
    return window.index, window.span.start_sec, window.span.end_sec
