"""SVG drawings of a report: score scale, step timeline, alignment. Text in them is escaped.

Arrays and records in, Markup out; no files. Called by `report.html`. Colours carry meaning only
together with a word, a number or a hatch, and stay apart for colour-blind readers (after
Okabe & Ito 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sopilot.core.timespan import TimeSpan
from sopilot.report.svg import (
    HATCH,
    INK,
    LINE,
    MUTED,
    disc,
    drawing,
    line,
    polyline,
    rect,
    seconds_axis,
    shorten,
    text,
    text_width,
)

Scale = Callable[[float], float]

WIDTH_PX = 820
STATUS_FILL = {
    "ok": "#7fb2bd",
    "missing": "url(#hatch)",
    "swapped": "#a98bc4",
    "deviation": "#e2b04a",
}
SEVERITY_INK = {"critical": "#b42d0f", "quality": "#9a6700", "efficiency": "#2563a8"}


@dataclass(frozen=True, slots=True)
class StepBar:
    """A step in both videos; `trainee` None = not done. status: a key of STATUS_FILL."""

    number: int
    name: str
    status: str
    gold: TimeSpan
    trainee: TimeSpan | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A deviation to point at. severity: a key of SEVERITY_INK."""

    number: int
    severity: str
    gold: TimeSpan
    trainee: TimeSpan
    text: str


@dataclass(frozen=True, slots=True)
class ScaleWords:
    """Words of the score scale."""

    pass_from: str
    retrain_below: str
    decimal_mark: str = "."


def score_scale(
    score: float,
    interval: tuple[float, float] | None,
    pass_score: float,
    retrain_score: float,
    words: ScaleWords,
) -> Markup:
    """The score with its interval against the two thresholds on 0-100."""
    width, left, y = 640.0, 10.0, 46.0

    def x(value: float) -> float:
        return left + (width - 2 * left) * min(100.0, max(0.0, value)) / 100.0

    zones = (
        (0.0, retrain_score, "#f3cfc2"),
        (retrain_score, pass_score, "#f4e2b8"),
        (pass_score, 100.0, "#cfe5e6"),
    )
    parts = [rect(x(a), y, x(b) - x(a), 14, fill) for a, b, fill in zones if b > a]
    parts += [
        text(x(v), y - 8, f"{v:g}", "middle", 11, MUTED) for v in (0, 100) if abs(v - score) > 7
    ]
    parts.append(line(x(retrain_score), y - 4, x(retrain_score), y + 22, INK))
    parts.append(line(x(pass_score), y - 4, x(pass_score), y + 22, INK))
    low_text = f"{words.retrain_below} {retrain_score:g}"
    high_text = f"{words.pass_from} {pass_score:g}"
    parts.append(_threshold(x(retrain_score) - 3, y + 34, low_text, "end", left, width))
    parts.append(_threshold(x(pass_score) + 3, y + 34, high_text, "start", left, width))
    if interval is not None:
        low, high = x(interval[0]), x(interval[1])
        parts.append(line(low, y + 7, high, y + 7, INK, 3))
        parts += [line(end, y + 1, end, y + 13, INK, 2) for end in (low, high)]
    parts.append(disc(x(score), y + 7, 8, "#ffffff"))
    parts.append(disc(x(score), y + 7, 6, INK))
    parts.append(text(x(score), y - 14, _decimal(score, words), "middle", 14, INK, 700))
    return drawing(width, 90, parts)


def score_dial(
    score: float,
    interval: tuple[float, float] | None,
    pass_score: float,
    retrain_score: float,
    unit: str,
    words: ScaleWords,
) -> Markup:
    """The score as a half-round gauge with the three zones, the interval and a needle.

    unit: what stands below the number.
    """
    zones = (
        (0.0, retrain_score, "#f3cfc2"),
        (retrain_score, pass_score, "#f4e2b8"),
        (pass_score, 100.0, "#cfe5e6"),
    )
    parts = [_arc(a, b, 96, fill, 18) for a, b, fill in zones if b > a]
    if interval is not None and interval[1] > interval[0]:
        parts.append(_arc(*interval, 82, INK, 3))
    tip, foot = _on_dial(score, 106), _on_dial(score, 86)
    parts.append(line(*foot, *tip, INK, 5))
    parts.append(text(120, 108, _decimal(score, words), "middle", 50, INK, 700))
    parts.append(text(120, 130, unit, "middle", 13, MUTED))
    return drawing(240, 138, parts)


