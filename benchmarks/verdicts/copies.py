"""Suites `harmless` and `hopeless`: copies of golds that show the same work, and recordings that do
not show it at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.verdicts import generated
from benchmarks.verdicts.films import Footage
from benchmarks.verdicts.judging import Case, Trial
from benchmarks.verdicts.report import Report, Table, floor_row, number
from benchmarks.verdicts.retake import Picture, Retake, frames, rate_of, record
from benchmarks.verdicts.session import Session
from benchmarks.verdicts.standards import Standard, given_file, standards
from sopilot.core.rates import share
from sopilot.core.records import Role
from sopilot.evaluation.figures import Outcome

LEAST_SCORE = 90.0
CHUNK_COUNT = 8
OTHER_TASK_COUNT = 3
FOREIGN = ("bottle-detection.mp4", "car-detection.mp4", "one-by-one-person-detection.mp4")

HARMLESS: tuple[Retake, ...] = (
    Retake("re-encoded crf 18", crf=18),
    Retake("re-encoded crf 34", crf=34),
    Retake("15 % brighter", gain=(1.15, 1.15, 1.15)),
    Retake("15 % darker", gain=(0.85, 0.85, 0.85)),
    Retake("warm white balance", gain=(0.88, 1.0, 1.12)),
    *(Retake(f"{rate} fps", fps=float(rate)) for rate in (8, 10, 12, 15, 25, 30, 60)),
    Retake("half size", size=(0.5, 0.5)),
    Retake("double size", size=(2.0, 2.0)),
    Retake("5 % crop", zoom=1 / 0.95),
    Retake("1 % shake", shake=0.01),
    Retake("2 deg rotation", rotation_deg=2.0),
    Retake("-2 deg rotation", rotation_deg=-2.0),
    Retake("10 % shift right", shift=(0.1, 0.0)),
    Retake("10 % shift down", shift=(0.0, 0.1)),
    Retake("20 % slower", speed=0.8),
    Retake("20 % faster", speed=1.2),
    Retake("sensor noise", noise_sd=6.0, crf=18),
    Retake("3 s lead-in", lead_in_sec=3.0, crf=18),
)

Frames = list[Picture]


@dataclass(frozen=True, slots=True)
class Copy:
    """Records a prepared file another time; picklable."""

    source: Path
    retake: Retake

    def __call__(self, path: Path) -> None:
        record(frames(self.source), rate_of(self.source), path, self.retake)


@dataclass(frozen=True, slots=True)
class Abuse:
    """Makes a hopeless recording of a prepared file; picklable. kind: a key of ABUSES."""

    source: Path
    kind: str

    def __call__(self, path: Path) -> None:
        shown = ABUSES[self.kind](list(frames(self.source)))
        # A high quality, so that the codec does not smooth noise into a still picture.
        record(shown, rate_of(self.source), path, Retake(self.kind, crf=18))


def shuffled(pictures: Frames) -> Frames:
    """The film in CHUNK_COUNT pieces in another order, no two of them neighbours as before."""
    rng = np.random.default_rng(3)
    edges = np.linspace(0, len(pictures), CHUNK_COUNT + 1).astype(int)
    while True:
        order = rng.permutation(CHUNK_COUNT)
        if not (np.diff(order) == 1).any():
            break
    return [pictures[k] for part in order for k in range(edges[part], edges[part + 1])]


def noise(pictures: Frames) -> Iterator[Picture]:
    """Every pixel drawn anew."""
    rng = np.random.default_rng(7)
    for picture in pictures:
        yield rng.integers(0, 256, picture.shape, dtype=np.uint8)


def noisy_still(pictures: Frames) -> Iterator[Picture]:
    """One picture as a real sensor shows it: no two frames are equal."""
    rng = np.random.default_rng(9)
    for _ in pictures:
        grain = np.rint(rng.normal(0, 5.0, pictures[0].shape))
        yield np.clip(pictures[len(pictures) // 3] + grain, 0, 255).astype(np.uint8)


ABUSES: Mapping[str, Callable[[Frames], Sequence[Picture] | Iterator[Picture]]] = {
    "reversed": lambda pictures: pictures[::-1],
    "shuffled": shuffled,
    "static": lambda pictures: [pictures[len(pictures) // 3]] * len(pictures),
    "static with noise": noisy_still,
    "noise": noise,
    "black": lambda pictures: [np.zeros_like(picture) for picture in pictures],
}


def run_harmless(session: Session) -> Report:
    """Every harmless copy of every gold: 90 points and a pass."""
    listed = standards(session)
    session.prepare([item.footage for item in listed])
    copies = {
        item.name: [
            (retake.name, copy_of(session, item.name, retake.name, Copy(item.footage.path, retake)))
            for retake in HARMLESS
        ]
        for item in listed
    }
    return _run(
        session, "harmless", listed, copies, lambda o: o.is_passed and o.score >= LEAST_SCORE
    )


def run_hopeless(session: Session) -> Report:
    """Recordings that do not show the work: none may pass."""
    listed = standards(session)
    session.prepare([item.footage for item in listed])
    copies = {
        item.name: [
            *(
                (kind, copy_of(session, item.name, kind, Abuse(item.footage.path, kind)))
                for kind in ABUSES
            ),
            *_foreign(session, item),
        ]
        for item in listed
    }
    return _run(session, "hopeless", listed, copies, lambda o: not o.is_passed)


def _foreign(session: Session, own: Standard) -> Iterator[tuple[str, Footage]]:
    """Other procedures and other places."""
    for task in session.options.tasks[:1]:
        for take in generated.other_task(task, OTHER_TASK_COUNT):
            yield f"other task {take.name[-1]}", take.footage(session.options.work)
    for name in FOREIGN:
        path = session.options.data / "footage" / name
        if path.exists():
            yield path.stem, given_file(session, path)
    for item in standards(session):
        if item.name != own.name:
            gold = item.footage
            yield f"gold of {item.name}", Footage(gold.path, Role.TRAINEE, gold.make)


def copy_of(session: Session, scene: str, name: str, make: Copy | Abuse) -> Footage:
    """The copy's place: named by what it shows of which film."""
    source = make.source
    folder = session.options.work / "copies" / f"{scene}-{source.parent.name}-{source.stem}"
    shows = repr(make.retake if isinstance(make, Copy) else make.kind)
    plain = name.replace(" ", "-").replace("%", "pc")
    key = hashlib.sha256(shows.encode()).hexdigest()[:8]
    return Footage(folder / f"{plain}-{key}.mp4", Role.TRAINEE, make)


