"""A filmed execution: frames on demand, and the exact truth about it.

film() plans (fast); the frames are drawn while they are iterated, one pass, nothing kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from sopilot.core.errors import InputError
from sopilot.core.records import Step, StepKind
from sopilot.core.timespan import TimeSpan
from sopilot.evaluation.generated.bench import add_clutter, add_items, paint_bench
from sopilot.evaluation.generated.canvas import MARGIN_UNITS, Canvas, cast_shadow, new_mask
from sopilot.evaluation.generated.execution import Defect, Execution, Segment, plan_execution
from sopilot.evaluation.generated.hands import draw_arm, draw_hand
from sopilot.evaluation.generated.items import draw_effect, draw_item, draw_mist
from sopilot.evaluation.generated.motion import (
    ELBOW_LEFT,
    ELBOW_RIGHT,
    Pose,
    poses,
    smooth_noise,
)
from sopilot.evaluation.generated.nuisance import (
    Operator,
    Recording,
    draw_operator,
    draw_recording,
)
from sopilot.evaluation.generated.procedure import (
    HEIGHT_UNITS,
    WIDTH_UNITS,
    Procedure,
    make_procedure,
)
from sopilot.evaluation.truth import TrueEvent
from sopilot.media.encode import VideoWriter

Picture = NDArray[np.uint8]

GOLD_LEVEL = 0.35
"""Nuisance level of a careful gold (docs/scoring.md 7)."""
_DRAWN_PX_PER_UNIT = 2.0
_SHADOW_PX_PER_UNIT = 0.5
_NOISE_FIELDS = 6


@dataclass(frozen=True, slots=True)
class Film:
    """One recording of one execution. Times are film seconds; frame k is shown at k / rate_fps."""

    procedure: Procedure
    defect: Defect | None
    rate_fps: float
    size_px: tuple[int, int]
    duration_sec: float
    segments: tuple[Segment, ...]
    truth: tuple[TrueEvent, ...]
    operator: Operator
    recording: Recording
    execution: Execution

    @property
    def frame_count(self) -> int:
        """Frames that iteration yields."""
        return len(self.execution.clock)

    def __iter__(self) -> Iterator[Picture]:
        """Draw (height, width, 3) uint8 bgr frames; a frozen picture is the same array again."""
        drawing = _Drawing(self)
        last_index, picture = -1, None
        for film_index, work_index in enumerate(self.execution.clock):
            if picture is None or work_index != last_index:
                picture = drawing.frame(int(work_index), film_index)
            last_index = int(work_index)
            yield picture


def film(
    procedure: Procedure,
    seed: int,
    defect: Defect | None = None,
    *,
    nuisance_level: float = 1.0,
    nuisance_seed: int | None = None,
    rate_fps: float = 10.0,
    size_px: Literal[320, 640] = 320,
) -> Film:
    """Plan a film of the procedure; equal arguments give equal frames.

    seed: the execution (person, pace, what goes wrong where). nuisance_seed: the recording (light,
    camera, clothes), None = drawn from seed; another one re-records the same execution.
    nuisance_level: 1 = a trainee, GOLD_LEVEL = a gold, 0 = none. size_px: width; height is 9/16.
    Raises InputError for a level outside 0-2 or a rate outside 5-60.
    """
    if not 0 <= nuisance_level <= 2:
        raise InputError(f"nuisance_level is {nuisance_level}; give 0 (none) to 2 (twice)")
    if not 5 <= rate_fps <= 60:
        raise InputError(f"rate_fps is {rate_fps}; give 5 to 60 frames per second")
    shown, inner = procedure, defect
    if defect is Defect.WRONG_TASK:
        shown, inner = make_procedure(procedure.seed + 7919, step_count=_count(procedure)), None
    rng = np.random.default_rng([shown.seed, seed, 21])
    operator = draw_operator(rng, nuisance_level)
    execution = plan_execution(shown, operator, rng, inner, rate_fps)
    recording_seed = seed if nuisance_seed is None else nuisance_seed
    recording = draw_recording(
        np.random.default_rng([procedure.seed, recording_seed, 22]), nuisance_level
    )
    wrong_task = defect is Defect.WRONG_TASK
    return Film(
        procedure=shown,
        defect=defect,
        rate_fps=rate_fps,
        size_px=(size_px, size_px * 9 // 16),
        duration_sec=len(execution.clock) / rate_fps,
        segments=() if wrong_task else execution.segments,
        truth=execution.truth,
        operator=operator,
        recording=recording,
        execution=execution,
    )


def gold_steps(gold: Film) -> tuple[Step, ...]:
    """The steps with names and bounds in a good film; a pause is split between its neighbours.

    All are staged: reach, carry, work, put back.

    Raises InputError when the film does not show every step once, in order.
    """
    order = [segment.step_index for segment in gold.segments]
    if order != list(range(len(gold.procedure.steps))):
        raise InputError(f"a gold shows every step once, in order; this film shows {order}")
    spans = [segment.span for segment in gold.segments]
    cuts = [0.5 * (a.end_sec + b.start_sec) for a, b in pairwise(spans)]
    bounds = [spans[0].start_sec, *cuts, spans[-1].end_sec]
    return tuple(
        Step(
            index=index,
            name_ja=step.name_ja,
            name_en=step.name_en,
            span=TimeSpan(round(bounds[index], 3), round(bounds[index + 1], 3)),
            kind=StepKind.STAGED,
        )
        for index, step in enumerate(gold.procedure.steps)
    )


def write_film(filmed: Film, path: Path, crf: int | None = None) -> None:
    """Encode as H.264, equal films to equal bytes; crf None = the recording's own (22-33)."""
    quality = filmed.recording.crf if crf is None else crf
    rate = filmed.rate_fps
    with VideoWriter(path, filmed.size_px, fps=rate, crf=quality) as writer:
        for picture in filmed:
            writer.write(picture)


