"""What is worked on: a bench with a product, items in slots, and the steps. Drawn from a seed.

Lengths are in units: one unit is one pixel of a 320 x 180 picture, the origin its upper left
corner. Called by `film` and by whoever wants the names of the steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import cv2
import numpy as np

from sopilot.core.errors import InputError

Point = tuple[float, float]
Colour = tuple[float, float, float]
"""Blue, green, red, 0-255."""

WIDTH_UNITS, HEIGHT_UNITS = 320.0, 180.0
STEP_COUNTS = (5, 6, 7)
STEP_SEC = (6.0, 11.0)


class Verb(StrEnum):
    """What a hand does at a spot; each has its own motion and its own kind of item."""

    PLACE = "place"
    SCREW = "screw"
    WIPE = "wipe"
    PRESS = "press"
    HAMMER = "hammer"
    INSPECT = "inspect"
    SPRAY = "spray"


class Effect(StrEnum):
    """What a finished step leaves on the product."""

    NOTHING = "nothing"
    PART = "part"
    HEAD = "head"
    CLEAN = "clean"
    LAMP = "lamp"
    PIN = "pin"
    WET = "wet"


EFFECT_OF: dict[Verb, Effect] = {
    Verb.PLACE: Effect.PART,
    Verb.SCREW: Effect.HEAD,
    Verb.WIPE: Effect.CLEAN,
    Verb.PRESS: Effect.LAMP,
    Verb.HAMMER: Effect.PIN,
    Verb.INSPECT: Effect.NOTHING,
    Verb.SPRAY: Effect.WET,
}

WORDING: dict[Verb, tuple[str, str]] = {
    Verb.PLACE: ("{ja}を取り付ける", "Fit the {en}"),
    Verb.SCREW: ("{ja}のネジを締める", "Tighten the {en} screw"),
    Verb.WIPE: ("{ja}を拭く", "Wipe the {en}"),
    Verb.PRESS: ("{ja}を押し込む", "Press the {en} in"),
    Verb.HAMMER: ("{ja}のピンを打ち込む", "Hammer in the {en} pin"),
    Verb.INSPECT: ("{ja}を点検する", "Inspect the {en}"),
    Verb.SPRAY: ("{ja}に潤滑剤を吹き付ける", "Spray lubricant on the {en}"),
}

PARTS: tuple[tuple[str, str], ...] = (
    ("カバー", "cover"),
    ("コネクタ", "connector"),
    ("バルブ", "valve"),
    ("ブラケット", "bracket"),
    ("フィルター", "filter"),
    ("ガスケット", "gasket"),
    ("端子", "terminal"),
    ("センサー", "sensor"),
    ("ベアリング", "bearing"),
    ("シャフト", "shaft"),
)

_SPOT_PLACES: tuple[Point, ...] = ((124, 68), (161, 64), (197, 70), (137, 101), (184, 99))
_SLOT_PLACES: tuple[Point, ...] = ((31, 42), (31, 96), (289, 42), (289, 96), (108, 20), (212, 20))


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of work on the product."""

    name_ja: str
    name_en: str
    at: Point


@dataclass(frozen=True, slots=True)
class Slot:
    """A tray at the side with one tool, or with a few equal parts, in it."""

    at: Point
    made_for: Verb
    colour: Colour
    variant: int
    angle_rad: float


@dataclass(frozen=True, slots=True)
class WorkStep:
    """One step: take the item of a slot, work at a spot, put it back or leave an effect.

    rate_hz and reach_units are tempo and size of the verb's motion; support: where the other hand
    holds the product, None = it rests.
    """

    verb: Verb
    slot_index: int
    spot_index: int
    duration_sec: float
    rate_hz: float
    reach_units: float
    support: Point | None
    name_ja: str
    name_en: str

    @property
    def effect(self) -> Effect:
        """What this step leaves on the product."""
        return EFFECT_OF[self.verb]


@dataclass(frozen=True, slots=True)
class Procedure:
    """A task: everything that golds and trainees of it have in common."""

    seed: int
    bench: int
    product_colour: Colour
    spots: tuple[Spot, ...]
    slots: tuple[Slot, ...]
    steps: tuple[WorkStep, ...]


def make_procedure(
    seed: int, *, step_count: int | None = None, step_sec: tuple[float, float] = STEP_SEC
) -> Procedure:
    """The procedure that belongs to a seed; the same arguments give the same procedure.

    step_count: 5-7, None = drawn. step_sec: range of the steps' durations at normal tempo.
    Several steps share spot, tool or verb, so that no single colour or place tells them apart.
    Raises InputError for a step_count or step_sec outside its range.
    """
    if step_count is not None and step_count not in STEP_COUNTS:
        raise InputError(f"step_count is {step_count}; allowed are 5, 6 and 7, or None")
    if not 3.0 <= step_sec[0] <= step_sec[1] <= 60.0:
        raise InputError(f"step_sec is {step_sec}; give two ascending seconds within 3 to 60")
    rng = np.random.default_rng([seed, 11])
    spots = _spots(rng)
    count = step_count or int(rng.choice(STEP_COUNTS))
    verbs = _verbs(rng, count)
    slots, slot_of_step = _slots(rng, verbs)
    spot_of_step = _spot_order(rng, verbs)
    steps = tuple(
        _step(rng, verb, slot, spots, spot, step_sec)
        for verb, slot, spot in zip(verbs, slot_of_step, spot_of_step, strict=True)
    )
    hue, saturation = rng.uniform(0, 180), rng.uniform(8, 45)
    return Procedure(
        seed=seed,
        bench=int(rng.integers(0, 3)),
        product_colour=from_hsv(hue, saturation, rng.uniform(120, 185)),
        spots=spots,
        slots=slots,
        steps=steps,
    )


