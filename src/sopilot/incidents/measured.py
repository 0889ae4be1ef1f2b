"""What is found without a model: measured changes of the picture, told in plain numbers.

Nobody looked at the video: there is no caption, no confidence and no risk, only where a measured
value stands within the video's own history.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sopilot.core.timespan import TimeSpan
from sopilot.incidents.schemas import Found, FoundEvent, Label, Language, TimelineWindow
from sopilot.media.pictures import PicturePlan
from sopilot.media.signals import Signals
from sopilot.vlm.signal import SIGNAL_VERSION, SignalEvent, SignalType, signal_events

_TEXTS: dict[Language, dict[SignalType, str]] = {
    "en": {
        SignalType.UNUSUAL_MOTION: "Unusual motion",
        SignalType.STILLNESS: "Sudden stillness",
        SignalType.LIGHT_CHANGE: "Change of light",
        SignalType.CAMERA_MOVED: "The camera moved",
    },
    "ru": {
        SignalType.UNUSUAL_MOTION: "Необычное движение",
        SignalType.STILLNESS: "Внезапная неподвижность",
        SignalType.LIGHT_CHANGE: "Изменение освещения",
        SignalType.CAMERA_MOVED: "Камера сдвинулась",
    },
    "ja": {
        SignalType.UNUSUAL_MOTION: "通常と異なる動き",
        SignalType.STILLNESS: "急な静止",
        SignalType.LIGHT_CHANGE: "明るさの変化",
        SignalType.CAMERA_MOVED: "カメラの動き",
    },
}
_MEASURED: dict[Language, str] = {
    "en": "{name}: measured {value:.3g} {unit}, usual in this video {usual:.3g} {unit}.",
    "ru": "{name}: измерено {value:.3g} {unit}, обычно в этом видео {usual:.3g} {unit}.",
    "ja": "{name}: 測定値 {value:.3g} {unit}、この動画の通常値 {usual:.3g} {unit}。",
}


def measure(
    signals: Signals,
    shots: Sequence[TimeSpan],
    *,
    window_sec: float,
    rate_fps: float,
    most: int,
    language: Language,
) -> Found:
    """The strongest `most` changes as events, and a timeline that says what was measured."""
    found = sorted(signal_events(signals, shots), key=lambda event: -_strength(event))[:most]
    events = tuple(_event(event, language) for event in sorted(found, key=lambda e: e.span))
    windows = PicturePlan(max(rate_fps, 1.0 / window_sec), window_sec, 1).windows(
        signals.duration_sec
    )
    timeline = tuple(_line(window.index, window.span, events) for window in windows)
    analysis: dict[str, Any] = {
        "signal": SIGNAL_VERSION,
        "cuts_sec": [round(shot.start_sec, 3) for shot in shots[1:]],
    }
    return Found("signal", None, events, timeline, f"signal:{SIGNAL_VERSION}", "none", analysis)


def _strength(event: SignalEvent) -> float:
    """How far from usual: stillness lies at the low end."""
    is_low = event.type is SignalType.STILLNESS
    return 100.0 - event.percentile if is_low else event.percentile


def _event(event: SignalEvent, language: Language) -> FoundEvent:
    text = _MEASURED[language].format(
        name=_TEXTS[language][event.type],
        value=event.value,
        usual=event.usual,
        unit=event.unit,
    )
    return FoundEvent(
        str(event.type), event.span, event.highlight, "signal", text, percentile=event.percentile
    )


def _line(index: int, span: TimeSpan, events: Sequence[FoundEvent]) -> TimelineWindow:
    inside = [event for event in events if event.span.overlap_sec(span) > 0]
    return TimelineWindow(
        index,
        span,
        Label.MEASURED,
        has_event=bool(inside),
        event_type=inside[0].event_type if inside else None,
    )
