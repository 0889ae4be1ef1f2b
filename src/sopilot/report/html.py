"""A score's result record as one self-contained HTML file: nothing is fetched, nothing runs.

Called by the service (`/score/{id}/report`) and the command line (`--out`). No queries, no clock:
the same record and pictures give the same bytes.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import Environment

from sopilot.core.records import Keyframe
from sopilot.core.timespan import TimeSpan, timecode
from sopilot.report.figures import (
    Mark,
    ScaleWords,
    StepBar,
    alignment_figure,
    score_scale,
    step_timeline,
)
from sopilot.report.pages import page_environment
from sopilot.report.wording import Language, words

PENALTIES = (
    "miss_penalty",
    "swap_penalty",
    "dev_penalty",
    "time_penalty",
    "conformity_penalty",
)


@dataclass(frozen=True, slots=True)
class DeviationPictures:
    """What both videos show at a deviation; None where no picture is kept.

    deviation_index: place in the record's `deviations`.
    """

    deviation_index: int
    gold: Keyframe | None
    trainee: Keyframe | None


@dataclass(frozen=True, slots=True)
class ReviewNote:
    """A person's verdict on a result."""

    verdict: str
    note: str = ""
    reviewed_at: str = ""


@dataclass(frozen=True, slots=True)
class ReportHeading:
    """What the record does not hold: names and times around it. Empty = left out."""

    job: str = ""
    scored_at: str = ""
    task_name: str = ""
    gold_name: str = ""
    trainee_name: str = ""
    operator: str = ""
    site: str = ""
    review: ReviewNote | None = field(default=None)


def render_score_html(
    record: Mapping[str, Any],
    pictures: Sequence[DeviationPictures] = (),
    language: Language = "en",
    heading: ReportHeading | None = None,
) -> str:
    """The report of one score.

    record: the public result record (docs/api.md), `ScoreResult.model_dump(mode="json")`.
    Texts of the record and heading are escaped; pictures become data: URIs.
    Raises KeyError when the record lacks a field.
    """
    page = words(language)
    bars = _step_bars(record, language)
    marks = _marks(record, language)
    return (
        _environment()
        .get_template("score.html.j2")
        .render(
            t=page,
            language=language,
            r=record,
            heading=heading or ReportHeading(),
            comment=record["summary"][f"comment_{language}"],
            scale=_scale(record, page),
            timeline=_timeline(record, bars, marks, page),
            alignment=_alignment(record, bars, marks, page),
            losses=_losses(record, page),
            cards=_cards(record, pictures, language),
            steps=_step_rows(record, bars),
        )
    )


def render_timeline_svg(record: Mapping[str, Any], language: Language = "en") -> str:
    """The step timeline of a record alone, as an SVG document. Raises KeyError like the page."""
    page = words(language)
    return str(_timeline(record, _step_bars(record, language), _marks(record, language), page))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return page_environment("sopilot.report", {"timecode": timecode, "span": _span_text})


def _span(value: Sequence[float]) -> TimeSpan:
    return TimeSpan(float(value[0]), float(value[1]))


def _span_text(value: Sequence[float] | None) -> str:
    if value is None:
        return "—"
    start, end = timecode(value[0]), timecode(value[1])
    return start if start == end else f"{start} – {end}"


def _name(row: Mapping[str, Any], language: Language) -> str:
    first, second = ("name_ja", "name_en") if language == "ja" else ("name_en", "name_ja")
    return str(row[first] or row[second] or "")


def _step_bars(record: Mapping[str, Any], language: Language) -> list[StepBar]:
    return [
        StepBar(
            number=row["step_index"] + 1,
            name=_name(row, language),
            status=row["status"],
            gold=_span(row["gold_timecode"]),
            trainee=None if row["trainee_timecode"] is None else _span(row["trainee_timecode"]),
        )
        for row in record["timeline"]
    ]


def _marks(record: Mapping[str, Any], language: Language) -> list[Mark]:
    return [
        Mark(
            number=number,
            severity=row["severity"],
            gold=_span(row["gold_timecode"]),
            trainee=_span(row["trainee_timecode"]),
            text=row[f"comment_{language}"],
        )
        for number, row in enumerate(record["deviations"], start=1)
    ]


def _scale(record: Mapping[str, Any], page: Mapping[str, str]) -> str:
    summary, confidence = record["summary"], record["confidence"]
    return score_scale(
        record["score"],
        (confidence["ci_low"], confidence["ci_high"]) if confidence else None,
        summary["pass_score"],
        summary["retrain_score"],
        ScaleWords(page["pass_from"], page["retrain_below"]),
    )


def _timeline(
    record: Mapping[str, Any],
    bars: Sequence[StepBar],
    marks: Sequence[Mark],
    page: Mapping[str, str],
) -> str:
    durations = record["gold_duration_sec"], record["trainee_duration_sec"]
    return step_timeline(bars, marks, *durations, (page["gold"], page["trainee"]))


def _alignment(
    record: Mapping[str, Any],
    bars: Sequence[StepBar],
    marks: Sequence[Mark],
    page: Mapping[str, str],
) -> str:
    alignment = record["alignment"]
    gold, trainee = alignment["gold_clip_times"], alignment["trainee_clip_times"]
    path = [(gold[g], trainee[t]) for g, t in alignment["path"]]
    durations = record["gold_duration_sec"], record["trainee_duration_sec"]
    return alignment_figure(
        path, bars, marks, *durations, (page["gold_time"], page["trainee_time"])
    )


def _losses(record: Mapping[str, Any], page: Mapping[str, str]) -> list[tuple[str, str, float]]:
    penalties = record["metrics"]["penalty_breakdown"]
    return [(name, page[name], penalties[name]) for name in PENALTIES]


def _cards(
    record: Mapping[str, Any], pictures: Sequence[DeviationPictures], language: Language
) -> list[dict[str, Any]]:
    shown = {item.deviation_index: item for item in pictures}
    cards = []
    for index, row in enumerate(record["deviations"]):
        pair = shown.get(index)
        cards.append(
            {
                "number": index + 1,
                "row": row,
                "comment": row[f"comment_{language}"],
                "severity": row[f"severity_{language}"],
                "about": row[f"severity_description_{language}"],
                "gold": _picture(pair.gold if pair else None),
                "trainee": _picture(pair.trainee if pair else None),
                "is_instant": row["trainee_timecode"][0] == row["trainee_timecode"][1],
            }
        )
    return cards


def _picture(keyframe: Keyframe | None) -> dict[str, Any] | None:
    if keyframe is None:
        return None
    encoded = base64.b64encode(keyframe.jpeg).decode("ascii")
    return {"uri": f"data:image/jpeg;base64,{encoded}", "time_sec": keyframe.time_sec}


def _step_rows(record: Mapping[str, Any], bars: Sequence[StepBar]) -> list[dict[str, Any]]:
    rows = []
    parts = zip(
        bars,
        record["timeline"],
        record["time_compliance"],
        record["step_contributions"],
        strict=True,
    )
    for bar, place, time, points in parts:
        limits = _limits(time["min_duration_sec"], time["max_duration_sec"])
        row = {"bar": bar, "place": place, "time": time, "points": points, "limits": limits}
        rows.append(row)
    return rows


def _limits(low: float | None, high: float | None) -> str:
    if low is None:
        return "—" if high is None else f"≤ {high:g}"
    return f"≥ {low:g}" if high is None else f"{low:g} – {high:g}"
