"""WebVTT and SubRip files -> timed sentences, whoever wrote them.

Called where a transcript is imported. Lenient where nothing is lost (order, settings, missing empty
lines, comma or point), strict where a sentence or its time would be: the refusal names the line.
Why no package: docs/decisions/0010. Source of the format: the WebVTT recommendation of the W3C.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NoReturn

from sopilot.core.errors import BadTranscript
from sopilot.core.timespan import TimeSpan, timecode

MOST_BYTES = 64 << 20
END_SLACK_SEC = 1.0
"""How far a cue may reach beyond the video: players end the last one late."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_TIME = r"(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{3}))?"
_TIMES = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?", re.ASCII)
_LIKE_TIMES = re.compile(r"\s*\d+:\d\S*\s*[-=\u2013\u2014]+>", re.ASCII)
_NOT_CUES = re.compile(r"(NOTE|STYLE|REGION)(\s|$)")
_LANGUAGE = re.compile(r"Language\s*:\s*([A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*)\s*", re.ASCII)
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?[ \t\n]++([^<>]*)>", re.IGNORECASE)
# Only what the two formats know: "List<String>" is no markup. {\an8} is a place on the screen.
_TAGS = re.compile(
    r"</?(?:[bcius]|v|lang|ruby|font)(?:[.\s][^<>]*)?>|<\d[\d:.]*>|\{\\[^{}]*\}", re.IGNORECASE
)
_READING = re.compile(r"<(/?)rt(?:\.[^<>]*)?>", re.IGNORECASE)
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


@dataclass(frozen=True, slots=True)
class Cue:
    """One sentence of one speaker. text: without markup, its lines separated by "\\n", not empty.

    line: where its times stand in the file, from 1.
    """

    span: TimeSpan
    text: str
    speaker: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Subtitles:
    """A whole file. cues: by start, those of one start in the order of the file; they may overlap.

    language: what the file says of itself. notes: what was changed, in words for its sender.
    """

    format: Literal["vtt", "srt"]
    cues: tuple[Cue, ...]
    language: str | None
    notes: tuple[str, ...]


def parse_subtitles(data: bytes, duration_sec: float | None = None) -> Subtitles:
    """The sentences of a WebVTT or SubRip file in UTF-8. duration_sec: of the video, where known.

    A cue that reaches at most END_SLACK_SEC beyond the video is cut at its end, with a note.
    Raises BadTranscript naming the line, the value and the remedy. O(length).
    """
    lines = _LINE_END.split(_decode(data))
    is_vtt = re.match(r"WEBVTT(\s|$)", lines[0]) is not None
    language, first = _header(lines) if is_vtt else (None, 0)
    cues: list[Cue] = []
    notes = _Notes()
    for line, span, said in _blocks(lines, first, is_vtt):
        fitted = span if duration_sec is None else _fitted(span, line, duration_sec, notes)
        cues += _sentences(fitted, said, line)
    if not cues:
        _refuse("there is no sentence in it; send a file with cues")
    ordered = sorted(cues, key=lambda cue: (cue.span.start_sec, cue.line))
    if ordered != cues:
        notes.add("cues were not in the order of time and have been sorted")
    return Subtitles("vtt" if is_vtt else "srt", tuple(ordered), language, notes.told())


class _Notes:
    """What was changed; of many changes the first."""

    _MOST = 20

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._count = 0

    def add(self, text: str) -> None:
        self._count += 1
        if len(self._texts) < self._MOST:
            self._texts.append(text)

    def told(self) -> tuple[str, ...]:
        rest = self._count - len(self._texts)
        return (*self._texts, *([f"and {rest} more"] if rest else []))


def _refuse(problem: str, line: int | None = None, value: str | None = None) -> NoReturn:
    details: dict[str, object] = {}
    if line is not None:
        details["line"] = line
    if value is not None:
        details["value"] = value
    where = "the transcript" if line is None else f"line {line} of the transcript"
    raise BadTranscript(f"{where}: {problem}", details)


