"""Versions of a task's profile: what thresholds, weights, severities and steps were when, by whom.

Written with every change by `sop.tasks`, never changed afterwards; a score names the version that
it was judged by. All SQL on them is here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from sopilot.core.records import Step, plain
from sopilot.sop.profile import TaskProfile, profile_columns
from sopilot.store.tables import profile_versions
from sopilot.store.times import now_text

UNKNOWN = "system:unknown"
"""Who made a version that is older than this table."""


@dataclass(frozen=True, slots=True)
class ProfileVersion:
    """A profile and its steps as they were. profile: the columns of the tasks table."""

    task_id: str
    version: int
    profile: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]]
    changed_by: str
    created_at: str


def keep(
    connection: Connection, profile: TaskProfile, steps: Sequence[Step], changed_by: str
) -> None:
    """Add the version that the profile names."""
    connection.execute(
        profile_versions.insert().values(
            task_id=profile.task_id,
            version=profile.version,
            profile=profile_columns(profile),
            steps=plain(tuple(steps)),
            changed_by=changed_by[:128],
            created_at=now_text(),
        )
    )


def is_kept(connection: Connection, profile: TaskProfile) -> bool:
    """Whether the version that the profile names is stored."""
    query = select(profile_versions.c.id).where(
        profile_versions.c.task_id == profile.task_id,
        profile_versions.c.version == profile.version,
    )
    return connection.execute(query).first() is not None


def list_versions(
    connection: Connection, task_id: str, limit: int, offset: int
) -> tuple[list[ProfileVersion], int]:
    """One page, newest first, and the number of all versions of the task."""
    own = profile_versions.c.task_id == task_id
    page = (
        select(*(profile_versions.c[name] for name in ProfileVersion.__dataclass_fields__))
        .where(own)
        .order_by(profile_versions.c.version.desc())
        .limit(limit)
        .offset(offset)
    )
    rows = [ProfileVersion(**row._mapping) for row in connection.execute(page)]
    count = select(func.count()).select_from(profile_versions).where(own)
    return rows, int(connection.execute(count).scalar() or 0)
