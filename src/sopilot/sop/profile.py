"""Task profile: thresholds, weights and the severity policy by which a comparison is judged.

Read from the tasks table, passed to `sop.score`, `sop.decision` and `sop.result`. Changes are
validated here, so that the service, the command line and the scripts refuse the same things.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from types import MappingProxyType

from sopilot.core.errors import Conflict, InputError
from sopilot.sop.comparison import EventType


class Severity(StrEnum):
    """How much a deviation matters; one critical deviation fails the execution."""

    CRITICAL = "critical"
    QUALITY = "quality"
    EFFICIENCY = "efficiency"


MAX_WEIGHT = 1000.0
"""Largest weight; only proportions count, and the sum must stay an ordinary number."""

DEFAULT_POLICY: Mapping[EventType, Severity] = MappingProxyType(
    {
        EventType.MISSING_STEP: Severity.CRITICAL,
        EventType.ORDER_SWAP: Severity.QUALITY,
        EventType.STEP_DEVIATION: Severity.QUALITY,
        EventType.REPEATED_STEP: Severity.QUALITY,
        EventType.EXTRA_ACTION: Severity.EFFICIENCY,
        EventType.OVER_TIME: Severity.EFFICIENCY,
        EventType.FREEZE: Severity.CRITICAL,
    }
)
"""Severity per type; source: docs/scoring.md 4."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each kind of finding counts; >= 0, at least one above 0.

    The defaults are the public contract (quickstart); at the defaults the calibrated losses of
    `sop.score` hold, a larger share makes the kind cost more, 0 makes it cost nothing.
    """

    w_miss: float = 0.40
    w_swap: float = 0.25
    w_dev: float = 0.25
    w_time: float = 0.10

    def normalised(self) -> Weights:
        """The same proportions with sum 1."""
        total = self.w_miss + self.w_swap + self.w_dev + self.w_time
        if math.isclose(total, 1.0, abs_tol=1e-12):
            return self
        return Weights(
            self.w_miss / total, self.w_swap / total, self.w_dev / total, self.w_time / total
        )

    def as_dict(self) -> dict[str, float]:
        """Field name to value, the public form."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(frozen=True, slots=True)
class TaskProfile:
    """What a task demands. `version` grows by one with every change that is stored."""

    task_id: str
    task_name: str
    pass_score: float = 60.0
    retrain_score: float = 50.0
    weights: Weights = Weights()
    deviation_policy: Mapping[EventType, Severity] = field(
        default_factory=lambda: dict(DEFAULT_POLICY)
    )
    version: int = 1

    def severity_of(self, kind: EventType) -> Severity:
        """Severity of a type; a type the stored policy does not name keeps its default."""
        return self.deviation_policy.get(kind, DEFAULT_POLICY[kind])


def parse_weights(given: Mapping[str, object] | None, base: Weights | None = None) -> Weights:
    """Weights from public names; what is not given (or None) comes from base, else the defaults.

    Raises InputError for an unknown name, a value that is no number in 0-MAX_WEIGHT, or sum 0.
    """
    base = base or Weights()
    if not given:
        return base
    names = [item.name for item in fields(Weights)]
    changes: dict[str, float] = {}
    for name, value in given.items():
        if name not in names:
            raise InputError(f"unknown weight '{name}'; the weights are {', '.join(names)}")
        if value is not None:
            changes[name] = _number(name, value, 0.0, MAX_WEIGHT)
    weights = replace(base, **changes)
    if sum(weights.as_dict().values()) <= 0:
        raise InputError("all weights are 0; give at least one weight above 0")
    return weights