def _count(procedure: Procedure) -> int:
    return len(procedure.steps)


class _Drawing:
    """What is drawn once per film: poses, bench, camera way, light curve, noise fields."""

    def __init__(self, filmed: Film) -> None:
        self._film = filmed
        seed = filmed.recording.seed
        rng = np.random.default_rng([seed, 31])
        self._poses = poses(
            filmed.procedure, filmed.execution, filmed.operator, rng, filmed.rate_fps
        )
        self._bench = paint_bench(filmed.procedure, _DRAWN_PX_PER_UNIT)
        add_clutter(self._bench, _DRAWN_PX_PER_UNIT, filmed.recording.clutter_count, seed)
        count = len(self._poses)
        self._shake = smooth_noise(rng, count, filmed.recording.shake_units, 0.5 * filmed.rate_fps)
        self._noise = _noise_fields(rng, filmed.size_px, filmed.recording.noise_sd)
        self._pick = rng.integers(0, 1 << 16, (filmed.frame_count, 3))
        self._still_key: tuple[object, ...] | None = None
        self._still = self._bench

    def frame(self, work_index: int, film_index: int) -> Picture:
        """Draw one frame as the camera gives it."""
        pose = self._poses[work_index]
        scene = self._still_scene(pose).copy()
        self._draw_moving(scene, pose)
        seen = cv2.warpAffine(
            scene,
            self._camera(work_index),
            self._film.size_px,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        lit = cv2.LUT(seen, self._light(film_index))
        field, row, column = (int(v) for v in self._pick[film_index])
        width, height = self._film.size_px
        noise = self._noise[field % _NOISE_FIELDS]
        top, left = row % (noise.shape[0] - height + 1), column % (noise.shape[1] - width + 1)
        window = noise[top : top + height, left : left + width]
        picture: Picture = cv2.add(lit, window, dtype=cv2.CV_8U).astype(np.uint8, copy=False)
        return picture

    def _still_scene(self, pose: Pose) -> Picture:
        """Bench with what lies on it now; drawn again only when something was moved."""
        key = (pose.held_slot, pose.taken, len(pose.done))
        if key != self._still_key:
            self._still_key = key
            self._still = self._bench.copy()
            procedure = self._film.procedure
            add_items(self._still, procedure, _DRAWN_PX_PER_UNIT, pose.taken, pose.held_slot)
            canvas = Canvas(self._still, _DRAWN_PX_PER_UNIT)
            for act in pose.done:
                slot = procedure.slots[act.step.slot_index]
                draw_effect(canvas, act.step.effect, slot, act.at)
        return self._still

    def _draw_moving(self, scene: Picture, pose: Pose) -> None:
        shadow = new_mask(_SHADOW_PX_PER_UNIT, (5.0, 7.0))
        self._draw_arms(shadow, pose)
        cast_shadow(scene, shadow, 4.0, 0.42)
        self._draw_arms(Canvas(scene, _DRAWN_PX_PER_UNIT), pose)

    def _draw_arms(self, canvas: Canvas, pose: Pose) -> None:
        recording = self._film.recording
        size = recording.hand_size
        turn = draw_arm(canvas, ELBOW_LEFT, pose.left, recording.sleeve, size)
        draw_hand(
            canvas, pose.left, turn, skin=recording.skin, size=size,
            curl=pose.left_curl, flex=0.3 * pose.flex, thumb_side=1,
        )  # fmt: skip
        turn = draw_arm(canvas, ELBOW_RIGHT, pose.right, recording.sleeve, size)
        if pose.held_slot is not None:
            slot = self._film.procedure.slots[pose.held_slot]
            draw_item(canvas, slot, pose.right, turn + pose.turn_rad)
            if pose.mist > 0 and not canvas.is_mask:
                draw_mist(canvas, pose.right, turn + pose.turn_rad, pose.mist * abs(pose.flex))
        draw_hand(
            canvas, pose.right, turn, skin=recording.skin, size=size,
            curl=pose.right_curl, flex=pose.flex, thumb_side=-1,
        )  # fmt: skip

    def _camera(self, work_index: int) -> NDArray[np.float64]:
        """(2, 3) map from canvas pixels to picture pixels."""
        recording, scale = self._film.recording, self._film.size_px[0] / WIDTH_UNITS
        centre = (MARGIN_UNITS + WIDTH_UNITS / 2, MARGIN_UNITS + HEIGHT_UNITS / 2)
        unit_centre = (centre[0] * _DRAWN_PX_PER_UNIT, centre[1] * _DRAWN_PX_PER_UNIT)
        zoom = recording.zoom * scale / _DRAWN_PX_PER_UNIT
        camera: NDArray[np.float64] = cv2.getRotationMatrix2D(
            unit_centre, recording.rotation_deg, zoom
        ).astype(np.float64)
        middle = np.array([WIDTH_UNITS, HEIGHT_UNITS]) / 2 * scale
        moved = (np.array(recording.shift_units) + self._shake[work_index]) * scale
        camera[:, 2] += middle - unit_centre + moved
        return camera

    def _light(self, film_index: int) -> NDArray[np.uint8]:
        """(1, 256, 3) curve: gain per channel with its slow drift, then gamma."""
        recording = self._film.recording
        swing = np.sin(2 * np.pi * film_index / self._film.frame_count)
        gain = np.array(recording.gain) * (1 + recording.light_drift * swing)
        level = np.clip(np.arange(256)[:, None] / 255 * gain, 0, 1)
        curve: NDArray[np.uint8] = np.round(255 * level**recording.gamma).astype(np.uint8)
        return curve[None]


def _noise_fields(
    rng: np.random.Generator, size_px: tuple[int, int], noise_sd: float
) -> list[NDArray[np.int16]]:
    """A few fields of sensor noise, larger than the picture: every frame takes another window."""
    width, height = size_px
    shape = (height + 24, width + 24)
    fields = []
    for _ in range(_NOISE_FIELDS):
        common = rng.normal(0, noise_sd, (*shape, 1))
        own = rng.normal(0, 0.5 * noise_sd, (*shape, 3))
        fields.append(np.round(common + own).astype(np.int16))
    return fields
