"""What a score report is made from: the result record and the rows around it, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sopilot.core.records import Keyframe


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
    reviewer: str = ""


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """One score as both forms of the report show it. Empty text = left out.

    result: the public result record (docs/api.md), `ScoreResult.model_dump(mode="json")`.
    scored_at: `YYYY-MM-DD HH:MM:SS`, UTC; also the date of the PDF document.
    """

    result: Mapping[str, Any]
    pictures: tuple[DeviationPictures, ...] = ()
    job: str = ""
    scored_at: str = ""
    task_name: str = ""
    gold_names: tuple[str, ...] = ()
    trainee_name: str = ""
    operator: str = ""
    site: str = ""
    review: ReviewNote | None = None
