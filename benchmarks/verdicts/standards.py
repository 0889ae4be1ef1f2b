"""The golds that are copied and abused: maintenance, two generated tasks, one hand washing.

Called by the suites `harmless`, `hopeless` and `maintenance`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.verdicts import generated
from benchmarks.verdicts.compose import marked_steps
from benchmarks.verdicts.films import Copying, Footage
from benchmarks.verdicts.handwash import Composing, open_wash
from benchmarks.verdicts.session import Session
from sopilot.core.records import Role, Step
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.generated.film import gold_steps

GENERATED_COUNT = 2
MAINTENANCE_STEPS = tuple(Step(k, span=TimeSpan(6.0 * k, 6.0 * (k + 1))) for k in range(4))


@dataclass(frozen=True, slots=True)
class Standard:
    """A gold with its true steps."""

    name: str
    footage: Footage
    steps: tuple[Step, ...]


def standards(session: Session) -> list[Standard]:
    """The golds that this run can make."""
    return [*_maintenance(session), *_generated(session), *_handwash(session)]


def given_file(session: Session, path: Path, role: Role = Role.TRAINEE) -> Footage:
    """A file of the test data, brought into the working folder."""
    return Footage(session.options.work / path.parent.name / path.name, role, Copying(path))


def maintenance_gold(session: Session) -> Standard | None:
    """The gold of the maintenance animation, None where it is not."""
    return next(_maintenance(session), None)


def _maintenance(session: Session) -> Iterator[Standard]:
    path = session.options.data / "maintenance" / "gold.mp4"
    if path.exists():
        yield Standard("maintenance", given_file(session, path, Role.GOLD), MAINTENANCE_STEPS)


def _generated(session: Session) -> Iterator[Standard]:
    for task in session.options.tasks[:GENERATED_COUNT]:
        take = generated.golds(task)[0]
        steps = gold_steps(take.film())
        yield Standard(f"generated-{task}", take.footage(session.options.work), steps)


def _handwash(session: Session) -> Iterator[Standard]:
    wash = open_wash(session)
    if wash is not None:
        cut = wash.pairs()[0].golds[0]
        footage = Footage(wash.path(cut), Role.GOLD, Composing(cut, wash.library))
        yield Standard("handwash", footage, marked_steps(cut))