def _run(
    session: Session,
    suite: str,
    listed: Sequence[Standard],
    copies: Mapping[str, Sequence[tuple[str, Footage]]],
    is_right: Callable[[Outcome], bool],
) -> Report:
    session.prepare([footage for own in copies.values() for _, footage in own])
    films: dict[str, list[Outcome]] = {}
    for name, has_steps in (("steps", True), ("no steps", False)):
        films[name] = session.judge(
            [_case(suite, item, copies[item.name], has_steps) for item in listed]
        )
    rows = [
        floor_row(f"{suite}.{name}", share(is_right(o) for o in outcomes))
        for name, outcomes in films.items()
    ]
    settings = {"golds": [item.name for item in listed]}
    return Report(suite, tuple(rows), (_table(suite, films, is_right),), settings, films=films)


def _case(
    suite: str, item: Standard, copies: Sequence[tuple[str, Footage]], has_steps: bool
) -> Case:
    return Case(
        group=item.name,
        golds=(item.footage.path,),
        steps=item.steps if has_steps else None,
        true_spans=tuple(step.span for step in item.steps if step.span is not None),
        trials=tuple(
            Trial(f"{item.name}/{name}", item.name, None if suite == "harmless" else suite,
                  footage.path)
            for name, footage in copies
        ),
    )  # fmt: skip


def _table(
    title: str, films: Mapping[str, Sequence[Outcome]], is_right: Callable[[Outcome], bool]
) -> Table:
    """Copies down, golds across, with and without steps; a wrong verdict is marked."""
    cells: dict[str, dict[str, str]] = {}
    for variant, outcomes in films.items():
        for o in outcomes:
            column = f"{o.group}, {variant}"
            mark = "" if is_right(o) else "!"
            name = o.name.partition("/")[2]
            cells.setdefault(name, {})[column] = f"{mark}{number(o.score, 1)} {o.decision}"
    columns = list(dict.fromkeys(column for row in cells.values() for column in row))
    lines = [(name, *(row.get(column, "") for column in columns)) for name, row in cells.items()]
    return Table(title, (("", *columns), *lines))
