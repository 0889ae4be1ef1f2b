"""What is said in a video, recognised by a model of this machine, as texts that are searched.

Called by the index job where it is asked for, and by the job that only transcribes. Long sound is
given to the model in pieces that end where it is quiet; times are those of the video.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError
from sopilot.core.records import Progress
from sopilot.core.timespan import TimeSpan
from sopilot.embed.speech import Recogniser
from sopilot.library.annotations import Kind, NewAnnotation, prepared
from sopilot.library.schemas import VideoRow
from sopilot.library.sound import sound_of
from sopilot.media.audio import RATE_HZ
from sopilot.runtime import Runtime

PIECE_SEC = 600.0
QUIET_SEC = 30.0
"""How far before the end of a piece a quiet place is sought."""
MOST_CHARACTERS = 2000
_WINDOW_SEC = 0.5
_SLACK_SEC = 0.05
"""A model's clock has steps of 0.02 s; what is cut by less than this does not count as moved."""
_FULL_SCALE = 32768.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class Heard:
    """What was recognised. has_sound: there was a sound track to listen to. empty_count: sentences
    without a word, left out; moved_count: those whose times lay outside what was heard."""

    rows: list[NewAnnotation]
    has_sound: bool
    empty_count: int = 0
    moved_count: int = 0


def require_recogniser(runtime: Runtime) -> Recogniser:
    """What recognises speech here. Raises InputError where nothing does."""
    if runtime.recogniser is None:
        raise InputError(
            "nothing recognises speech here; set SOPILOT_ASR_BACKEND and SOPILOT_ASR_MODEL_DIR, or "
            "import a transcript"
        )
    return runtime.recogniser


def recognise(
    runtime: Runtime, recogniser: Recogniser, video: VideoRow, folder: Path, progress: Progress
) -> Heard:
    """The sentences of a ready video; none where it has no sound.

    Raises MediaError, BlobNotFound, DiskFull, BadSettings, and what `progress` raises.
    """
    path = sound_of(runtime, video, folder, lambda share: progress(0.1 * share))
    if path is None or path.stat().st_size == 0:
        return Heard([], has_sound=path is not None)
    samples = np.memmap(path, np.int16, "r")
    rows: list[NewAnnotation] = []
    sentence_count = moved_count = 0
    for first, stop in pieces(samples):
        piece = samples[first:stop].astype(np.float32) / _FULL_SCALE
        for sentence in recogniser.sentences(piece):
            row = _row(sentence.span, sentence.text, sentence.language, first, stop, recogniser)
            sentence_count += 1
            if row is not None:
                rows.append(row)
                if sentence.span.end_sec > len(piece) / RATE_HZ + _SLACK_SEC:
                    moved_count += 1
            progress(0.1 + 0.9 * min(1.0, (first / RATE_HZ + sentence.span.end_sec) * RATE_HZ
                                     / len(samples)))  # fmt: skip
        progress(0.1 + 0.9 * stop / len(samples))
    return Heard(prepared(rows), True, sentence_count - len(rows), moved_count)


def pieces(samples: NDArray[np.int16]) -> Iterator[tuple[int, int]]:
    """(first, stop) of pieces of at most PIECE_SEC that end in the quietest half second of their
    last QUIET_SEC; the last one ends with the sound."""
    first, length = 0, round(PIECE_SEC * RATE_HZ)
    while len(samples) - first > length:
        reach, window = round(QUIET_SEC * RATE_HZ), round(_WINDOW_SEC * RATE_HZ)
        end = first + length
        tail = samples[end - reach : end].astype(np.float32)
        loudness = np.square(tail[: reach // window * window].reshape(-1, window)).mean(axis=1)
        stop = end - reach + int(np.argmin(loudness)) * window + window // 2
        yield first, stop
        first = stop
    yield first, len(samples)


def _row(
    span: TimeSpan, text: str, language: str | None, first: int, stop: int, recogniser: Recogniser
) -> NewAnnotation | None:
    """A sentence on the video's clock, within its piece; None for one without a word. What a model
    says may be anything."""
    said = " ".join(_CONTROL.sub(" ", text).split())[:MOST_CHARACTERS]
    if not said:
        return None
    begin_sec, end_sec = first / RATE_HZ, stop / RATE_HZ
    start = min(end_sec, begin_sec + span.start_sec)
    placed = TimeSpan(round(start, 3), round(max(start, min(end_sec, begin_sec + span.end_sec)), 3))
    made = {"recogniser": recogniser.producer.name, "version": recogniser.producer.version}
    return NewAnnotation(Kind.TEXT, placed, said, language=language, detail=made)
