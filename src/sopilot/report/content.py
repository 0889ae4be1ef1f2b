"""A score report in words, numbers and drawings of one language; HTML and PDF only lay it out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sopilot.core.records import Keyframe
from sopilot.core.timespan import TimeSpan, timecode
from sopilot.report import russian
from sopilot.report.figures import (
    Mark,
    ScaleWords,
    StepBar,
    alignment_figure,
    score_dial,
    score_scale,
    step_timeline,
)
from sopilot.report.record import ReviewNote, ScoreReport
from sopilot.report.wording import Language, number, words

PENALTIES = (
    "miss_penalty",
    "swap_penalty",
    "dev_penalty",
    "time_penalty",
    "conformity_penalty",
)
COUNTS = (
    "miss_steps",
    "swap_steps",
    "deviation_steps",
    "repeat_steps",
    "extra_count",
    "over_time_count",
    "freeze_count",
)
STRUCTURAL = (
    "order_violation_ratio",
    "duplicate_ratio",
    "temporal_drift",
    "local_similarity_gap",
)


@dataclass(frozen=True, slots=True)
class Fact:
    """A label and its value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    """A measure against its standard; is_met None = reported without a verdict."""

    label: str
    value: str
    standard: str
    verdict: str
    is_met: bool | None


@dataclass(frozen=True, slots=True)
class SeverityBox:
    """How many deviations of a severity there are."""

    severity: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class LossRow:
    """Points lost to one cause; share: 0-100, length of the bar."""

    label: str
    share: float
    amount: str


@dataclass(frozen=True, slots=True)
class StepRow:
    """A step of the procedure in both videos."""

    number: int
    name: str
    is_critical: bool
    status: str
    status_text: str
    gold: str
    trainee: str
    duration: str
    gold_duration: str
    limits: str
    time_text: str
    is_off_time: bool
    points: str
    points_possible: str


@dataclass(frozen=True, slots=True)
class Card:
    """A deviation: what, how grave, where in both videos, what it costs, what is seen."""

    number: int
    severity: str
    severity_text: str
    type_text: str
    step_text: str
    comment: str
    about: str
    points: str
    gold_time: str
    trainee_time: str
    is_only_expected: bool
    gold: Keyframe | None
    trainee: Keyframe | None


@dataclass(frozen=True, slots=True)
class Choice:
    """A verdict that a reviewer can tick."""

    label: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Content:
    """Everything both forms of the report show. t: the fixed words; drawings are SVG."""

    language: Language
    t: Mapping[str, str]
    task: str
    facts: tuple[Fact, ...]
    score: str
    decision: str
    decision_text: str
    basis: str
    comment: str
    notes: tuple[str, ...]
    interval: str
    dial: str
    scale: str
    severities: tuple[SeverityBox, ...]
    metrics: tuple[MetricRow, ...]
    timeline: str
    alignment: str
    losses: tuple[LossRow, ...]
    cards: tuple[Card, ...]
    steps: tuple[StepRow, ...]
    made: tuple[Fact, ...]
    measures: tuple[Fact, ...]
    choices: tuple[Choice, ...]
    review: ReviewNote
    algorithm: str
    scored_at: str


def content_of(report: ScoreReport, language: Language) -> Content:
    """The report in one language. Raises KeyError when the record lacks a field."""
    record, page = report.result, words(language)
    bars, marks = step_bars(record, language), _marks(record, language)
    summary, confidence = record["summary"], record["confidence"]
    interval = (confidence["ci_low"], confidence["ci_high"]) if confidence else None
    scale_words = ScaleWords(
        page["pass_from"], page["retrain_below"], "," if language == "ru" else "."
    )
    scale = (record["score"], interval, summary["pass_score"], summary["retrain_score"])
    return Content(
        language=language,
        t=page,
        task=report.task_name or record["task_id"],
        facts=_facts(report, page),
        score=number(record["score"], language),
        decision=summary["decision"],
        decision_text=page[summary["decision"]],
        basis=page[summary["decision_basis"]],
        comment=_summary(record, language),
        notes=_notes(record, language),
        interval=" – ".join(number(end, language) for end in interval) if interval else "",
        dial=score_dial(*scale, page["of_100"], scale_words),
        scale=score_scale(*scale, scale_words),
        severities=tuple(
            SeverityBox(name, page[name], summary["severity_counts"][name])
            for name in ("critical", "quality", "efficiency")
        ),
        metrics=_metrics(record, language),
        timeline=timeline_svg(record, language),
        alignment=_alignment(record, bars, marks, page),
        losses=_losses(record, language),
        cards=_cards(report, language),
        steps=_steps(record, bars, language),
        made=_made(record, language),
        measures=_measures(record, language),
        choices=_choices(report, page),
        review=report.review or ReviewNote(""),
        algorithm=record["algorithm"],
        scored_at=report.scored_at,
    )


