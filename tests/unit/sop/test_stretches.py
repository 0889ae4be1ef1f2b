"""Where no step is marked, what is hardly shown or takes long is found wherever it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from compare_material import HOP_SEC, execution

from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.sop.compare import compare_with
from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.evidence import MOST_STEADY, REVIEW_STRENGTH, Evidence, step_slots
from sopilot.sop.execution import Execution
from sopilot.sop.judgement import judge
from sopilot.sop.learn import fit
from sopilot.sop.method import Method
from sopilot.sop.model import TaskModel, read
from sopilot.sop.stretches import (
    GONE_SHARE,
    LONG_CHUNKS,
    LONG_RATIO,
    SHORT_CHUNKS,
    SHORT_SHARE,
    hardly_shown,
    over_long,
)

STEPS, CHUNKS_PER_STEP = 6, 3
Change = Callable[[Execution], Execution]


def _busy(seed: int, versions: int = 0) -> VideoFeatures:
    """An execution in which no moment looks like the one two seconds later."""
    video = execution(range(STEPS), seed=seed, noise=0.0)
    count, width = video.blocks["crop"].shape
    dice = np.random.default_rng(0)  # the same work whoever does it
    looks = dice.normal(size=(count // 3 + 2, width))
    moments = np.arange(count) / 3
    share = (moments % 1)[:, None]
    clean = (1 - share) * looks[moments.astype(int)] + share * looks[moments.astype(int) + 1]
    names = ["crop", *(f"crop@{version}" for version in range(1, versions + 1))]
    noise = np.random.default_rng(seed).normal(size=(len(names), count, width))
    blocks = {name: clean + 0.25 * other for name, other in zip(names, noise, strict=True)}
    return replace(video, blocks=Blocks(blocks))


@pytest.fixture(scope="module")
def model() -> TaskModel:
    return fit([_busy(1, versions=2)], None)


@pytest.fixture(scope="module")
def good(model: TaskModel) -> Evidence:
    """A good execution, every chunk of which takes the gold's time and looks like it."""
    return _done(model, _busy(3))


def _done(model: TaskModel, video: VideoFeatures) -> Evidence:
    reading = read(model, video)
    judged = judge(model, video, reading)
    found = tuple(
        replace(slot, moving_sec=2.4, gold_moving_sec=2.4, similarity=slot.expected)
        for slot in judged.found
    )
    return Evidence(model, video, reading, found, (), step_slots(model, found))


def _changed(evidence: Evidence, units: Sequence[int], change: Change) -> Evidence:
    found = tuple(change(slot) if slot.unit in units else slot for slot in evidence.found)
    return replace(evidence, found=found)


def _lasting(share: float) -> Change:
    return lambda slot: replace(slot, moving_sec=share * slot.moving_sec)


def _looking(share: float) -> Change:
    return lambda slot: replace(slot, similarity=share * slot.similarity)


def _put_there(slot: Execution) -> Execution:
    return replace(slot, edit=0, moving_sec=0.01, similarity=0.0)


def _only(findings: Sequence[Finding]) -> Finding:
    assert len(findings) == 1
    return findings[0]


def _span_of(evidence: Evidence, units: Sequence[int]) -> TimeSpan:
    spans = [evidence.model.units[unit].span for unit in units]
    return TimeSpan(spans[0].start_sec, spans[-1].end_sec)


def test_good_work_is_neither(good: Evidence) -> None:
    assert len(good.found) == STEPS * CHUNKS_PER_STEP
    assert list(hardly_shown(good, set())) == []
    assert list(over_long(good, set())) == []


@pytest.mark.parametrize("first", range(STEPS * CHUNKS_PER_STEP - SHORT_CHUNKS + 1))
def test_what_has_no_time_is_missing_wherever_it_begins(good: Evidence, first: int) -> None:
    units = range(first, first + SHORT_CHUNKS)
    found = _only(list(hardly_shown(_changed(good, units, _lasting(0.2)), set())))
    assert found.type is EventType.MISSING_STEP
    assert found.alternative is EventType.STEP_DEVIATION
    assert (found.certainty, found.strength) == ("review", REVIEW_STRENGTH)
    assert found.evidence == pytest.approx(1 / 0.2)
    assert found.gold_span == _span_of(good, units)
    assert found.step_index == good.model.units[first + 1].step


def test_what_has_its_time_but_another_look_is_done_otherwise(good: Evidence) -> None:
    strengths = []
    for share in (0.47, 0.44, 0.41, 0.2):
        told = _only(list(hardly_shown(_changed(good, [6, 7, 8], _looking(share)), set())))
        assert told.type is EventType.STEP_DEVIATION
        assert told.alternative is EventType.MISSING_STEP
        assert told.certainty == "review"
        strengths.append(told.strength)
    assert strengths == sorted(strengths)
    assert strengths[-1] == 1.0


