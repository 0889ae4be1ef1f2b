"""Composes hand-wash procedures with exact truth from clips of single steps.

A cut is a list of units, each four neighbouring frames of one clip; `shown` gives its pictures.
Footage that two executions share is left out (`clean_steps`). Called by `handwash`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.verdicts.retake import Picture, frames
from sopilot.core.records import Limits, Step, StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.truth import TrueEvent
from sopilot.media.probe import probe
from sopilot.sop.comparison import EventType

UNIT_FRAMES, RATE_FPS = 4, 15.0
UNIT_SEC = UNIT_FRAMES / RATE_FPS
SHARED_RATIO = 0.05
LEAST_STEPS = 6
STEP_SEC = (5.0, 9.0)
BASE_SEC = (5.2, 7.2)
TEMPO_SD, STEP_SD = 0.08, 0.10
OVER_TIME_RATIO, FREEZE_SEC = 2.1, 6.0
_LIMITS = Limits(max_pixels=1920 * 1080, max_duration_sec=600.0, min_duration_sec=1.0)

Look = Literal["as filmed", "static", "noise"]


@dataclass(frozen=True, slots=True)
class Clip:
    """The clip of one step of one execution."""

    execution: str
    step: int
    path: Path
    unit_count: int


@dataclass(frozen=True, slots=True)
class Unit:
    """Four frames of a clip; is_frozen: the first of them four times."""

    step: int
    index: int
    is_frozen: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """A step to show. shown: whose action is seen; units: exact length, None = drawn."""

    step: int
    shown: int
    stretch: float = 1.0
    has_freeze: bool = False


@dataclass(frozen=True, slots=True)
class Cut:
    """A composed video: its units in order, where each scene lies, and what is wrong."""

    name: str
    execution: str
    defect: str | None
    units: tuple[Unit, ...]
    scenes: tuple[TimeSpan, ...]
    truth: tuple[TrueEvent, ...]
    look: Look = "as filmed"


Library = dict[tuple[str, int], Clip]


def read_library(folder: Path) -> Library:
    """All clips of the folder, by execution and step. Raises FileNotFoundError when it is empty."""
    library: Library = {}
    for path in sorted(folder.glob("[0-9][0-9][0-9]_step[0-9][0-9].mp4")):
        execution, step = path.stem[:3], int(path.stem[-2:])
        info = probe(path, _LIMITS, "0" * 64)
        count = int(info.duration_sec * RATE_FPS) // UNIT_FRAMES
        library[execution, step] = Clip(execution, step, path, count)
    if not library:
        raise FileNotFoundError(f"no NNN_stepMM.mp4 in {folder}; set SOPILOT_TEST_DATA")
    return library


def clean_steps(library: Library, folder: Path, golds: Sequence[str], trainee: str) -> list[int]:
    """Steps that the trainee and every gold have, without those whose footage the trainee shares
    with any of the golds (more than SHARED_RATIO, either way round)."""
    rows = json.loads((folder / "duplicates.json").read_text())
    pairs = {pair for gold in golds for pair in ((gold, trainee), (trainee, gold))}
    shared = {
        row["step"]
        for row in rows
        if (row["execution"], row["also_in"]) in pairs and row["share"] > SHARED_RATIO
    }
    own = [{step for execution, step in library if execution == one} for one in (*golds, trainee)]
    return sorted(set.intersection(*own) - shared)


def gold_cut(library: Library, execution: str, steps: Sequence[int]) -> Cut:
    """The complete clips of an execution, joined."""
    units = [
        Unit(step, index) for step in steps for index in range(library[execution, step].unit_count)
    ]
    lengths = [library[execution, step].unit_count for step in steps]
    name = f"gold-{execution}-" + "".join(f"{step:02d}" for step in steps)
    return Cut(name, execution, None, tuple(units), _spans(lengths), ())


def marked_steps(cut: Cut) -> tuple[Step, ...]:
    """The joints of a gold as marked steps, indexed 0.. in their order; rubbing is cyclic."""
    return tuple(
        Step(index=index, span=span, kind=StepKind.CYCLIC) for index, span in enumerate(cut.scenes)
    )


def suite(library: Library, execution: str, steps: Sequence[int], seed: int) -> list[Cut]:
    """Good and defective executions made of one execution's clips, about 70."""
    rng = np.random.default_rng([seed, int(execution)])
    maker = _Maker(library, execution, list(steps), rng)
    return [
        *(maker.cut("good", None, scenes, truth, k) for k, (scenes, truth) in _good(steps)),
        *maker.order_defects(),
        *maker.action_defects(),
        *maker.broken(),
    ]