def update_profile(profile: TaskProfile, changes: Mapping[str, object]) -> TaskProfile:
    """The profile with the given public fields changed and its version raised; None = leave.

    changes: any of task_name, pass_score, retrain_score, default_weights, deviation_policy (the
    two mappings are partial as well). Without a real change the same profile returns.
    Raises InputError for an unknown name or a bad value, Conflict when retrain_score would exceed
    pass_score.
    """
    known = {"task_name", "pass_score", "retrain_score", "default_weights", "deviation_policy"}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise InputError(
            f"unknown profile field '{unknown[0]}'; a profile has {', '.join(sorted(known))}"
        )
    given = {name: value for name, value in changes.items() if value is not None}
    updated = replace(
        profile,
        task_name=_name(given.get("task_name", profile.task_name)),
        pass_score=_number("pass_score", given.get("pass_score", profile.pass_score), 0, 100),
        retrain_score=_number(
            "retrain_score", given.get("retrain_score", profile.retrain_score), 0, 100
        ),
        weights=parse_weights(_mapping(given, "default_weights"), profile.weights),
        deviation_policy=_parse_policy(
            _mapping(given, "deviation_policy"), profile.deviation_policy
        ),
    )
    if updated.retrain_score > updated.pass_score:
        raise Conflict(
            f"retrain_score ({updated.retrain_score}) must not exceed pass_score "
            f"({updated.pass_score}); lower the first or raise the second",
            {"pass_score": updated.pass_score, "retrain_score": updated.retrain_score},
        )
    return profile if updated == profile else replace(updated, version=profile.version + 1)


def new_profile(
    task_id: str, task_name: str, pass_score: float, retrain_score: float
) -> TaskProfile:
    """Version 1 of a task's profile with the default weights and policy.

    Raises as `update_profile` does.
    """
    draft = TaskProfile(task_id=task_id, task_name=task_name, version=0)
    made = update_profile(
        draft, {"task_name": task_name, "pass_score": pass_score, "retrain_score": retrain_score}
    )
    return replace(made, version=1)


def profile_from_row(row: Mapping[str, object]) -> TaskProfile:
    """A row of the tasks table (mapping of columns) as a profile; raises as `update_profile`."""
    task_id = str(row["task_id"])
    draft = TaskProfile(task_id=task_id, task_name=str(row["task_name"]))
    names = ("task_name", "pass_score", "retrain_score", "default_weights", "deviation_policy")
    made = update_profile(draft, {name: row[name] for name in names})
    return replace(made, version=int(str(row["version"])))


def profile_columns(profile: TaskProfile) -> dict[str, object]:
    """The columns of the tasks table that a profile fills (ids and times are the caller's)."""
    return {
        "task_id": profile.task_id,
        "task_name": profile.task_name,
        "pass_score": profile.pass_score,
        "retrain_score": profile.retrain_score,
        "default_weights": profile.weights.as_dict(),
        "deviation_policy": {str(k): str(profile.severity_of(k)) for k in EventType},
        "version": profile.version,
    }


def _number(name: str, value: object, low: float, high: float) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared as it is: an int of 400 digits has no float. NaN compares as false.
    if not is_number or not low <= value <= high:  # type: ignore[operator]
        raise InputError(
            f"{name} is {value!r:.80}; give a number from {low:g} to {high:g}", {"field": name}
        )
    return float(str(value))


def _name(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= 256:
        raise InputError(f"task_name is {value!r:.80}; give a text of 1 to 256 characters")
    if any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in value):
        raise InputError(f"task_name is {value!r:.80}; write it on one line of plain characters")
    return value.strip()


def _mapping(given: Mapping[str, object], name: str) -> Mapping[str, object] | None:
    value = given.get(name)
    if value is None or isinstance(value, Mapping):
        return value
    raise InputError(f"{name} is {value!r}; give an object of names and values", {"field": name})


def _parse_policy(
    given: Mapping[str, object] | None, base: Mapping[EventType, Severity]
) -> dict[EventType, Severity]:
    policy = {**DEFAULT_POLICY, **base}
    for name, value in (given or {}).items():
        if name not in list(EventType):
            raise InputError(
                f"unknown deviation type '{name}'; the types are {', '.join(EventType)}"
            )
        if value not in list(Severity):
            raise InputError(f"severity of {name} is {value!r}; give one of {', '.join(Severity)}")
        policy[EventType(name)] = Severity(str(value))
    return policy