def timeline_svg(record: Mapping[str, Any], language: Language) -> str:
    """The step timeline alone."""
    page = words(language)
    durations = record["gold_duration_sec"], record["trainee_duration_sec"]
    bars, marks = step_bars(record, language), _marks(record, language)
    return step_timeline(bars, marks, *durations, (page["gold"], page["trainee"]))


def span_text(value: Sequence[float] | None) -> str:
    """0:12.0 – 0:16.0, one timecode for an instant, a dash for nothing."""
    if value is None:
        return "—"
    start, end = timecode(value[0]), timecode(value[1])
    return start if start == end else f"{start} – {end}"


def _facts(report: ScoreReport, page: Mapping[str, str]) -> tuple[Fact, ...]:
    record = report.result
    rows = (
        ("trainee_video", report.trainee_name or str(record["trainee_video_id"] or "")),
        ("gold_video", ", ".join(report.gold_names) or str(record["gold_video_id"] or "")),
        ("operator", report.operator),
        ("site", report.site),
        ("scored_at", f"{report.scored_at} UTC" if report.scored_at else ""),
        ("job", report.job),
        ("algorithm", record["algorithm"]),
        ("profile_version", str(record["profile_version"])),
    )
    return tuple(Fact(page[key], value) for key, value in rows if value)


def _name(row: Mapping[str, Any], language: Language) -> str:
    first, second = ("name_ja", "name_en") if language == "ja" else ("name_en", "name_ja")
    return str(row[first] or row[second] or "")


def step_bars(record: Mapping[str, Any], language: Language) -> list[StepBar]:
    """The steps as the drawings show them."""
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


def _span(value: Sequence[float]) -> TimeSpan:
    return TimeSpan(float(value[0]), float(value[1]))


def _names(record: Mapping[str, Any], language: Language) -> dict[int, str]:
    return {row["step_index"]: _name(row, language) for row in record["timeline"]}


def _comments(record: Mapping[str, Any], language: Language) -> list[str]:
    if language == "ru":
        names = _names(record, language)
        return [russian.comment(row, names) for row in record["deviations"]]
    return [row[f"comment_{language}"] for row in record["deviations"]]


def _summary(record: Mapping[str, Any], language: Language) -> str:
    if language == "ru":
        return russian.summary(record)
    return str(record["summary"][f"comment_{language}"])


def _notes(record: Mapping[str, Any], language: Language) -> tuple[str, ...]:
    if language == "ru":
        return tuple(russian.notes(record, _names(record, language)))
    return tuple(note[f"text_{language}"] for note in record["notes"])


def _marks(record: Mapping[str, Any], language: Language) -> list[Mark]:
    rows = zip(record["deviations"], _comments(record, language), strict=True)
    return [
        Mark(
            number=place,
            severity=row["severity"],
            gold=_span(row["gold_timecode"]),
            trainee=_span(row["trainee_timecode"]),
            text=comment,
        )
        for place, (row, comment) in enumerate(rows, start=1)
    ]


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


def _losses(record: Mapping[str, Any], language: Language) -> tuple[LossRow, ...]:
    page, penalties = words(language), record["metrics"]["penalty_breakdown"]
    return tuple(
        LossRow(page[name], amount, ("−" if amount else "") + number(amount, language))
        for name, amount in ((name, penalties[name]) for name in PENALTIES)
    )


def _metrics(record: Mapping[str, Any], language: Language) -> tuple[MetricRow, ...]:
    page, metrics, summary = words(language), record["metrics"], record["summary"]

    def judged(label: str, value: str, standard: str, is_met: bool) -> MetricRow:
        return MetricRow(label, value, standard, page["met" if is_met else "not_met"], is_met)

    def told(label: str, value: str) -> MetricRow:
        return MetricRow(label, value, "—", "—", None)

    least = f"≥ {_plain(summary['pass_score'], language)}"
    is_enough = record["score"] >= summary["pass_score"]
    return (
        judged(page["score_row"], number(record["score"], language), least, is_enough),
        *(judged(page[name], str(metrics[name]), "0", metrics[name] == 0) for name in COUNTS),
        told(page["total_steps"], str(metrics["total_steps"])),
        told(page["over_time_ratio"], f"{metrics['over_time_ratio'] * 100:.0f} %"),
        told(page["normalized_cost"], number(metrics["dtw_normalized_cost"], language, 3)),
    )


def _plain(value: float, language: Language) -> str:
    return f"{value:g}".replace(".", "," if language == "ru" else ".")


