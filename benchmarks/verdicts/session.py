"""What a run shares between its suites: options, worker processes, and what was judged already."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.verdicts.films import Footage, prepare
from benchmarks.verdicts.judging import Case, judge
from sopilot.evaluation.figures import Outcome

DEV_TASKS, TEST_TASKS = (101, 102), (1501, 1502, 1503)
"""Seeds of generated tasks: the first are looked at while the method is made, the others after."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a run was asked for.

    work: folder of films and features. data: footage that is no part of the repository. tasks:
    seeds of generated tasks. good_count, each_count: films per task, and per defect of a task.
    sample: hand-wash films per pair, None = all. seed: of the hand-wash composer.
    """

    work: Path
    data: Path
    tasks: tuple[int, ...] = (*DEV_TASKS, *TEST_TASKS)
    good_count: int = 14
    each_count: int = 3
    sample: int | None = None
    seed: int = 0


@dataclass(slots=True)
class Session:
    """One run. pool None = everything happens in this process."""

    options: Options
    pool: Executor | None = None
    _known: dict[Case, list[Outcome]] = field(default_factory=dict)

    def prepare(self, footage: Sequence[Footage]) -> None:
        """Make the films and features that are not there yet."""
        prepare(footage, self.pool)

    def judge(self, cases: Sequence[Case]) -> list[Outcome]:
        """The outcomes of all trials of prepared cases, case by case; a case is judged once."""
        new = [case for case in dict.fromkeys(cases) if case not in self._known]
        done = map(judge, new) if self.pool is None else self.pool.map(judge, new)
        self._known |= zip(new, done, strict=True)
        return [outcome for case in cases for outcome in self._known[case]]