@pytest.mark.parametrize(
    ("share", "is_told"), [(SHORT_SHARE - 0.01, True), (SHORT_SHARE + 0.01, False)]
)
def test_the_share_that_is_hardly_shown(good: Evidence, share: float, is_told: bool) -> None:
    assert share > GONE_SHARE
    told = list(hardly_shown(_changed(good, [6, 7, 8], _lasting(share)), set()))
    assert [item.type for item in told] == [EventType.STEP_DEVIATION] * is_told


def test_one_short_chunk_says_nothing(good: Evidence) -> None:
    assert list(hardly_shown(_changed(good, [7], _lasting(0.0)), set())) == []


def test_what_is_told_otherwise_is_not_told_again(good: Evidence) -> None:
    short = _changed(good, [6, 7, 8], _lasting(0.2))
    long = _changed(good, [5, 6, 7, 8], _lasting(2.0))
    assert list(hardly_shown(short, {2})) == []
    assert list(over_long(long, {2})) == []
    assert list(hardly_shown(_changed(good, [6, 7, 8], _put_there), set())) == []


def test_where_the_picture_stands_still_nothing_is_missing(good: Evidence) -> None:
    short = _changed(good, [6, 7, 8], _lasting(0.2))
    span = next(slot.span for slot in good.found if slot.unit == 7)
    frozen = replace(short, trainee=replace(short.trainee, freezes=(span,)))
    assert list(hardly_shown(frozen, set())) == []


@pytest.mark.parametrize("share", [0.5, 2.0])
def test_a_person_who_works_slowly_or_fast_throughout_has_a_pace(
    good: Evidence, share: float
) -> None:
    paced = _changed(good, range(STEPS * CHUNKS_PER_STEP), _lasting(share))
    assert list(hardly_shown(paced, set())) == []
    assert list(over_long(paced, set())) == []


@pytest.mark.parametrize("first", range(STEPS * CHUNKS_PER_STEP - LONG_CHUNKS + 1))
def test_what_takes_long_is_told_wherever_it_begins(good: Evidence, first: int) -> None:
    units = range(first, first + LONG_CHUNKS)
    told = _only(list(over_long(_changed(good, units, _lasting(2.0)), set())))
    assert (told.type, told.detail, told.certainty) == (EventType.OVER_TIME, "dwell", "clear")
    assert told.evidence == pytest.approx(2.0)
    assert told.gold_span == _span_of(good, units)


@pytest.mark.parametrize(
    ("share", "is_told"), [(LONG_RATIO + 0.02, True), (LONG_RATIO - 0.02, False)]
)
def test_the_ratio_from_which_something_takes_long(
    good: Evidence, share: float, is_told: bool
) -> None:
    units = range(4, 4 + LONG_CHUNKS)
    assert bool(list(over_long(_changed(good, units, _lasting(share)), set()))) == is_told


def test_few_chunks_are_no_stretch(good: Evidence) -> None:
    few = replace(good, found=good.found[: SHORT_CHUNKS - 1])
    assert list(hardly_shown(few, set())) == list(over_long(few, set())) == []


def _slowed(video: VideoFeatures, first: int, stop: int) -> VideoFeatures:
    """The same with the clips [first, stop) taking three times as long."""
    clips = np.arange(video.clip_count)
    shown = np.repeat(clips, np.where((clips >= first) & (clips < stop), 3, 1))
    starts = HOP_SEC * np.arange(len(shown))
    return replace(
        video,
        clip_spans=np.stack([starts, starts + HOP_SEC], axis=1),
        blocks=Blocks({name: video.blocks[name][shown] for name in video.blocks}),
        energy=video.energy[shown],
        duration_sec=HOP_SEC * len(shown),
    )


def test_what_takes_long_at_the_end_of_one_step_and_the_beginning_of_the_next_is_found(
    model: TaskModel,
) -> None:
    boundary_sec = model.step_span(3).start_sec
    middle = round(boundary_sec / HOP_SEC)
    slow = _slowed(_busy(3), middle - 4, middle + 4)
    told = _only(compare_with(model, slow).findings)
    assert (told.type, told.detail) == (EventType.OVER_TIME, "dwell")
    about = TimeSpan(boundary_sec - 4 * HOP_SEC, boundary_sec + 4 * HOP_SEC)
    assert told.gold_span.overlap_sec(about) > 0.9 * about.duration_sec
    without = fit([_busy(1, versions=2)], None, Method(stretches=False))
    assert compare_with(without, slow).findings == ()


def test_where_one_motion_goes_on_lengths_say_nothing() -> None:
    steady = fit([execution(range(STEPS), versions=2)], None)
    levels = steady.golds[0].steadiness
    assert max(levels) > MOST_STEADY > max(fit([_busy(1)], None).golds[0].steadiness)
    done = _done(steady, execution(range(STEPS), seed=3))
    every = [unit for unit, level in enumerate(levels) if level > MOST_STEADY]
    assert len(every) > STEPS
    assert list(hardly_shown(_changed(done, every, _lasting(0.2)), set())) == []
    assert list(over_long(_changed(done, every, _lasting(3.0)), set())) == []