def _cards(report: ScoreReport, language: Language) -> tuple[Card, ...]:
    page, record = words(language), report.result
    shown = {item.deviation_index: item for item in report.pictures}
    names = _names(record, language)
    cards = []
    for index, comment in enumerate(_comments(record, language)):
        row, pair = record["deviations"][index], shown.get(index)
        label, about = _severity(row, language)
        start, end = row["trainee_timecode"]
        cards.append(
            Card(
                number=index + 1,
                severity=row["severity"],
                severity_text=label,
                type_text=page[row["type"]],
                step_text=_step_text(row["step_index"], names, page),
                comment=comment,
                about=about,
                points=f"−{number(row['points'], language)}",
                gold_time=span_text(row["gold_timecode"]),
                trainee_time=span_text(row["trainee_timecode"]),
                is_only_expected=start == end and row["type"] == "missing_step",
                gold=pair.gold if pair else None,
                trainee=pair.trainee if pair else None,
            )
        )
    return tuple(cards)


def _severity(row: Mapping[str, Any], language: Language) -> tuple[str, str]:
    if language == "ru":
        return russian.SEVERITY[row["severity"]]
    return row[f"severity_{language}"], row[f"severity_description_{language}"]


def _step_text(index: int | None, names: Mapping[int, str], page: Mapping[str, str]) -> str:
    if index is None:
        return ""
    return f"{page['step']} {index + 1} {names.get(index, '')}".strip()


def _steps(
    record: Mapping[str, Any], bars: Sequence[StepBar], language: Language
) -> tuple[StepRow, ...]:
    parts = zip(
        bars,
        record["timeline"],
        record["time_compliance"],
        record["step_contributions"],
        strict=True,
    )
    return tuple(_step(*part, language) for part in parts)


def _step(
    bar: StepBar,
    place: Mapping[str, Any],
    time: Mapping[str, Any],
    points: Mapping[str, Any],
    language: Language,
) -> StepRow:
    page, verdict = words(language), time["compliance"]
    actual, gold = time["actual_duration_sec"], time["gold_duration_sec"]
    return StepRow(
        number=bar.number,
        name=bar.name,
        is_critical=place["is_critical"],
        status=place["status"],
        status_text=page[place["status"]],
        gold=span_text(place["gold_timecode"]),
        trainee=span_text(place["trainee_timecode"]),
        duration="—" if actual is None else number(actual, language),
        gold_duration="" if gold is None else number(gold, language),
        limits=_limits(time["min_duration_sec"], time["max_duration_sec"], language),
        time_text=page["time_ok" if verdict == "ok" else verdict],
        is_off_time=verdict in ("too_slow", "too_fast"),
        points=number(points["points_earned"], language),
        points_possible=number(points["points_possible"], language),
    )


def _limits(low: float | None, high: float | None, language: Language) -> str:
    if low is None:
        return "—" if high is None else f"≤ {_plain(high, language)}"
    if high is None:
        return f"≥ {_plain(low, language)}"
    return f"{_plain(low, language)} – {_plain(high, language)}"


def _made(record: Mapping[str, Any], language: Language) -> tuple[Fact, ...]:
    page, summary = words(language), record["summary"]
    weights = " · ".join(
        f"{page[key]} {number(record['weights'][key], language, 2)}"
        for key in ("w_miss", "w_swap", "w_dev", "w_time")
    )
    rows: Iterable[tuple[str, str]] = (
        (page["reason"], page[summary["decision_basis"]]),
        (page["pass_score"], _plain(summary["pass_score"], language)),
        (page["retrain_score"], _plain(summary["retrain_score"], language)),
        (page["band"], page[summary["score_band"]]),
        (page["weights"], weights),
        (page["profile_version"], str(record["profile_version"])),
        (page["algorithm"], record["algorithm"]),
        *(
            (f"{page['producers']} ({part})", f"{item['version']} · {item['fingerprint']}")
            for part, item in sorted(record["producers"].items())
        ),
        (page["gold_count"], str(record["gold_count"])),
    )
    return tuple(Fact(label, value) for label, value in rows)


def _measures(record: Mapping[str, Any], language: Language) -> tuple[Fact, ...]:
    page, structural = words(language), record["metrics"]["structural"]
    return (
        Fact(page["conformity"], number(record["conformity"], language, 2)),
        Fact(page["comparability"], number(record["comparability"], language, 2)),
        *(Fact(page[key], number(structural[key], language, 3)) for key in STRUCTURAL),
    )


def _choices(report: ScoreReport, page: Mapping[str, str]) -> tuple[Choice, ...]:
    chosen = report.review.verdict if report.review else None
    return tuple(
        Choice(page[verdict], verdict == chosen)
        for verdict in ("pass", "needs_review", "retrain", "fail")
    )
