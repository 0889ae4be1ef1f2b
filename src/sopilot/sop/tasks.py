"""Tasks of the installation: profiles and step definitions between database rows and records.

A task's row is made with its first video, score or definition, from the settings' defaults; after
that only explicit changes touch it. Reading a task that has no row yet answers the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection

from sopilot.core.config import Settings
from sopilot.core.errors import InputError, TaskNotAllowed, TaskNotFound
from sopilot.core.records import Step
from sopilot.sop import queries
from sopilot.sop.profile import (
    TaskProfile,
    new_profile,
    profile_columns,
    profile_from_row,
    update_profile,
)

MAX_TASK_ID_LENGTH = 128


def check_task(settings: Settings, task_id: str) -> None:
    """Refuse a task id that cannot be used here. Raises InputError or TaskNotAllowed."""
    usable = 1 <= len(task_id) <= MAX_TASK_ID_LENGTH and task_id.isprintable()
    if not usable or task_id != task_id.strip():
        raise InputError(
            f"task_id is {task_id[:MAX_TASK_ID_LENGTH]!r}; give 1 to {MAX_TASK_ID_LENGTH} "
            "printable characters without spaces around them"
        )
    if settings.enforce_primary_task and task_id != settings.primary_task_id:
        raise TaskNotAllowed(
            f"task {task_id} is not served here, only {settings.primary_task_id}; use that task "
            "or set SOPILOT_ENFORCE_PRIMARY_TASK=false"
        )


def default_profile(settings: Settings, task_id: str) -> TaskProfile:
    """The profile that a task starts with."""
    primary = task_id == settings.primary_task_id
    return new_profile(
        task_id,
        settings.primary_task_name if primary else task_id,
        settings.default_pass_score,
        settings.default_retrain_score,
    )


def get_profile(connection: Connection, settings: Settings, task_id: str) -> TaskProfile:
    """The profile in force. Raises TaskNotFound for a task that nobody used yet, save the primary.

    Reading writes nothing.
    """
    row = queries.find_task(connection, task_id)
    if row is not None:
        return profile_from_row(row)
    if task_id == settings.primary_task_id:
        return default_profile(settings, task_id)
    raise TaskNotFound(f"there is no task {task_id}; GET /tasks lists them")


def ensure_task(connection: Connection, settings: Settings, task_id: str) -> TaskProfile:
    """The profile of a task, whose row is made where it does not exist yet.

    Raises InputError or TaskNotAllowed.
    """
    check_task(settings, task_id)
    row = queries.find_task(connection, task_id)
    if row is not None:
        return profile_from_row(row)
    profile = default_profile(settings, task_id)
    queries.insert_task(connection, profile_columns(profile))
    return profile


def task_opener(settings: Settings) -> Callable[[Connection, str], None]:
    """What `library.add` calls in its transaction before it writes a video of a task."""

    def open_task(connection: Connection, task_id: str) -> None:
        ensure_task(connection, settings, task_id)

    return open_task


def change_profile(
    connection: Connection, settings: Settings, task_id: str, changes: Mapping[str, object]
) -> TaskProfile:
    """Apply a partial change; the version grows when something differs.

    Raises InputError for a bad value, Conflict when retrain_score would exceed pass_score.
    """
    old = ensure_task(connection, settings, task_id)
    new = update_profile(old, changes)
    if new is not old:
        queries.update_task(connection, task_id, profile_columns(new))
    return new


def replace_steps(
    connection: Connection, settings: Settings, task_id: str, steps: Sequence[Step]
) -> tuple[Step, ...]:
    """Put these definitions in the place of all earlier ones (already validated)."""
    ensure_task(connection, settings, task_id)
    queries.delete_steps(connection, task_id)
    queries.insert_steps(connection, task_id, steps)
    return queries.list_steps(connection, task_id)
