"""Suite `recordings`: good work at rates, paces and from cameras that the golds were not filmed
with, and the answer that each gets.

The table is what docs/scoring.md 10 states of them. A trainee who works well is recorded again:
another person on the bench and at hand washing, of the filter swap the gold itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.verdicts import generated
from benchmarks.verdicts.copies import Copy, copy_of
from benchmarks.verdicts.films import Footage
from benchmarks.verdicts.handwash import Composing, open_wash
from benchmarks.verdicts.judging import Case, Trial
from benchmarks.verdicts.report import Report, verdict_table
from benchmarks.verdicts.retake import Retake
from benchmarks.verdicts.session import Session
from benchmarks.verdicts.standards import Standard, standards
from sopilot.core.records import Role

RECORDINGS: tuple[Retake, ...] = (
    Retake("as it is"),
    *(Retake(f"{rate} per second", fps=float(rate)) for rate in (4, 6, 8, 60)),
    Retake("twice as fast", speed=2.0),
    Retake("half as fast", speed=0.5),
    Retake("moved by a tenth", shift=(0.1, 0.0)),
    Retake("moved by a fifth", shift=(0.2, 0.0)),
    Retake("turned 10 deg", rotation_deg=10.0),
    Retake("1.3 x nearer", zoom=1.3),
    Retake("1.4 x farther", zoom=1 / 1.4),
    Retake("in the hand", shake=0.05),
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A gold, and a trainee's film that shows good work."""

    gold: Standard
    trainee: Footage


def run(session: Session) -> Report:
    """Every recording of every scene, steps marked and unmarked."""
    scenes = list(_scenes(session))
    session.prepare(
        [footage for scene in scenes for footage in (scene.gold.footage, scene.trainee)]
    )
    copies = {
        scene.gold.name: {
            retake.name: copy_of(
                session, scene.gold.name, retake.name, Copy(scene.trainee.path, retake)
            )
            for retake in RECORDINGS
        }
        for scene in scenes
    }
    session.prepare([footage for own in copies.values() for footage in own.values()])
    films = {
        f"{scene.gold.name}, {name}": session.judge(
            [
                Case(
                    group=scene.gold.name,
                    golds=(scene.gold.footage.path,),
                    steps=scene.gold.steps if has_steps else None,
                    true_spans=tuple(s.span for s in scene.gold.steps if s.span is not None),
                    trials=tuple(
                        Trial(retake, retake, None, footage.path)
                        for retake, footage in copies[scene.gold.name].items()
                    ),
                )
            ]
        )
        for scene in scenes
        for name, has_steps in (("steps", True), ("no steps", False))
    }
    named = [(f"{name}: {o.name}", o) for name, outcomes in films.items() for o in outcomes]
    table = verdict_table("Good work recorded otherwise", named)
    return Report("recordings", (), (table,), films=films)


def _scenes(session: Session) -> Iterator[Scene]:
    work = session.options.work
    known = {item.name.partition("-")[0]: item for item in reversed(standards(session))}
    if "maintenance" in known:
        gold = known["maintenance"]
        trainee = Footage(gold.footage.path, Role.TRAINEE, gold.footage.make)
        yield Scene(gold, trainee)
    good = next(generated.trainees(session.options.tasks[0], 1, 0))
    yield Scene(known["generated"], good.footage(work))
    wash = open_wash(session)
    if wash is not None:
        pair = wash.pairs()[0]
        cut = next(cut for cut in pair.cuts if cut.defect is None)
        trainee = Footage(wash.path(cut), Role.TRAINEE, Composing(cut, wash.library))
        yield Scene(known["handwash"], trainee)
