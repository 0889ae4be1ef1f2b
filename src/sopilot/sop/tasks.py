"""Tasks of the installation: profiles and step definitions between database rows and records.

A task's row is made with its first video, score or definition, from the settings' defaults; after
that only explicit changes touch it; each is a new version (`sop.versions`) and is audited. Reading
a task that has no row yet answers the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from sopilot.core.config import Settings
from sopilot.core.errors import InputError, TaskNotAllowed, TaskNotFound
from sopilot.core.records import Actor, Step, plain
from sopilot.sop import queries, versions
from sopilot.sop.annotate import annotate_steps
from sopilot.sop.profile import (
    TaskProfile,
    new_profile,
    profile_columns,
    profile_from_row,
    update_profile,
)
from sopilot.store.audit import Action, record

MAX_TASK_ID_LENGTH = 128
SETTINGS = Actor("system:settings")
"""Who made a task's first version: nobody, it holds the defaults."""


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
    if queries.insert_task(connection, profile_columns(profile)):
        versions.keep(connection, profile, (), SETTINGS.name)
        return profile
    row = queries.find_task(connection, task_id)
    assert row is not None
    return profile_from_row(row)


def task_opener(settings: Settings) -> Callable[[Connection, str], None]:
    """What `library.add` calls in its transaction before it writes a video of a task."""

    def open_task(connection: Connection, task_id: str) -> None:
        ensure_task(connection, settings, task_id)

    return open_task


def change_profile(
    connection: Connection,
    settings: Settings,
    task_id: str,
    changes: Mapping[str, object],
    by: Actor,
) -> TaskProfile:
    """Apply a partial change; a new version and an audit row when something differs.

    Raises InputError for a bad value, Conflict when retrain_score would exceed pass_score.
    """
    old = _locked(connection, settings, task_id)
    new = update_profile(old, changes)
    if new is old:
        return old
    steps = queries.list_steps(connection, task_id)
    _store(connection, old, new, steps, steps, by)
    before, after = profile_columns(old), profile_columns(new)
    names = [name for name in after if after[name] != before[name]]
    _record(
        connection,
        by,
        Action.PROFILE_CHANGED,
        new,
        {"old": {n: before[n] for n in names}, "new": {n: after[n] for n in names}},
    )
    return new


def replace_steps(
    connection: Connection, settings: Settings, task_id: str, steps: Sequence[Step], by: Actor
) -> tuple[Step, ...]:
    """Put these definitions in the place of all earlier ones (already validated).

    Like a change of the profile: a new version and an audit row when something differs.
    """
    _change_steps(connection, settings, task_id, tuple(steps), by, Action.STEPS_CHANGED)
    return queries.list_steps(connection, task_id)


def forget_steps(connection: Connection, settings: Settings, task_id: str, by: Actor) -> int:
    """Remove a task's step definitions; how many there were. Unknown tasks have none."""
    if queries.find_task(connection, task_id) is None:
        return 0
    return _change_steps(connection, settings, task_id, (), by, Action.STEPS_DELETED)


def _change_steps(
    connection: Connection,
    settings: Settings,
    task_id: str,
    steps: tuple[Step, ...],
    by: Actor,
    action: Action,
) -> int:
    """How many definitions there were before."""
    old = _locked(connection, settings, task_id)
    before = queries.list_steps(connection, task_id)
    if steps == before:
        return len(before)
    new = replace(old, version=old.version + 1)
    queries.delete_steps(connection, task_id)
    queries.insert_steps(connection, task_id, steps)
    annotate_steps(connection, task_id)
    _store(connection, old, new, before, steps, by)
    rows = {step.index: plain(step) for step in before}, {step.index: plain(step) for step in steps}
    changed = [i for i in sorted({*rows[0], *rows[1]}) if rows[0].get(i) != rows[1].get(i)]
    old_rows, new_rows = ([side[i] for i in changed if i in side] for side in rows)
    _record(connection, by, action, new, {"old": old_rows, "new": new_rows})
    return len(before)


def _locked(connection: Connection, settings: Settings, task_id: str) -> TaskProfile:
    """The profile, held until the transaction ends: two changes get two versions."""
    ensure_task(connection, settings, task_id)
    row = queries.find_task(connection, task_id, lock=True)
    assert row is not None
    return profile_from_row(row)


def _store(
    connection: Connection,
    old: TaskProfile,
    new: TaskProfile,
    old_steps: Sequence[Step],
    steps: Sequence[Step],
    by: Actor,
) -> None:
    # A task that is older than the versions has none yet.
    if not versions.is_kept(connection, old):
        versions.keep(connection, old, old_steps, versions.UNKNOWN)
    queries.update_task(connection, new.task_id, profile_columns(new))
    versions.keep(connection, new, steps, by.name)


def _record(
    connection: Connection,
    by: Actor,
    action: Action,
    profile: TaskProfile,
    detail: Mapping[str, object],
) -> None:
    record(
        connection,
        by,
        action,
        f"task:{profile.task_id}",
        task_id=profile.task_id,
        detail={"version": profile.version, **detail},
    )
