"""Events in plain words, found by a vision-language model in two stages.

First what is cheap: every window of a video gets a rank, from how conspicuous its signals are and
from texts that speak of the event. Then the model is asked a yes or no about the windows, the
highest ranks first, as many as the setting allows; the others are not checked. Answers become
events by the shared rules of `vlm.conclude`. Pictures are the stored thumbnails, times our own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, create_model

from sopilot.core.records import Keyframe, Progress
from sopilot.core.timespan import TimeSpan
from sopilot.media.keyframes import StripFile
from sopilot.media.pictures import ShownPicture, Window
from sopilot.vigil.event_schemas import DefinitionRow, Detection, FoundEvent
from sopilot.vlm.answers import answer_record, asked_counts, unchecked_spans
from sopilot.vlm.client import Asker, Reply
from sopilot.vlm.conclude import ENTER, conclude
from sopilot.vlm.detect import Guide, Pace, Reading, ask_windows
from sopilot.vlm.probability import choices_of, share_of_true

PROMPT = 1
"""Number of the wording below; part of the prompt's version."""
MOST_EVENTS = 200
PICTURES_PER_WINDOW = 4
MOST_TOKENS = 250

_INSTRUCTION = (
    "You watch recorded footage of a fixed place. You see pictures of one short window of it, each "
    "after its time. Say in one sentence what they show, then whether the event described below "
    "happens in them. Judge only what is to be seen; when in doubt the answer is no."
)


@dataclass(frozen=True, slots=True)
class Footage:
    """What is known of a video before a model is asked. ranks: 0-1 per window."""

    duration_sec: float
    window_sec: float
    cuts_sec: Sequence[float]
    strip: StripFile

    def windows(self) -> list[Window]:
        """Windows side by side; the last one ends with the video."""
        count = max(1, round(self.duration_sec / self.window_sec))
        edges = [self.duration_sec * place / count for place in range(count + 1)]
        return [Window(i, TimeSpan(edges[i], edges[i + 1])) for i in range(count)]


class ThumbnailsOf:
    """The thumbnails within windows, as the detection pass wants them."""

    def __init__(self, strip: StripFile, windows: Sequence[Window]) -> None:
        self._strip = strip
        self._spans = {window.index: window.span for window in windows}

    def of(self, window_index: int) -> tuple[ShownPicture, ...]:
        """At most PICTURES_PER_WINDOW of a window, spread over it."""
        span = self._spans[window_index]
        times = self._strip.times_sec
        first, stop = times.searchsorted([span.start_sec, span.end_sec])
        inside = range(int(first), int(stop))
        step = max(1, -(-len(inside) // PICTURES_PER_WINDOW))
        shown = []
        for place in inside[::step]:
            jpeg = self._strip.jpeg(place)
            frame = Keyframe(float(times[place]), jpeg)
            shown.append(ShownPicture(frame, hashlib.sha256(jpeg).hexdigest()))
        return tuple(shown)


def detect_zero_shot(
    asker: Asker,
    model: str,
    definition: DefinitionRow,
    footage: Footage,
    ranks: Sequence[float],
    *,
    concurrency: int,
    window_limit: int,
    progress: Progress,
) -> Detection:
    """Ask about the windows of a video. ranks: one per window, the highest are asked first.

    Raises what `vlm.detect.ask_windows` raises.
    """
    windows = footage.windows()
    pace = Pace(concurrency, MOST_TOKENS, True, window_limit, ranks)
    answers = ask_windows(
        asker,
        windows,
        ThumbnailsOf(footage.strip, windows),
        _guide(definition),
        pace,
        progress,
    )
    least = ENTER if definition.threshold is None else definition.threshold
    found = conclude(answers, cuts_sec=footage.cuts_sec, most=MOST_EVENTS)
    frames = {answer.index: answer.frames for answer in answers}
    events = tuple(
        FoundEvent(
            event.event_type,
            event.span,
            round(event.score, 4),
            event.description,
            {
                "highlight": event.highlight.as_list(),
                "pictures": [
                    {"time_sec": shown.time_sec, "sha256": shown.sha256}
                    for window in windows
                    if window.span.overlap_sec(event.highlight) > 0
                    for shown in frames[window.index]
                ],
            },
        )
        for event in found
        if event.score >= least
    )
    unchecked = tuple(unchecked_spans(answers))
    missed_sec = sum(span.duration_sec for span, _ in unchecked)
    return Detection(
        events,
        round(max(0.0, footage.duration_sec - missed_sec), 3),
        unchecked,
        model,
        prompt_version(definition),
        {"answers": [answer_record(answer) for answer in answers]},
        *asked_counts(answers),
    )


def prompt_version(definition: DefinitionRow) -> str:
    """12 hex digits over the wording and what the definition says."""
    told = [PROMPT, _INSTRUCTION, _question(definition)]
    text = json.dumps(told, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _question(definition: DefinitionRow) -> str:
    lines = [f"The event: {definition.description}"]
    if definition.visual_cues:
        lines.append("To be seen by: " + "; ".join(definition.visual_cues))
    if definition.contrast:
        lines.append(f"It is not the event when: {definition.contrast}")
    return "\n".join(lines)


def _guide(definition: DefinitionRow) -> Guide:
    def text(window: Window) -> str:
        span = f"{window.span.start_sec:.2f} to {window.span.end_sec:.2f} seconds"
        return (
            f"Window {window.index}, {span}.\n{_question(definition)}\n"
            f'Answer with window {window.index}, a caption, and "seen" true or false.'
        )

    def read(found: BaseModel, reply: Reply) -> Reading:
        told = cast(Any, found)
        choices = choices_of(reply, "seen")
        probability = share_of_true(choices)
        score = float(told.seen) if probability is None else probability
        kind = definition.event_type
        beside = {kind: choices} if choices else {}
        return Reading({kind: score}, str(told.caption).strip(), score, beside)

    return Guide(_INSTRUCTION, text, lambda window: _shape(window.index), read)


def _shape(index: int) -> type[BaseModel]:
    """The answer about one window; its own number, so that no other window's is taken for it."""
    made: Any = create_model(
        "EventAnswer",
        __config__=ConfigDict(extra="forbid"),
        window=(Annotated[int, Field(ge=index, le=index)], ...),
        caption=(Annotated[str, Field(max_length=400)], ...),
        seen=(bool, ...),
    )
    return cast(type[BaseModel], made)
