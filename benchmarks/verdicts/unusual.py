"""Suite `unusual`: films and golds that nobody should record, and the answer that each gets.

The table is what docs/scoring.md states; only what must never pass is judged. A refusal is an
answer; anything but a verdict or an error of the product ends the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from benchmarks.verdicts import generated
from benchmarks.verdicts.copies import Copy, Frames
from benchmarks.verdicts.films import Footage
from benchmarks.verdicts.judging import Case, Trial
from benchmarks.verdicts.report import Report, floor_row, verdict_table
from benchmarks.verdicts.retake import Picture, Retake, frames, rate_of, record
from benchmarks.verdicts.session import Session
from sopilot.core.rates import share
from sopilot.core.records import Role, Step
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.generated.film import gold_steps

RETAKES = (
    Retake("mirrored", is_mirrored=True),
    Retake("squeezed to 4:3", size=(0.75, 1.0)),
    Retake("upside down", rotation_deg=180.0),
)
SHORT_SEC = 3.0
PASSING_SEC, PASSING_EVERY_SEC = 4.0, 12.0


@dataclass(frozen=True, slots=True)
class Edit:
    """Cuts or paints a prepared file; picklable. kind: a key of EDITS. until_sec: how much of the
    source is used, None = all."""

    source: Path
    kind: str
    until_sec: float | None = None

    def __call__(self, path: Path) -> None:
        fps = rate_of(self.source)
        count = None if self.until_sec is None else round(self.until_sec * fps)
        shown = EDITS[self.kind](list(frames(self.source))[:count], fps)
        record(shown, fps, path, Retake(self.kind))


def passers_by(pictures: Frames, fps: float) -> Iterator[Picture]:
    """A person walks behind the bench, seen from above at the upper edge, again and again."""
    width = pictures[0].shape[1]
    for index, picture in enumerate(pictures):
        share_gone = (index / fps % PASSING_EVERY_SEC) / PASSING_SEC
        painted = picture.copy()
        if share_gone < 1.0:
            x = round((share_gone * 1.3 - 0.15) * width)
            y = round(width * (0.035 + 0.008 * np.sin(2 * np.pi * 1.8 * index / fps)))
            broad, deep = round(width * 0.085), round(width * 0.04)
            cv2.ellipse(painted, (x, y), (deep, broad), 90, 0, 360, (96, 58, 44), -1, cv2.LINE_AA)
            cv2.circle(painted, (x, y), deep, (38, 44, 60), -1, cv2.LINE_AA)
        yield painted


EDITS: Mapping[str, Callable[[Frames, float], Frames | Iterator[Picture]]] = {
    "the procedure twice": lambda pictures, _: pictures * 2,
    "the start alone": lambda pictures, _: pictures,
    "one step three times": lambda pictures, _: pictures * 3,
    "people in the background": passers_by,
}


def run(session: Session) -> Report:
    """Unusual trainees against a usual gold, then unusual golds."""
    task = session.options.tasks[0]
    gold = generated.golds(task)[0]
    good = next(generated.trainees(task, 1, 0))
    work = session.options.work
    session.prepare([gold.footage(work), good.footage(work)])
    plain = generated.case(work, generated.Variant(1, True), [gold], [])
    trainees = list(_trainees(good.path(work)))
    golds = list(_golds(gold, gold.path(work)))
    session.prepare([*(footage for _, footage in trainees), *(footage for _, footage, _ in golds)])
    trials = tuple(Trial(name, name, "unusual", footage.path) for name, footage in trainees)
    usual = (Trial("a good film", "good", None, good.path(work)),)
    cases = [replace(plain, trials=(*usual, *trials))]
    cases += [Case(name, (footage.path,), steps, (), usual) for name, footage, steps in golds]
    beyond = replace(gold_steps(gold.film())[-1], span=TimeSpan(500.0, 510.0))
    cases.append(replace(plain, group="steps beyond the end", trials=usual, steps=(beyond,)))
    films = {"all": session.judge(cases)}
    twice = share(not o.is_passed for o in films["all"] if o.name == "the procedure twice")
    rows = (floor_row("unusual.twice", twice),)
    named = [
        (o.name if o.group == str(task) else f"{o.name} against {o.group}", o) for o in films["all"]
    ]
    table = verdict_table("Unusual films and golds", named)
    return Report("unusual", rows, (table,), {"task": task}, films=films)


def _trainees(good: Path) -> Iterator[tuple[str, Footage]]:
    for retake in RETAKES:
        yield retake.name, _footage(good, retake.name, Copy(good, retake), Role.TRAINEE)
    for kind in ("the procedure twice", "people in the background"):
        yield kind, _footage(good, kind, Edit(good, kind), Role.TRAINEE)


def _golds(
    gold: generated.Take, path: Path
) -> Iterator[tuple[str, Footage, tuple[Step, ...] | None]]:
    """Golds with the steps that are given with them."""
    short = _footage(path, "short", Edit(path, "the start alone", SHORT_SEC), Role.GOLD)
    yield "gold of 3 s", short, None
    first = gold_steps(gold.film())[0]
    if first.span is None:
        return
    length_sec = round(first.span.end_sec, 1)
    make = Edit(path, "one step three times", length_sec)
    spans = [TimeSpan(k * length_sec, (k + 1) * length_sec) for k in range(3)]
    steps = tuple(replace(first, index=k, span=span) for k, span in enumerate(spans))
    yield "gold of one step, three times", _footage(path, "thrice", make, Role.GOLD), steps


def _footage(source: Path, name: str, make: Copy | Edit, role: Role) -> Footage:
    shows = repr(make.retake if isinstance(make, Copy) else (make.kind, make.until_sec))
    key = hashlib.sha256(shows.encode()).hexdigest()[:8]
    plain = name.replace(" ", "-").replace(":", "")
    folder = source.parent / "unusual"
    return Footage(folder / f"{source.stem}-{plain}-{key}.mp4", role, make)