def _good(steps: Sequence[int]) -> Iterator[tuple[int, tuple[list[Scene], list[TrueEvent]]]]:
    for index in range(8):
        yield index, ([Scene(step, step) for step in steps], [])


_NOWHERE = TimeSpan(0.0, 0.0)


@dataclass
class _Maker:
    """Draws cuts of one execution; step indices of truths count within `steps`."""

    library: Library
    execution: str
    steps: list[int]
    rng: np.random.Generator

    def __post_init__(self) -> None:
        self._base_sec = {step: float(self.rng.uniform(*BASE_SEC)) for step in self.steps}
        self._plain = [Scene(step, step) for step in self.steps]

    def order_defects(self) -> Iterator[Cut]:
        """Every step missing, every neighbours' swap, distant swaps, cut tails, skipped starts."""
        count, plain = len(self.steps), self._plain
        for k in range(count):
            rest = plain[:k] + plain[k + 1 :]
            yield self.cut("missing", "missing", rest, [_missing(k)], k)
        for k in range(count - 1):
            yield self._swap("swap_near", k, k + 1, k)
        for number in range(6):
            one, other = sorted(int(v) for v in self.rng.choice(count, 2, replace=False))
            while other - one < 2:
                one, other = sorted(int(v) for v in self.rng.choice(count, 2, replace=False))
            yield self._swap("swap_far", one, other, number)
        for lost in (2, 3, 4):
            gone = [_missing(k, "tail") for k in range(count - lost, count)]
            yield self.cut("cut_tail", "cut_tail", plain[:-lost], gone, lost)
            gone = [_missing(k, "start") for k in range(lost)]
            yield self.cut("skip_start", "skip_start", plain[lost:], gone, lost)

    def action_defects(self) -> Iterator[Cut]:
        """Wrong actions, repeats later on, over-time, freezes."""
        count = len(self.steps)
        for number, k in enumerate(self._some(count, 8)):
            others = [self.steps[j] for j in range(count) if abs(j - k) > 1]
            shown = int(self.rng.choice(others))
            yield self._one(
                "wrong", k, Scene(self.steps[k], shown), EventType.STEP_DEVIATION, number
            )
        for number, k in enumerate(self._some(count - 2, 6)):
            place = int(self.rng.integers(k + 2, count))
            scenes = [*self._plain[:place], self._plain[k], *self._plain[place:]]
            event = (TrueEvent(EventType.REPEATED_STEP, k, _NOWHERE), (place,))
            yield self.cut("repeat", "repeat", scenes, [event], number)
        for number, k in enumerate(self._some(count, 6)):
            scene = Scene(self.steps[k], self.steps[k], stretch=OVER_TIME_RATIO)
            yield self._one("over_time", k, scene, EventType.OVER_TIME, number)
        for number, k in enumerate(self._some(count, 6)):
            scene = Scene(self.steps[k], self.steps[k], has_freeze=True)
            yield self._one("freeze", k, scene, EventType.FREEZE, number)

    def broken(self) -> Iterator[Cut]:
        """Reversed, shuffled, one still picture, noise: nothing to place, only to refuse."""
        yield self.cut("reversed", "reversed", self._plain[::-1], [], 0)
        order = [self._plain[int(k)] for k in self.rng.permutation(len(self._plain))]
        yield self.cut("shuffled", "shuffled", order, [], 0)
        yield self.cut("static", "static", self._plain, [], 0, look="static")
        yield self.cut("noise", "noise", self._plain, [], 0, look="noise")

    def cut(
        self,
        name: str,
        defect: str | None,
        scenes: Sequence[Scene],
        events: Sequence[tuple[TrueEvent, tuple[int, ...]]] | Sequence[TrueEvent],
        number: int,
        look: Look = "as filmed",
    ) -> Cut:
        """Draw trims for the scenes; an event with scene numbers gets their place."""
        tempo = float(np.exp(self.rng.normal(0, TEMPO_SD)))
        shown = [self._units(scene, tempo) for scene in scenes]
        spans = _spans([len(units) for units in shown])
        units = tuple(unit for part in shown for unit in part)
        truth = tuple(_placed(event, spans, units) for event in events)
        return Cut(
            f"{self.execution}-{name}-{number}", self.execution, defect, units, spans, truth, look
        )

    def _one(self, name: str, k: int, scene: Scene, kind: EventType, number: int) -> Cut:
        scenes = [*self._plain[:k], scene, *self._plain[k + 1 :]]
        return self.cut(name, name, scenes, [(TrueEvent(kind, k, _NOWHERE), (k,))], number)

    def _swap(self, name: str, one: int, other: int, number: int) -> Cut:
        scenes = list(self._plain)
        scenes[one], scenes[other] = scenes[other], scenes[one]
        event = TrueEvent(EventType.ORDER_SWAP, one, _NOWHERE, other_step_index=other)
        return self.cut(name, name, scenes, [(event, (one, other))], number)

    def _some(self, count: int, wanted: int) -> list[int]:
        return [int(k) for k in self.rng.permutation(count)[:wanted]]

    def _units(self, scene: Scene, tempo: float) -> list[Unit]:
        available = self.library[self.execution, scene.shown].unit_count
        jitter = float(np.exp(self.rng.normal(0, STEP_SD)))
        seconds = self._base_sec[scene.step] * tempo
        if scene.stretch > 1.0:
            length = round(seconds * scene.stretch / UNIT_SEC)
        else:
            length = min(available, round(float(np.clip(seconds * jitter, *STEP_SEC)) / UNIT_SEC))
        units = [Unit(scene.shown, index) for index in _trim(available, length, self.rng)]
        if scene.has_freeze:
            half = len(units) // 2
            still = Unit(scene.shown, units[half].index, is_frozen=True)
            units[half:half] = [still] * round(FREEZE_SEC / UNIT_SEC)
        return units


