"""SVG primitives: shapes and escaped text as Markup. Called by `report.figures`."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup

from sopilot.core.timespan import timecode

INK = "#1d2733"
MUTED = "#66717e"
LINE = "#d5dbe1"

HATCH = Markup(
    '<defs><pattern id="hatch" width="7" height="7" patternUnits="userSpaceOnUse"'
    ' patternTransform="rotate(45)"><rect width="7" height="7" fill="#fbe3da"/>'
    '<line x1="0" y1="0" x2="0" y2="7" stroke="#c2410c" stroke-width="3"/></pattern></defs>'
)
"""Fill of what is missing, `url(#hatch)`; put it once into each drawing that uses it."""

_HALO = Markup(' stroke="#fff" stroke-width="4" stroke-linejoin="round" paint-order="stroke"')


def drawing(width: float, height: float, parts: Iterable[Markup]) -> Markup:
    """An inline SVG that scales with its box."""
    return Markup(
        '<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" xmlns="http://www.w3.org/2000/svg"'
        ' font-family="inherit">{parts}</svg>'
    ).format(width=width, height=height, parts=Markup("").join(parts))


def text(
    x: float,
    y: float,
    words: str,
    anchor: str = "start",
    size: int = 12,
    fill: str = INK,
    weight: int = 400,
    halo: bool = False,
) -> Markup:
    """One line of text; anchor: start, middle or end; halo: readable on a hatch."""
    return Markup(
        '<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{fill}"'
        ' font-weight="{weight}"{halo}>{words}</text>'
    ).format(
        x=x,
        y=y,
        anchor=anchor,
        size=size,
        fill=fill,
        weight=weight,
        halo=_HALO if halo else "",
        words=words,
    )


def rect(
    x: float,
    y: float,
    width: float,
    height: float,
    fill: str,
    stroke: str = "none",
    rx: float = 0,
    title: str = "",
    stroke_width: float = 1.0,
    opacity: float = 1.0,
) -> Markup:
    """A rectangle; title is shown when the pointer rests on it."""
    return Markup(
        '<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="{rx}" fill="{fill}"'
        ' fill-opacity="{opacity}" stroke="{stroke}" stroke-width="{line}">{title}</rect>'
    ).format(
        x=x,
        y=y,
        w=max(0.0, width),
        h=max(0.0, height),
        rx=rx,
        fill=fill,
        opacity=opacity,
        stroke=stroke,
        line=stroke_width,
        title=Markup("<title>{}</title>").format(title) if title else "",
    )


def line(
    x1: float,
    y1: float,
    x2: float,
    y2: float,
    stroke: str = INK,
    width: float = 1.2,
    dash: str = "none",
) -> Markup:
    """A straight line."""
    return Markup(
        '<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}"'
        ' stroke-width="{width}" stroke-dasharray="{dash}"/>'
    ).format(x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, width=width, dash=dash)


def disc(x: float, y: float, radius: float, fill: str) -> Markup:
    """A filled circle."""
    return Markup('<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{fill}"/>').format(
        x=x, y=y, r=radius, fill=fill
    )


def polyline(points: Sequence[tuple[float, float]], stroke: str, width: float) -> Markup:
    """An open line through the points; a single point becomes a dot."""
    drawn = points if len(points) > 1 else [*points, *points]
    return Markup(
        '<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="{width}"'
        ' stroke-linejoin="round" stroke-linecap="round"/>'
    ).format(points=" ".join(f"{x:.1f},{y:.1f}" for x, y in drawn), stroke=stroke, width=width)


def seconds_axis(
    x: Callable[[float], float], longest_sec: float, y: float, most_ticks: int = 10
) -> list[Markup]:
    """Ticks at round times below a drawing, labelled as timecodes."""
    step = next(
        (
            size
            for size in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
            if longest_sec / size <= most_ticks
        ),
        max(1, int(longest_sec)),
    )
    parts = []
    for tick in range(0, int(longest_sec) + 1, step):
        parts.append(line(x(tick), y, x(tick), y + 5, MUTED, 1))
        parts.append(text(x(tick), y + 20, timecode(tick)[:-2], "middle", 11, MUTED))
    return parts


def _letter_width(letter: str, size: float) -> float:
    return size * (1.02 if unicodedata.east_asian_width(letter) in "WF" else 0.6)


def text_width(words: str, size: float) -> float:
    """About how wide a line of text is; wide (CJK) letters count double."""
    return sum(_letter_width(letter, size) for letter in words)


def shorten(words: str, room: float, size: float) -> str:
    """words cut with an ellipsis so that they fit."""
    used = 0.0
    for i, letter in enumerate(words):
        used += _letter_width(letter, size)
        if used > room:
            return words[: i - 1].rstrip() + "…" if i > 2 else ""
    return words
