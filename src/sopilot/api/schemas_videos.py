"""Shapes of changing and deleting videos, and of what a task has collected."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sopilot.api.uploads import Label, none_if_blank
from sopilot.library.schemas import DatasetFigures
from sopilot.sop.forget import Forgotten

GOLD_TARGET = 20
TRAINEE_TARGET = 50


class VideoUpdate(BaseModel):
    """Fields to change; null, blank or absent leaves a field as it is."""

    model_config = ConfigDict(extra="forbid")

    site_id: Label = None
    camera_id: Label = None
    operator_id_hash: Label = None
    recorded_at: Annotated[str | None, Field(max_length=64), AfterValidator(none_if_blank)] = None


class VideoDeleted(BaseModel):
    video_id: int
    task_id: str
    deleted: bool = True
    removed_files: list[str] = Field(description="Names below the data folder.")
    removed_scores: list[int] = Field(description="Score jobs that went with it.")
    reindexed_clips: int = Field(default=0, description="No index is rebuilt: always 0.")


class DatasetTarget(BaseModel):
    gold: int = GOLD_TARGET
    trainee: int = TRAINEE_TARGET


class DatasetProgress(BaseModel):
    gold_pct: float = Field(description="0-100.")
    trainee_pct: float = Field(description="0-100.")


class DatasetSummary(BaseModel):
    """Videos of a task; failed ones are not counted."""

    task_id: str
    total_videos: int
    gold_videos: int
    trainee_videos: int
    ready_videos: int
    by_site: dict[str, int] = Field(description="Videos per site; `` = no site named.")
    target: DatasetTarget
    progress: DatasetProgress


def video_deleted(found: Forgotten) -> VideoDeleted:
    """The answer of both older interfaces to a deletion."""
    return VideoDeleted(
        video_id=found.video.id,
        task_id=found.video.task_id,
        removed_files=[*found.files],
        removed_scores=[*found.score_ids],
    )


def dataset_summary(task_id: str, found: DatasetFigures) -> DatasetSummary:
    """The counts beside what a pilot should collect."""
    return DatasetSummary(
        task_id=task_id,
        total_videos=found.total_count,
        gold_videos=found.gold_count,
        trainee_videos=found.trainee_count,
        ready_videos=found.ready_count,
        by_site=dict(found.by_site),
        target=DatasetTarget(),
        progress=DatasetProgress(
            gold_pct=_percent(found.gold_count, GOLD_TARGET),
            trainee_pct=_percent(found.trainee_count, TRAINEE_TARGET),
        ),
    )


def _percent(count: int, target: int) -> float:
    return round(min(100.0, 100.0 * count / target), 1)