def _missing(k: int, detail: str = "inner") -> TrueEvent:
    return TrueEvent(EventType.MISSING_STEP, k, _NOWHERE, detail=detail)


def _trim(available: int, length: int, rng: np.random.Generator) -> list[int]:
    """A run of units; to and fro where the clip is too short (rubbing is cyclic)."""
    if length <= available:
        first = int(rng.integers(0, available - length + 1))
        return list(range(first, first + length))
    there_and_back = [*range(available), *range(available - 2, 0, -1)]
    return [there_and_back[k % len(there_and_back)] for k in range(length)]


def _spans(lengths: Sequence[int]) -> tuple[TimeSpan, ...]:
    """Lengths in units as adjoining spans."""
    ends = np.cumsum([0, *lengths]) * UNIT_SEC
    return tuple(TimeSpan(float(a), float(b)) for a, b in pairwise(ends))


def _placed(
    event: TrueEvent | tuple[TrueEvent, tuple[int, ...]],
    spans: Sequence[TimeSpan],
    units: Sequence[Unit],
) -> TrueEvent:
    if isinstance(event, TrueEvent):
        return event
    what, scenes = event
    span = TimeSpan(spans[scenes[0]].start_sec, spans[scenes[-1]].end_sec)
    if what.type is EventType.FREEZE:
        frozen = [k for k, unit in enumerate(units) if unit.is_frozen]
        span = TimeSpan(frozen[0] * UNIT_SEC, (frozen[-1] + 1) * UNIT_SEC)
    return TrueEvent(what.type, what.step_index, span, what.other_step_index, what.detail)


def shown(cut: Cut, library: Library) -> Iterator[Picture]:
    """The pictures of a cut, (h, w, 3) uint8 bgr at RATE_FPS."""
    rng = np.random.default_rng(5)
    for unit in cut.units:
        at = cut.units[10] if cut.look == "static" else unit
        pictures = _pictures(library[cut.execution, at.step].path)
        stands = at.is_frozen or cut.look == "static"
        for k in range(UNIT_FRAMES):
            picture = pictures[at.index * UNIT_FRAMES + (0 if stands else k)]
            if cut.look == "noise":
                picture = rng.integers(0, 256, picture.shape, dtype=np.uint8)
            yield picture


@lru_cache(maxsize=14)
def _pictures(path: Path) -> tuple[Picture, ...]:
    """All frames of a clip; 14 clips are about 650 MB."""
    return tuple(frames(path))