def _decimal(score: float, words: ScaleWords) -> str:
    return f"{score:.1f}".replace(".", words.decimal_mark)


def _on_dial(value: float, radius: float) -> tuple[float, float]:
    angle = math.pi * (1.0 - min(100.0, max(0.0, value)) / 100.0)
    return 120 + radius * math.cos(angle), 116 - radius * math.sin(angle)


def _arc(low: float, high: float, radius: float, stroke: str, width: float) -> Markup:
    (x1, y1), (x2, y2) = _on_dial(low, radius), _on_dial(high, radius)
    return Markup(
        '<path d="M{x1:.1f} {y1:.1f} A{r} {r} 0 0 1 {x2:.1f} {y2:.1f}" fill="none"'
        ' stroke="{stroke}" stroke-width="{width}"/>'
    ).format(x1=x1, y1=y1, x2=x2, y2=y2, r=radius, stroke=stroke, width=width)


def step_timeline(
    steps: Sequence[StepBar],
    marks: Sequence[Mark],
    gold_sec: float,
    trainee_sec: float,
    lane_names: tuple[str, str],
) -> Markup:
    """Gold's steps above the trainee's on one axis of seconds, joined by bands, with deviations.

    gold_sec, trainee_sec: durations. lane_names: (gold, trainee).
    """
    left, right, lane = 20.0 + max(text_width(name, 13) for name in lane_names), 14.0, 34.0
    top = 46.0 if marks else 10.0
    bottom = top + lane + 52.0
    longest = max(gold_sec, trainee_sec, 1e-6)
    scale = (WIDTH_PX - left - right) / longest

    def x(seconds: float) -> float:
        return left + scale * min(max(seconds, 0.0), longest)

    parts: list[Markup] = [HATCH]
    for y, seconds, name in ((top, gold_sec, lane_names[0]), (bottom, trainee_sec, lane_names[1])):
        parts.append(text(left - 10, y + 21, name, "end", 13, INK, 600))
        parts.append(rect(left, y, x(seconds) - left, lane, "#eef1f4", rx=4))
    for step in steps:
        if step.trainee is not None:
            parts.append(_ribbon(step, x, top + lane, bottom))
    for step in steps:
        parts += _step_box(step, step.gold, x, top, lane)
        if step.trainee is not None:
            parts += _step_box(step, step.trainee, x, bottom, lane)
    parts += _marker_row(marks, [mark.gold for mark in marks], x, top - 6, -1)
    parts += _marker_row(marks, [mark.trainee for mark in marks], x, bottom + lane + 6, 1)
    parts += seconds_axis(x, longest, bottom + lane + 40)
    return drawing(WIDTH_PX, bottom + lane + 66, parts)


def alignment_figure(
    path: Sequence[tuple[float, float]],
    steps: Sequence[StepBar],
    marks: Sequence[Mark],
    gold_sec: float,
    trainee_sec: float,
    axis_names: tuple[str, str],
) -> Markup:
    """Matched moments of both videos with the gold's steps as bands and deviations as boxes.

    path: (gold seconds, trainee seconds) in path order; drawn broken where it jumps.
    axis_names: (gold, trainee).
    """
    left, top, width, height = 176.0, 26.0, 500.0, 400.0
    gold_scale = height / max(gold_sec, 1e-6)
    trainee_scale = width / max(trainee_sec, 1e-6)

    def x(seconds: float) -> float:
        return left + trainee_scale * min(max(seconds, 0.0), trainee_sec)

    def y(seconds: float) -> float:
        return top + gold_scale * min(max(seconds, 0.0), gold_sec)

    parts = [HATCH, rect(left, top, width, height, "#ffffff", stroke=LINE)]
    for step in steps:
        y0, y1 = y(step.gold.start_sec), y(step.gold.end_sec)
        fill = "#f3f6f8" if step.number % 2 else "#e8edf1"
        parts.append(rect(left, y0, width, y1 - y0, fill, title=step.name))
        if y1 - y0 >= 13:
            label = shorten(f"{step.number} {step.name}".strip(), left - 26, 12)
            parts.append(text(left - 8, (y0 + y1) / 2 + 4, label, "end", 12, INK))
    for step in steps:
        if step.trainee is not None:
            edge = x(step.trainee.start_sec)
            parts.append(line(edge, top, edge, top + height, "#c9d1d9", 1, "2 4"))
    for mark in marks:
        parts.append(_mark_box(mark, x, y))
    for run in path_runs(path, gold_sec, trainee_sec):
        parts.append(polyline([(x(t), y(g)) for g, t in run], "#0b5c73", 2.6))
    parts += _mark_discs(marks, x, y)
    parts += seconds_axis(x, trainee_sec, top + height + 4, 7)
    middle = left + width / 2
    parts.append(text(middle, top + height + 42, f"{axis_names[1]} →", "middle", 12, MUTED))
    parts.append(text(left - 8, top - 10, f"{axis_names[0]} ↓", "end", 12, MUTED))
    return drawing(left + width + 14, top + height + 52, parts)


