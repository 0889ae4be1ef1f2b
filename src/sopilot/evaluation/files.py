"""Files of found and true events, or of answered questions, into figures of detector and search.

Called by `sopilot eval`. A file is JSON; what does not fit names the file and the place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from sopilot.core.errors import InputError
from sopilot.core.rates import Share
from sopilot.core.records import plain
from sopilot.core.timespan import TimeSpan, union
from sopilot.evaluation.answers import AnsweredQuestion, abstention, answer_rate, faithfulness
from sopilot.evaluation.calibration import brier_score, calibration_error
from sopilot.evaluation.detection import (
    LEAST_TIOU,
    TIOUS,
    Counts,
    DetectionFigures,
    counts,
    judged_scores,
    summarise,
)
from sopilot.evaluation.matching import MatchedVideo, TimedEvent, VideoEvents, match_videos
from sopilot.evaluation.resampling import bootstrap_by_video
from sopilot.evaluation.retrieval import (
    Grounding,
    Moment,
    coverage_at,
    first_rank_at,
    hit_rate_at,
    judge,
    mean_average_precision,
    mean_first_tiou,
    mean_reciprocal_rank,
    ndcg_at,
)

Shape = TypeVar("Shape", bound=BaseModel)
RANKS = (1, 5, 10)


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore")

    event_type: str = Field(min_length=1, max_length=64)
    start_time: float = Field(ge=0)
    end_time: float = Field(ge=0)
    score: float | None = None


class _Unchecked(BaseModel):
    model_config = ConfigDict(extra="ignore")

    span: tuple[float, float]

    @field_validator("span")
    @classmethod
    def _ascending(cls, span: tuple[float, float]) -> tuple[float, float]:
        # Seconds that were not analysed make false alarms per hour more, never fewer.
        if not 0.0 <= span[0] <= span[1] < math.inf:
            raise ValueError("give a start and an end that is not before it")
        return span


class _Analysis(BaseModel):
    """What `sopilot incidents analyze --json` writes."""

    model_config = ConfigDict(extra="ignore")

    video_sha256: str
    duration_sec: float = Field(ge=0)
    events: list[_Event]
    not_checked: list[_Unchecked] = Field(default_factory=list)


class _Truth(BaseModel):
    """The true events of each video, by the SHA-256 of its file; a video without any has []."""

    model_config = ConfigDict(extra="forbid")

    videos: dict[str, list[_Event]]


class AskedMoment(BaseModel):
    """A span of a video. grade: how relevant a true one is."""

    model_config = ConfigDict(extra="ignore")

    video: str
    start_sec: float = Field(ge=0)
    end_sec: float = Field(ge=0)
    grade: float = Field(default=1.0, gt=0)


class Like(BaseModel):
    """A moment whose look is searched, in place of words. video: id, uid or file name."""

    model_config = ConfigDict(extra="forbid")

    video: str
    time_sec: float = Field(ge=0)


class AskedQuestion(BaseModel):
    """A question with its truth, and what was found for it. camera_id, span: where it is asked.

    ranked: None = an installation is to be asked. sentences: of the answer, the moments that each
    cites; None = nobody was asked to answer.
    """

    model_config = ConfigDict(extra="forbid")

    question: str = ""
    like: Like | None = None
    camera_id: str | None = None
    span: tuple[float, float] | None = None
    ranked: list[AskedMoment] | None = None
    sentences: list[list[AskedMoment]] | None = None
    truth: list[AskedMoment]


class Floors(BaseModel):
    """Figures that must at least be reached; those of no name here may be anything."""

    model_config = ConfigDict(extra="forbid")

    hit_rate: dict[str, float] = Field(default_factory=dict)
    coverage: dict[str, float] = Field(default_factory=dict)
    first: dict[str, float] = Field(default_factory=dict)
    mrr: float = 0.0
    mean_average_precision: float = 0.0
    abstention: float = 0.0
    answer_rate: float = 0.0
    faithfulness: float = 0.0


class QuestionSet(BaseModel):
    """A file of questions. about: what the footage is, for people. least_tiou: overlap from which a
    found moment is a true one."""

    model_config = ConfigDict(extra="forbid")

    about: str = ""
    least_tiou: float = Field(default=0.5, gt=0, le=1)
    questions: list[AskedQuestion] = Field(min_length=1)
    floors: Floors = Field(default_factory=Floors)


def detection_figures(
    found: Sequence[Path],
    truth: Path,
    *,
    live_score: float | None = None,
    tolerance_sec: float | None = None,
) -> dict[str, Any]:
    """The figures of analyses against the truth of their videos, JSON-ready.

    Raises InputError for a file that does not fit, or an analysis of a video without truth.
    """
    known = _read(truth, _Truth).videos
    videos = [_video(path, known, truth) for path in found]
    if len({video.video for video in videos}) < len(videos):
        raise InputError("two analyses are of the same video; give one of each")
    figures = summarise(videos, live_score, tolerance_sec)
    matched = match_videos(videos, LEAST_TIOU, tolerance_sec)
    scores, is_true = judged_scores(matched)
    share_known = bool(scores) and all(0.0 <= score <= 1.0 for score in scores)
    return _figures(figures) | {
        "video_count": len(videos),
        "live_score": live_score,
        "f1_interval": _f1_interval(matched, live_score),
        "brier": brier_score(scores, is_true) if share_known else None,
        "calibration_error": calibration_error(scores, is_true) if share_known else None,
    }


def read_questions(path: Path) -> QuestionSet:
    """A file of questions. Raises InputError."""
    return _read(path, QuestionSet)


def retrieval_figures(asked: QuestionSet) -> dict[str, Any]:
    """The figures of questions and what was found for them, JSON-ready; `missed_floors` names what
    the set demands and is not reached. Raises InputError for a question nothing is told of."""
    for place, item in enumerate(asked.questions):
        if item.ranked is None:
            raise InputError(
                f"question {place} ({item.question[:60]!r}) has no `ranked`; add what was found, "
                "or ask an installation with --ask"
            )
    questions = [
        Grounding(item.question, _moments(item.ranked or ()), _moments(item.truth))
        for item in asked.questions
    ]
    judged = [judge(question, asked.least_tiou) for question in questions]
    figures: dict[str, Any] = {
        "question_count": len(questions),
        "least_tiou": asked.least_tiou,
        "hit_rate": {str(k): _share(hit_rate_at(judged, k)) for k in RANKS},
        "coverage": {str(k): coverage_at(judged, k) for k in RANKS},
        "ndcg": {str(k): ndcg_at(judged, k) for k in RANKS},
        "mrr": mean_reciprocal_rank(judged),
        "first": {str(tiou): _share(first_rank_at(questions, tiou)) for tiou in TIOUS},
        "mean_first_tiou": mean_first_tiou(questions),
        "mean_average_precision": mean_average_precision(judged),
    }
    answered = [
        AnsweredQuestion(
            item.question, _moments(item.truth), tuple(_moments(own) for own in item.sentences)
        )
        for item in asked.questions
        if item.sentences is not None
    ]
    if answered:
        figures |= {
            "answered_count": len(answered),
            "abstention": _share(abstention(answered)),
            "answer_rate": _share(answer_rate(answered)),
            "faithfulness": _share(faithfulness(answered)),
        }
    return figures | {"missed_floors": _missed(figures, asked.floors)}


def _missed(figures: Mapping[str, Any], floors: Floors) -> list[str]:
    """In words, each figure below its floor; one that was not measured is below any."""
    missed = []
    for name, floor in floors.model_dump().items():
        demanded = floor if isinstance(floor, dict) else {"": floor}
        for key, least in demanded.items():
            found = figures.get(name)
            value = found.get(key) if key and found is not None else found
            value = value["ratio"] if isinstance(value, dict) else value
            if least > 0.0 and (value is None or value < least):
                label = f"{name}@{key}" if key else name
                missed.append(f"{label} is {value}, at least {least} is demanded")
    return missed


def _video(path: Path, known: Mapping[str, list[_Event]], truth: Path) -> VideoEvents:
    analysis = _read(path, _Analysis)
    name = analysis.video_sha256
    if name not in known:
        raise InputError(
            f"{path} is of the video {name}, which {truth} does not name; add it, with [] where "
            "nothing happens"
        )
    left_out = union(
        TimeSpan(*item.span).clamp(0.0, analysis.duration_sec) for item in analysis.not_checked
    )
    return VideoEvents(
        name,
        _events(analysis.events, path),
        _events(known[name], truth),
        max(0.0, analysis.duration_sec - sum(span.duration_sec for span in left_out)),
    )


def _events(items: Sequence[_Event], path: Path) -> tuple[TimedEvent, ...]:
    found = []
    for item in items:
        if item.end_time < item.start_time:
            raise InputError(f"{path}: an event ends at {item.end_time} s before it begins")
        span = TimeSpan(item.start_time, item.end_time)
        found.append(TimedEvent(item.event_type, span, item.score))
    return tuple(found)


def _moments(items: Sequence[AskedMoment]) -> tuple[Moment, ...]:
    return tuple(
        Moment(item.video, TimeSpan(item.start_sec, item.end_sec), item.grade) for item in items
    )


def _figures(figures: DetectionFigures) -> dict[str, Any]:
    return {
        "counts": _counts(figures.counts),
        "by_type": {kind: _counts(item) for kind, item in sorted(figures.by_type.items())},
        "false_alarms_per_hour": plain(figures.false_alarms),
        "average_precision": [plain(item) for item in figures.precisions],
        "mean_tiou": figures.mean_tiou,
        "delay": plain(figures.delay),
    }


def _counts(item: Counts) -> dict[str, Any]:
    return {
        "matched": item.matched,
        "false_alarms": item.false_alarms,
        "missed": item.missed,
        "precision": _share(item.precision),
        "recall": _share(item.recall),
        "f1": item.f1,
    }


def _share(item: Share) -> dict[str, Any]:
    return {"ratio": item.ratio, "interval": list(item.interval), "total": item.total}


def _f1_interval(matched: Sequence[MatchedVideo], live_score: float | None) -> list[float] | None:
    """95 % of draws of whole videos; None where the figure is not defined."""
    found = bootstrap_by_video(matched, lambda videos: counts(videos, live_score).f1)
    return None if found is None else [found.low, found.high]


def _read(path: Path, shape: type[Shape]) -> Shape:
    try:
        return shape.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); check the path") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {place}: {first['msg']}") from error