def from_hsv(hue: float, saturation: float, value: float) -> Colour:
    """BGR of an OpenCV hue (0-180, cyclic), saturation and value (0-255)."""
    pixel = np.array([[[hue % 180, saturation, value]]], np.uint8)
    blue, green, red = cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0]
    return float(blue), float(green), float(red)


def _spots(rng: np.random.Generator) -> tuple[Spot, ...]:
    names = rng.permutation(len(PARTS))[: len(_SPOT_PLACES)]
    return tuple(
        Spot(*PARTS[int(name)], at=(x + rng.uniform(-4, 4), y + rng.uniform(-3, 3)))
        for name, (x, y) in zip(names, _SPOT_PLACES, strict=True)
    )


def _verbs(rng: np.random.Generator, count: int) -> tuple[Verb, ...]:
    """A verb per step: four or five kinds, so that some return, but never twice running."""
    kinds = [list(Verb)[int(k)] for k in rng.permutation(len(Verb))[: int(rng.integers(4, 6))]]
    while True:
        chosen = [kinds[int(k)] for k in rng.integers(0, len(kinds), count)]
        slots_needed = len(set(chosen)) + max(0, chosen.count(Verb.PLACE) - 1)
        fits = 4 <= len(set(chosen)) and slots_needed <= len(_SLOT_PLACES)
        if fits and all(a != b for a, b in pairwise(chosen)):
            return tuple(chosen)


def _slots(rng: np.random.Generator, verbs: tuple[Verb, ...]) -> tuple[tuple[Slot, ...], list[int]]:
    """The items of the bench and the slot of each step: own parts, shared tools, spare items."""
    wanted: list[Verb] = []
    item_of_step: list[int] = []
    for verb in verbs:
        if verb is Verb.PLACE or verb not in wanted:
            wanted.append(verb)
            item_of_step.append(len(wanted) - 1)
        else:
            item_of_step.append(wanted.index(verb))
    while len(wanted) < len(_SLOT_PLACES):
        wanted.append(list(Verb)[int(rng.integers(0, len(Verb)))])
    places = rng.permutation(len(_SLOT_PLACES))
    hue = rng.uniform(0, 180)
    slots: dict[int, Slot] = {}
    for item, verb in enumerate(wanted):
        x, y = _SLOT_PLACES[int(places[item])]
        slots[int(places[item])] = Slot(
            at=(x + rng.uniform(-5, 5), y + rng.uniform(-4, 4)),
            made_for=verb,
            colour=from_hsv(hue + rng.uniform(-25, 25), rng.uniform(70, 150), rng.uniform(95, 205)),
            variant=int(rng.integers(0, 3)),
            angle_rad=float(rng.uniform(-0.5, 0.5)),
        )
    ordered = tuple(slots[place] for place in range(len(_SLOT_PLACES)))
    return ordered, [int(places[item]) for item in item_of_step]


def _spot_order(rng: np.random.Generator, verbs: tuple[Verb, ...]) -> tuple[int, ...]:
    """A spot per step such that no (verb, spot) pair returns: names stay unique."""
    while True:
        spots = tuple(int(k) for k in rng.integers(0, len(_SPOT_PLACES), len(verbs)))
        pairs = list(zip(verbs, spots, strict=True))
        placed = [spot for verb, spot in pairs if verb is Verb.PLACE]
        if len(set(pairs)) == len(pairs) and len(set(placed)) == len(placed):
            return spots


def _step(
    rng: np.random.Generator,
    verb: Verb,
    slot_index: int,
    spots: tuple[Spot, ...],
    spot_index: int,
    step_sec: tuple[float, float],
) -> WorkStep:
    spot = spots[spot_index]
    wording_ja, wording_en = WORDING[verb]
    support = (spot.at[0] - rng.uniform(32, 42), spot.at[1] + rng.uniform(6, 18))
    return WorkStep(
        verb=verb,
        slot_index=slot_index,
        spot_index=spot_index,
        duration_sec=float(rng.uniform(*step_sec)),
        rate_hz=float(rng.uniform(0.8, 1.6)),
        reach_units=float(rng.uniform(6, 10)),
        support=support if rng.random() < 0.5 else None,
        name_ja=wording_ja.format(ja=spot.name_ja),
        name_en=wording_en.format(en=spot.name_en),
    )