def path_runs(
    path: Sequence[tuple[float, float]], gold_sec: float, trainee_sec: float
) -> list[list[tuple[float, float]]]:
    """The path cut where it falls back or jumps by more than a fortieth of a video (>= 1.2 s).

    Points are thinned to at most about 1500 so that an hour's path stays a small picture.
    """
    stride = max(1, len(path) // 1500)
    gold_gap, trainee_gap = (max(1.2, sec / 40.0) for sec in (gold_sec, trainee_sec))
    runs: list[list[tuple[float, float]]] = []
    previous: tuple[float, float] | None = None
    for number, point in enumerate(path):
        jump = previous is None or not (
            0 <= point[0] - previous[0] <= gold_gap and 0 <= point[1] - previous[1] <= trainee_gap
        )
        if jump:
            if runs and previous is not None and runs[-1][-1] != previous:
                runs[-1].append(previous)
            runs.append([point])
        elif number % stride == 0 or number == len(path) - 1:
            runs[-1].append(point)
        previous = point
    return runs


def place_apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, in their order, at least gap apart inside [low, high].

    Where they cannot all fit they are spread evenly.
    """
    count = len(wanted)
    if count == 0:
        return []
    gap = min(gap, (high - low) / max(1, count - 1))
    order = sorted(range(count), key=lambda i: (wanted[i], i))
    placed = [0.0] * count
    floor = low
    for i in order:
        placed[i] = max(floor, min(wanted[i], high))
        floor = placed[i] + gap
    ceiling = high
    for i in reversed(order):
        placed[i] = min(placed[i], ceiling)
        ceiling = placed[i] - gap
    return placed


def _threshold(x: float, y: float, words: str, anchor: str, low: float, high: float) -> Markup:
    """A threshold's words beside its tick, turned inwards at the edges of the scale."""
    if anchor == "end" and x < low + 110:
        return text(low, y + 14, words, "start", 12, MUTED)
    if anchor == "start" and x > high - 110:
        return text(high - low, y, words, "end", 12, MUTED)
    return text(x, y, words, anchor, 12, MUTED)


def _ribbon(step: StepBar, x: Scale, top: float, bottom: float) -> Markup:
    assert step.trainee is not None
    middle = (top + bottom) / 2
    left, right = (
        (x(step.gold.start_sec), x(step.trainee.start_sec)),
        (
            x(step.gold.end_sec),
            x(step.trainee.end_sec),
        ),
    )
    fill = "#7fb2bd" if step.status == "ok" else STATUS_FILL[step.status]
    return Markup(
        '<path d="M{a:.1f} {t:.1f} C{a:.1f} {m:.1f} {b:.1f} {m:.1f} {b:.1f} {e:.1f}'
        ' L{d:.1f} {e:.1f} C{d:.1f} {m:.1f} {c:.1f} {m:.1f} {c:.1f} {t:.1f} Z"'
        ' fill="{fill}" fill-opacity="0.28"/>'
    ).format(a=left[0], b=left[1], c=right[0], d=right[1], t=top, m=middle, e=bottom, fill=fill)


def _step_box(step: StepBar, span: TimeSpan, x: Scale, y: float, height: float) -> list[Markup]:
    start, width = x(span.start_sec), max(1.5, x(span.end_sec) - x(span.start_sec))
    title = f"{step.number} {step.name}".strip()
    box = rect(start, y, width, height, STATUS_FILL[step.status], "#ffffff", 3, title, 1.2)
    label = shorten(title, width - 10, 12) if width >= 40 else ""
    if not label and width >= 15:
        label = str(step.number)
    place = (start + width / 2, y + height / 2 + 4)
    return [box, text(*place, label, "middle", 12, INK, 600, halo=step.status == "missing")]


def _marker_row(
    marks: Sequence[Mark], spans: Sequence[TimeSpan], x: Scale, y: float, side: int
) -> list[Markup]:
    """Numbered discs with a bar over the span they speak of; side -1 above, 1 below the lane."""
    parts = []
    row = y + side * 16
    places = place_apart([x(span.centre_sec) for span in spans], 20, x(0), WIDTH_PX - 14)
    for mark, span, place in zip(marks, spans, places, strict=True):
        ink = SEVERITY_INK[mark.severity]
        start, end = x(span.start_sec), x(span.end_sec)
        parts.append(rect(start - 1.5, y - 1.5, max(3.0, end - start), 3, ink, title=mark.text))
        parts.append(line((start + end) / 2, y, place, row, ink, 1))
        parts += numbered_disc(place, row, mark)
    return parts


def numbered_disc(x: float, y: float, mark: Mark) -> list[Markup]:
    """The number that stands for a deviation, in the colour of its severity."""
    number = text(x, y + 4, str(mark.number), "middle", 11, "#ffffff", 700)
    return [disc(x, y, 9, SEVERITY_INK[mark.severity]), number]


def _mark_box(mark: Mark, x: Scale, y: Scale) -> Markup:
    x0, x1 = x(mark.trainee.start_sec), x(mark.trainee.end_sec)
    y0, y1 = y(mark.gold.start_sec), y(mark.gold.end_sec)
    ink = SEVERITY_INK[mark.severity]
    width, height = max(3.0, x1 - x0), max(3.0, y1 - y0)
    return rect(x0, y0, width, height, ink, ink, 2, mark.text, 1.4, opacity=0.14)


def _mark_discs(marks: Sequence[Mark], x: Scale, y: Scale) -> list[Markup]:
    parts = []
    wanted = [y(mark.gold.centre_sec) for mark in marks]
    for mark, place in zip(marks, place_apart(wanted, 20, y(0), y(1e9)), strict=True):
        right = max(x(mark.trainee.end_sec), x(mark.trainee.start_sec) + 3.0)
        parts += numbered_disc(min(right + 13, x(1e9) - 11), place, mark)
    return parts


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One score of a trend; decision: a key of DECISION_INK."""

    score: float
    decision: str


DECISION_INK = {
    "pass": "#0f6e6e",
    "needs_review": "#8a6100",
    "retrain": "#a8480b",
    "fail": "#9c1f12",
}


def score_trend(points: Sequence[TrendPoint], days: Sequence[str]) -> Markup:
    """Scores in the order of time, joined, each in the colour of its decision.

    days: of the points, shown for the first and the last.
    """
    left, top, height = 34.0, 12.0, 130.0
    room = WIDTH_PX - left - 16.0
    gap = room / max(1, len(points) - 1)
    places = [
        (left + gap * i, top + height * (1.0 - min(100.0, max(0.0, point.score)) / 100.0))
        for i, point in enumerate(points)
    ]
    parts = []
    for value in (0, 25, 50, 75, 100):
        y = top + height * (1.0 - value / 100.0)
        parts.append(line(left - 6, y, WIDTH_PX - 8, y, LINE, 1))
        parts.append(text(left - 12, y + 4, str(value), "end", 12, MUTED))
    if places:
        parts.append(polyline(places, "#8fa0ad", 1.6))
        for place, point in zip(places, points, strict=True):
            parts.append(disc(*place, 4.5, DECISION_INK[point.decision]))
        parts.append(text(left, top + height + 22, days[0], "start", 12, MUTED))
    if len(places) > 1:
        parts.append(text(WIDTH_PX - 16, top + height + 22, days[-1], "end", 12, MUTED))
    return drawing(WIDTH_PX, top + height + 30, parts)