def _decode(data: bytes) -> str:
    if len(data) > MOST_BYTES:
        _refuse(f"it has {len(data)} bytes, at most {MOST_BYTES} are read; send it in parts")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        _refuse("it is UTF-16 text; save the file as UTF-8", 1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = len(_LINE_END.split(data[: error.start].decode("latin-1")))
        value = data[error.start : error.start + 1].hex()
        _refuse(f"the byte 0x{value} is not UTF-8 text; save the file as UTF-8", line, value)
    if not text.strip():
        _refuse("the file is empty; send a WebVTT or SubRip file with cues")
    return text.replace("\x00", "\ufffd")  # as WebVTT says


def _header(lines: Sequence[str]) -> tuple[str | None, int]:
    """The language that the head of a WebVTT file names, and where its blocks begin."""
    language = None
    place = 1
    while place < len(lines) and lines[place].strip() and "-->" not in lines[place]:
        found = _LANGUAGE.fullmatch(lines[place])
        language = found[1] if found else language
        place += 1
    return language, place


def _blocks(
    lines: Sequence[str], first: int, is_vtt: bool
) -> Iterator[tuple[int, TimeSpan, list[str]]]:
    """(line number of the times, span, text of the lines) of each cue."""
    is_skipped = _comments(lines, first) if is_vtt else frozenset()
    places = [n for n in range(first, len(lines)) if "-->" in lines[n] and n not in is_skipped]
    begins = [_begin(lines, place, first) for place in places] + [len(lines)]
    for n in range(first, begins[0]):
        if lines[n].strip() and n not in is_skipped:
            advice = "write it below a line such as 00:00:01.000 --> 00:00:02.500"
            _refuse(f"the text stands in no cue; {advice}", n + 1, lines[n][:80])
    for place, begin in zip(places, begins[1:], strict=True):
        said = [(n, lines[n]) for n in range(place + 1, begin) if n not in is_skipped]
        yield place + 1, _times(lines[place], place + 1), _checked(said, is_vtt)


def _comments(lines: Sequence[str], first: int) -> frozenset[int]:
    """Places of the lines that are notes and styles: blocks of their own."""
    found = set()
    is_inside = False
    for n in range(first, len(lines)):
        is_blank = not lines[n].strip()
        if not is_inside and not is_blank:
            is_start = n == first or not lines[n - 1].strip()
            is_inside = is_start and _NOT_CUES.match(lines[n]) is not None
        if is_inside and not is_blank:
            found.add(n)
        is_inside = is_inside and not is_blank
    return frozenset(found)


def _begin(lines: Sequence[str], place: int, first: int) -> int:
    """Where the cue of these times begins: at its name or number, where it has one."""
    before = place - 1
    if before < first or not lines[before].strip() or "-->" in lines[before]:
        return place
    is_alone = before == first or not lines[before - 1].strip()
    # Without an empty line before it only a number can be told from the text above.
    return before if is_alone or lines[before].strip().isdigit() else place


def _checked(said: Sequence[tuple[int, str]], is_vtt: bool) -> list[str]:
    """The lines of a cue. In SubRip files an empty line may stand inside a text."""
    last = max((at for at, (_, line) in enumerate(said) if line.strip()), default=-1)
    kept = said[: last + 1]
    for at, (n, line) in enumerate(kept):
        if _LIKE_TIMES.match(line[:120]):
            _refuse_times(line, n + 1)
        if is_vtt and not line.strip():
            stray = next((n, line) for n, line in kept[at:] if line.strip())
            _refuse(
                "the text stands behind an empty line, so in no cue; remove the empty line or "
                "give it times",
                stray[0] + 1,
                stray[1][:80],
            )
    return [line.strip() for _, line in kept if line.strip()]


def _times(line: str, number: int) -> TimeSpan:
    found = _TIMES.fullmatch(line)
    if found is None:
        _refuse_times(line, number)
    start_sec = _seconds(found.groups()[:4], line, number)
    end_sec = _seconds(found.groups()[4:], line, number)
    if end_sec <= start_sec:
        _refuse(
            f"the cue ends at {timecode(end_sec)}, not after its start {timecode(start_sec)}; "
            "correct one",
            number,
            line.strip()[:80],
        )
    return TimeSpan(start_sec, end_sec)


def _refuse_times(line: str, number: int) -> NoReturn:
    shown = line.strip()[:80]
    _refuse(f"{shown!r} are no times; write them as 00:00:01.000 --> 00:00:02.500", number, shown)


def _seconds(parts: Sequence[str | None], line: str, number: int) -> float:
    hours, minutes, seconds, thousandths = (int(part or 0) for part in parts)
    if minutes > 59 or seconds > 59:
        _refuse_times(line, number)
    # One division: 1.1 is then the same number wherever it comes from.
    return (((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths) / 1000


def _fitted(span: TimeSpan, line: int, duration_sec: float, notes: _Notes) -> TimeSpan:
    if span.end_sec <= duration_sec:
        return span
    if span.end_sec > duration_sec + END_SLACK_SEC:
        _refuse(
            f"the cue ends at {span.end_sec:.3f} s, the video at {duration_sec:.3f} s; send the "
            "transcript of this video",
            line,
            f"{span.end_sec:.3f}",
        )
    notes.add(
        f"line {line}: the cue ended at {span.end_sec:.3f} s and is cut at the end of the video "
        f"({duration_sec:.3f} s)"
    )
    return span.clamp(0.0, duration_sec)


def _sentences(span: TimeSpan, lines: Sequence[str], number: int) -> Iterator[Cue]:
    """What each voice of a cue says."""
    pieces = _VOICE.split("\n".join(lines))
    speakers = (None, *pieces[1::2])
    for speaker, marked in zip(speakers, pieces[::2], strict=True):
        text = _plain(marked)
        if text:
            yield Cue(span, text, _plain(speaker)[:256] or None if speaker else None, number)


def _plain(marked: str) -> str:
    """Text without markup; what says how a word is read goes in brackets behind it."""
    bare = _TAGS.sub("", _READING.sub(lambda tag: ")" if tag[1] else "(", marked))
    text = _ENTITY.sub(lambda entity: html.unescape(entity[0]), bare)
    return "\n".join(line.strip() for line in text.split("\n") if line.strip())
