"""What a model said about the windows of a video, as plain records that can be stored and replayed.

Made by `vlm.detect`; `vlm.conclude` turns them into events without a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sopilot.core.timespan import TimeSpan
from sopilot.vlm.probability import Choices


@dataclass(frozen=True, slots=True)
class ShownFrame:
    """A picture that was sent: its time in the video and the SHA-256 of its bytes."""

    time_sec: float
    sha256: str


@dataclass(frozen=True, slots=True)
class WindowAnswer:
    """One window: what was sent, what came back, and what it says.

    scores: per event type, 0-1; empty where nobody answered. raw: the answer word for word.
    caption, risk: of the model. error_code: why the window counts as not checked, else None.
    choices: per event type whose score is the probability of a yes, the tokens it comes from.
    likeness: (window index, weight) of the windows that look most like this one; weights sum to 1.
    """

    index: int
    span: TimeSpan
    frames: tuple[ShownFrame, ...]
    scores: Mapping[str, float] = field(default_factory=dict)
    caption: str = ""
    risk: float | None = None
    raw: str = ""
    attempts: int = 0
    error_code: str | None = None
    error_message: str | None = None
    likeness: tuple[tuple[int, float], ...] = ()
    choices: Mapping[str, Choices] = field(default_factory=dict)

    @property
    def is_checked(self) -> bool:
        """Did the model answer about it?"""
        return self.error_code is None

    @property
    def best(self) -> tuple[str, float] | None:
        """The event type with the highest score; ties by name. None where there is none."""
        found = sorted(self.scores.items(), key=lambda item: (-item[1], item[0]))
        return found[0] if found else None


def answer_record(answer: WindowAnswer) -> dict[str, Any]:
    """The JSON form; `answer_of` reads it."""
    return asdict(answer) | {"span": answer.span.as_list(), "scores": dict(answer.scores)}


def answer_of(record: Mapping[str, Any]) -> WindowAnswer:
    """The answer that `answer_record` wrote, also after a way through JSON."""
    values = dict(record)
    values["span"] = TimeSpan(*values["span"])
    values["frames"] = tuple(ShownFrame(**frame) for frame in values["frames"])
    values["likeness"] = tuple((int(i), float(w)) for i, w in values["likeness"])
    values["choices"] = {
        kind: tuple((str(text), float(logprob)) for text, logprob in told)
        for kind, told in values.get("choices", {}).items()
    }
    return WindowAnswer(**values)


def asked_counts(answers: Iterable[WindowAnswer]) -> tuple[int, int]:
    """How many windows were answered, and how many questions got no answer."""
    asked = [answer for answer in answers if answer.attempts > 0]
    answered = sum(answer.is_checked for answer in asked)
    return answered, len(asked) - answered


def unchecked_spans(answers: Sequence[WindowAnswer]) -> list[tuple[TimeSpan, str]]:
    """What nobody looked at, with the code of the reason; neighbours of one reason are joined."""
    found: list[tuple[TimeSpan, str]] = []
    for answer in answers:
        if answer.error_code is None:
            continue
        if found and found[-1][1] == answer.error_code:
            last = found[-1][0]
            if answer.span.start_sec <= last.end_sec + 1e-6:
                found[-1] = (TimeSpan(last.start_sec, answer.span.end_sec), answer.error_code)
                continue
        found.append((answer.span, answer.error_code))
    return found
