"""Public shapes of profile versions and step proposals."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from sopilot.api.schemas import StepDefinition, steps_response
from sopilot.sop.proposal import Proposal
from sopilot.sop.versions import ProfileVersion


class ProfileVersionItem(BaseModel):
    version: int
    task_name: str
    pass_score: float
    retrain_score: float
    default_weights: dict[str, float]
    deviation_policy: dict[str, str]
    steps: list[StepDefinition]
    changed_by: str
    created_at: str


class ProfileVersionPage(BaseModel):
    task_id: str
    items: list[ProfileVersionItem] = Field(description="Newest first.")
    total: int
    has_more: bool


class StepsProposal(BaseModel):
    """Steps found in the gold; nothing is stored. Confirm them by PUT /tasks/steps."""

    task_id: str
    gold_video_id: int
    gold_duration_sec: float
    step_count: int
    steps: list[StepDefinition]


def version_item(row: ProfileVersion) -> ProfileVersionItem:
    """A version with its steps under the public names."""
    return ProfileVersionItem(
        version=row.version,
        **{name: row.profile[name] for name in ProfileVersionItem.model_fields if name in _PROFILE},
        steps=[_step(step) for step in row.steps],
        changed_by=row.changed_by,
        created_at=row.created_at,
    )


_PROFILE = ("task_name", "pass_score", "retrain_score", "default_weights", "deviation_policy")


def _step(stored: Any) -> StepDefinition:
    span = stored["span"] or (None, None)
    names = set(StepDefinition.model_fields) & set(stored)
    return StepDefinition(
        step_index=stored["index"],
        start_sec=span[0],
        end_sec=span[1],
        **{name: stored[name] for name in names},
    )


def proposal_response(task_id: str, found: Proposal) -> StepsProposal:
    """A proposal in the form that PUT /tasks/steps takes."""
    listed = steps_response(task_id, found.steps)
    return StepsProposal(
        task_id=task_id,
        gold_video_id=found.gold_video_id,
        gold_duration_sec=found.gold_duration_sec,
        step_count=listed.step_count,
        steps=listed.steps,
    )
