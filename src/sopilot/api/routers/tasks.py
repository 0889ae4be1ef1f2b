"""Tasks: profiles and step definitions."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from sopilot.api.auth import Admin, GuardedRoute, Viewer
from sopilot.api.deps import Offset, RuntimeDep, SettingsDep, TaskId, failures
from sopilot.api.schemas import (
    StepsDeleted,
    StepsResponse,
    StepsUpdate,
    TaskList,
    TaskProfileResponse,
    TaskProfileUpdate,
    profile_response,
    steps_response,
    task_list,
)
from sopilot.api.schemas_tasks import (
    ProfileVersionPage,
    StepsProposal,
    proposal_response,
    version_item,
)
from sopilot.library.queries import first_ready_gold
from sopilot.sop import queries, tasks, versions
from sopilot.sop.proposal import propose_for_task
from sopilot.sop.steps import parse_steps

router = APIRouter(tags=["tasks"], route_class=GuardedRoute)


@router.get("/tasks", summary="List tasks", responses=failures())
def list_tasks(_: Viewer, runtime: RuntimeDep) -> TaskList:
    """Every task with its ready videos counted."""
    with runtime.database.read() as connection:
        return task_list(queries.list_tasks(connection))


@router.get("/task-profile", summary="Read a task profile", responses=failures(404))
def get_task_profile(_: Viewer, runtime: RuntimeDep, task_id: TaskId = None) -> TaskProfileResponse:
    """Thresholds, weights and severities in force."""
    wanted = task_id or runtime.settings.primary_task_id
    with runtime.database.read() as connection:
        return profile_response(tasks.get_profile(connection, runtime.settings, wanted))


@router.put("/task-profile", summary="Change a task profile", responses=failures(409, 422))
def put_task_profile(
    changes: TaskProfileUpdate, who: Admin, runtime: RuntimeDep, task_id: TaskId = None
) -> TaskProfileResponse:
    """Change the given fields; later scores use and record the new version."""
    wanted = task_id or runtime.settings.primary_task_id
    given = changes.model_dump(exclude_none=True)
    with runtime.database.write() as connection:
        profile = tasks.change_profile(connection, runtime.settings, wanted, given, who.by)
    return profile_response(profile)


@router.get("/task-profile/versions", summary="Earlier profiles", responses=failures(404, 422))
def list_profile_versions(
    _: Viewer,
    runtime: RuntimeDep,
    task_id: TaskId = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Offset = 0,
) -> ProfileVersionPage:
    """Profile and steps as they were with each change, newest first; a score's result names the
    version that judged it."""
    wanted = task_id or runtime.settings.primary_task_id
    with runtime.database.read() as connection:
        tasks.get_profile(connection, runtime.settings, wanted)
        rows, total = versions.list_versions(connection, wanted, limit, offset)
    items = [version_item(row) for row in rows]
    has_more = offset + len(items) < total
    return ProfileVersionPage(task_id=wanted, items=items, total=total, has_more=has_more)


@router.get("/tasks/steps/proposal", summary="Propose steps", responses=failures(404, 409, 422))
def propose_steps(_: Viewer, runtime: RuntimeDep, task_id: TaskId = None) -> StepsProposal:
    """Steps found in the task's first ready gold; confirm or correct them by PUT /tasks/steps."""
    wanted = task_id or runtime.settings.primary_task_id
    return proposal_response(wanted, propose_for_task(runtime, wanted))


@router.get("/tasks/steps", summary="Read the steps of a task", responses=failures())
def get_steps(
    _: Viewer, runtime: RuntimeDep, settings: SettingsDep, task_id: TaskId = None
) -> StepsResponse:
    """The defined steps; none where the program proposes them from the gold."""
    wanted = task_id or settings.primary_task_id
    with runtime.database.read() as connection:
        return steps_response(wanted, queries.list_steps(connection, wanted))


@router.put("/tasks/steps", summary="Define the steps of a task", responses=failures(409, 422))
def put_steps(
    body: StepsUpdate, who: Admin, runtime: RuntimeDep, task_id: TaskId = None
) -> StepsResponse:
    """Replace all step definitions; their times lie in the task's first gold."""
    wanted = task_id or runtime.settings.primary_task_id
    with runtime.database.write() as connection:
        gold = first_ready_gold(connection, wanted)
        steps = parse_steps(body.steps, gold.duration_sec if gold else None)
        stored = tasks.replace_steps(connection, runtime.settings, wanted, steps, who.by)
    return steps_response(wanted, stored)


@router.delete("/tasks/steps", summary="Forget the steps of a task", responses=failures())
def delete_steps(who: Admin, runtime: RuntimeDep, task_id: TaskId = None) -> StepsDeleted:
    """Remove all step definitions; the program proposes steps again."""
    wanted = task_id or runtime.settings.primary_task_id
    with runtime.database.write() as connection:
        count = tasks.forget_steps(connection, runtime.settings, wanted, who.by)
    return StepsDeleted(task_id=wanted, deleted_count=count)
