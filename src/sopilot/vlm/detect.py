"""The one detection pass: windows of a video to a model, its answers back, failures kept apart.

Used for incidents and for the events of VIGIL. What is asked comes from the caller as a `Guide`;
the pictures come from our own pass over the video, and so do all times.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from sopilot.core.errors import ModelError, ModelRefused, ModelUnavailable
from sopilot.core.records import Progress, no_progress
from sopilot.media.pictures import ShownPicture, Window
from sopilot.vlm.answers import ShownFrame, WindowAnswer
from sopilot.vlm.client import Asker, Picture, Question, Reply
from sopilot.vlm.probability import Choices

NOT_ASKED = "NOT_ASKED"
NO_PICTURE = "NO_PICTURE"
MOST_FAILED_RATIO = 0.5
"""A pass in which more windows failed than this says nothing about the video."""

_LOOK_SIZE = (12, 8)
_ALIKE_COUNT = 3
_ALIKE_TEMPERATURE = 0.1
_BLOCK_ROWS = 512
_POLL_SEC = 0.25


class Pictures(Protocol):
    """Where the pictures of windows come from; `media.pictures.PictureFile` is one."""

    def of(self, window_index: int) -> tuple[ShownPicture, ...]:
        """The pictures of a window in time order; none where the video showed nothing new."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What an answer says. scores: per event type, 0-1. caption: in the model's words. choices: see
    `WindowAnswer`."""

    scores: Mapping[str, float]
    caption: str
    risk: float
    choices: Mapping[str, Choices] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Guide:
    """What is asked about every window, and how an answer is read.

    instruction: comes first. text: follows the pictures. shape: what the answer must be.
    """

    instruction: str
    text: Callable[[Window], str]
    shape: Callable[[Window], type[BaseModel]]
    read: Callable[[BaseModel, Reply], Reading]


@dataclass(frozen=True, slots=True)
class Pace:
    """Limits of a pass. window_limit: most windows that are asked, 0 = all; ranks: how conspicuous
    each window is, the highest are asked first and stay within the limit."""

    concurrency: int = 4
    max_tokens: int = 400
    wants_probability: bool = True
    window_limit: int = 0
    ranks: Sequence[float] = ()


@dataclass(slots=True)
class _Run:
    """The state of a pass."""

    answers: dict[int, WindowAnswer] = field(default_factory=dict)
    looks: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    failures: list[ModelError] = field(default_factory=list)

    def has_no_answer_yet(self) -> bool:
        return all(not answer.is_checked for answer in self.answers.values())


def ask_windows(
    asker: Asker,
    windows: Sequence[Window],
    pictures: Pictures,
    guide: Guide,
    pace: Pace,
    progress: Progress = no_progress,
) -> list[WindowAnswer]:
    """Ask about every window, several at the same time; the answers in the order of the windows.

    A window whose question failed, that has no picture or lies beyond the limit carries the code of
    the reason. Raises ModelRefused at once, ModelUnavailable when the first questions all find
    nobody, the most frequent failure when more than half of the asked windows failed, and what
    `progress` raises; then no further question is sent.
    """
    run = _Run()
    asked = [windows[place] for place in _order(windows, pace)]
    pool = ThreadPoolExecutor(pace.concurrency, thread_name_prefix="vlm")
    try:
        for future, sent in _questions(run, pool, asker, asked, pictures, guide, pace, progress):
            _take(run, sent, future, pace)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    _check_share(run, len(asked))
    for window in windows:
        if window.index not in run.answers:
            why = "more windows than the limit allows"
            run.answers[window.index] = _unchecked(window, NOT_ASKED, why)
    return _with_likeness([run.answers[window.index] for window in windows], run.looks)


def _order(windows: Sequence[Window], pace: Pace) -> list[int]:
    """Places of the windows to ask, the most conspicuous first."""
    ranks = pace.ranks or [0.0] * len(windows)
    order = sorted(range(len(windows)), key=lambda place: (-ranks[place], place))
    return order[: pace.window_limit] if pace.window_limit else order


def _questions(
    run: _Run,
    pool: ThreadPoolExecutor,
    asker: Asker,
    windows: Sequence[Window],
    pictures: Pictures,
    guide: Guide,
    pace: Pace,
    progress: Progress,
) -> Iterator[tuple[Future[WindowAnswer], WindowAnswer]]:
    """Answers as they come, each with what was sent for it. As many questions are open as may be;
    pictures are read late."""
    waiting = list(reversed(windows))
    open_ones: dict[Future[WindowAnswer], WindowAnswer] = {}
    while waiting or open_ones:
        while waiting and len(open_ones) < pace.concurrency:
            window = waiting.pop()
            shown = pictures.of(window.index)
            if not shown:
                why = "the video has no picture there"
                run.answers[window.index] = _unchecked(window, NO_PICTURE, why)
                continue
            run.looks[window.index] = _look(shown[len(shown) // 2])
            question = _question(guide, window, shown, pace)
            sent = tuple(ShownFrame(item.frame.time_sec, item.sha256) for item in shown)
            future = pool.submit(_ask, asker, question, guide, window, sent)
            open_ones[future] = WindowAnswer(window.index, window.span, sent)
        done, _ = wait(open_ones, timeout=_POLL_SEC, return_when=FIRST_COMPLETED)
        for future in done:
            yield future, open_ones.pop(future)
        progress(len(run.answers) / len(windows))


def _take(run: _Run, sent: WindowAnswer, future: Future[WindowAnswer], pace: Pace) -> None:
    try:
        run.answers[sent.index] = future.result()
    except ModelRefused:
        raise  # the next question would be refused as well
    except ModelError as error:
        run.failures.append(error)
        is_nobody = isinstance(error, ModelUnavailable) and run.has_no_answer_yet()
        if is_nobody and len(run.failures) >= pace.concurrency:
            raise
        run.answers[sent.index] = replace(
            sent,
            error_code=error.code,
            error_message=error.message,
            raw=str(error.details.get("text", "")),
            attempts=int(error.details.get("attempts", 1)),
        )


def _question(guide: Guide, window: Window, shown: Sequence[ShownPicture], pace: Pace) -> Question:
    pictures = [Picture(item.frame.time_sec, item.frame.jpeg) for item in shown]
    return Question(
        parts=(guide.instruction, *pictures, guide.text(window)),
        schema=guide.shape(window),
        max_tokens=pace.max_tokens,
        wants_probability=pace.wants_probability,
    )


def _ask(
    asker: Asker, question: Question, guide: Guide, window: Window, sent: tuple[ShownFrame, ...]
) -> WindowAnswer:
    found, reply = asker.ask_for(question)
    reading = guide.read(found, reply)
    return WindowAnswer(
        index=window.index,
        span=window.span,
        frames=sent,
        scores=dict(reading.scores),
        caption=reading.caption,
        risk=reading.risk,
        raw=reply.text,
        attempts=reply.attempts,
        choices=dict(reading.choices),
    )


def _unchecked(window: Window, code: str, why: str) -> WindowAnswer:
    return WindowAnswer(window.index, window.span, (), error_code=code, error_message=why)


def _check_share(run: _Run, asked_count: int) -> None:
    if len(run.failures) <= MOST_FAILED_RATIO * asked_count:
        return
    (code, count), *_ = Counter(error.code for error in run.failures).most_common(1)
    sample = next(error for error in run.failures if error.code == code)
    raise type(sample)(
        f"{len(run.failures)} of {asked_count} windows could not be checked, {count} of them "
        f"because: {sample.message}",
        {"code": code, "failed": len(run.failures), "asked": asked_count},
    )


def _look(shown: ShownPicture) -> NDArray[np.float32]:
    """(96,) float32 of unit length: the brightness pattern of a picture, its mean taken away."""
    data = np.frombuffer(shown.frame.jpeg, np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    assert picture is not None  # our own encoder wrote it
    small = cv2.resize(picture, _LOOK_SIZE, interpolation=cv2.INTER_AREA).astype(np.float32).ravel()
    small -= small.mean()
    return np.asarray(small / max(float(np.linalg.norm(small)), 1e-6), np.float32)


def _with_likeness(
    answers: Sequence[WindowAnswer], looks: Mapping[int, NDArray[np.float32]]
) -> list[WindowAnswer]:
    """The answers, each with the checked windows that look most like it: softmax of the cosine.

    Neighbours are left out, they count on their own. O(n^2) time, O(n) memory.
    """
    places = [place for place, answer in enumerate(answers) if answer.is_checked]
    found = list(answers)
    if len(places) < _ALIKE_COUNT + 3:
        return found
    rows = np.stack([looks[answers[place].index] for place in places])
    for first in range(0, len(rows), _BLOCK_ROWS):
        block = rows[first : first + _BLOCK_ROWS] @ rows.T
        for offset, similarity in enumerate(block):
            similarity[max(0, first + offset - 1) : first + offset + 2] = -np.inf
        for offset, best in enumerate(_highest(block)):
            weights = [math.exp((value - best[0][1]) / _ALIKE_TEMPERATURE) for _, value in best]
            likeness = tuple(
                (answers[places[column]].index, round(weight / sum(weights), 4))
                for (column, _), weight in zip(best, weights, strict=True)
            )
            place = places[first + offset]
            found[place] = replace(answers[place], likeness=likeness)
    return found


def _highest(block: NDArray[np.float32]) -> list[list[tuple[int, float]]]:
    """Per row the columns with the highest values, the first of equals first; the block is used
    up. A sort of every row would take most of the time of a long video."""
    rows = np.arange(len(block))
    found: list[list[tuple[int, float]]] = [[] for _ in rows]
    for _ in range(_ALIKE_COUNT):
        columns = block.argmax(axis=1)
        for best, column, value in zip(found, columns, block[rows, columns], strict=True):
            best.append((int(column), float(value)))
        block[rows, columns] = -np.inf
    return found
