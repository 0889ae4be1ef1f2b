"""What a prompt asks about a window, as the detection pass wants it, and how answers are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel

from sopilot.incidents.passes import PassSetting
from sopilot.incidents.prompting import Prompt, frame_shape, frame_text, window_shape, window_text
from sopilot.media.pictures import Window
from sopilot.vlm.client import Reply
from sopilot.vlm.detect import Guide, Reading
from sopilot.vlm.probability import Choices, choices_of, share_of_true

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
    """The scores of every event type."""
    told = cast(Any, found)
    answers: dict[str, bool] = told.answers.model_dump()
    choices = {kind: choices_of(reply, kind) for kind in answers}
    return _reading(answers, choices, str(told.caption), float(told.risk_score))


def read_frames(found: BaseModel, reply: Reply) -> Reading:
    """One score: does anything happen."""
    told = cast(Any, found)
    answers = {FRAME_EVENT: bool(told.has_event)}
    choices = {FRAME_EVENT: choices_of(reply, "has_event")}
    return _reading(answers, choices, str(told.description), float(told.risk_score))


def score_of(is_yes: bool, risk: float, choices: Choices) -> float:
    """The score of an event type, 0-1: the probability of a yes. Without probabilities a plain yes
    counts as at least even, more by the model's own risk; a plain no as nothing."""
    probability = share_of_true(choices)
    if probability is not None:
        return probability
    return 0.5 + 0.5 * risk if is_yes else 0.0


def _reading(
    answers: Mapping[str, bool], choices: Mapping[str, Choices], caption: str, risk: float
) -> Reading:
    scores = {kind: score_of(is_yes, risk, choices[kind]) for kind, is_yes in answers.items()}
    told = {kind: found for kind, found in choices.items() if found}
    return Reading(scores, caption.strip(), risk, told)


def _place(window: Window) -> tuple[int, float, float]:
    return window.index, window.span.start_sec, window.span.end_sec
