"""A gold compared with itself is 100 without findings, whatever it is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from compare_material import HOP_SEC, STEP_SEC, execution, filmed, marked, spans_of
from hypothesis import given, settings
from hypothesis import strategies as st

from sopilot.core.errors import BadSteps, InsufficientClips
from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.embed.base import Blocks, VideoFeatures
from sopilot.sop.compare import compare, compare_with
from sopilot.sop.comparison import Comparison, EventType
from sopilot.sop.learn import fit
from sopilot.sop.score import total_score

GAP = 6
"""A look that no step of the material has: unnamed time."""


def _assert_clean(found: Comparison) -> None:
    assert found.findings == ()
    assert found.is_comparable
    assert total_score(found) >= 99.5


def _has_clip(features: VideoFeatures, step: Step) -> bool:
    assert step.span is not None
    centres = features.clip_spans.mean(axis=1)
    return bool(((centres >= step.span.start_sec) & (centres < step.span.end_sec)).any())


@st.composite
def golds(draw: st.DrawFn) -> tuple[VideoFeatures, tuple[Step, ...] | None]:
    """A gold of repeated, very short, frozen, quiet and unnamed slots, marked or not."""
    order = draw(st.lists(st.integers(0, 3), min_size=2, max_size=7))
    slots = range(len(order))
    factors = {k: draw(st.sampled_from([0.2, 0.35, 0.7, 1.0, 1.6])) for k in slots}
    spans = spans_of(order, factors)
    frozen = draw(st.sets(st.sampled_from(slots), max_size=2))
    features = execution(
        order,
        seed=draw(st.integers(0, 99)),
        slot_stretch=factors,
        versions=draw(st.integers(0, 2)),
        quiet=sorted(draw(st.sets(st.sampled_from(slots), max_size=2))),
    )
    for slot in frozen:
        share = draw(st.sampled_from([0.4, 0.7, 0.9]))
        length_sec = max(1.5, share * spans[slot].duration_sec)
        if features.clip_count * HOP_SEC < length_sec + 2 * STEP_SEC / 3:
            continue  # something must move
        features = filmed(
            features, TimeSpan(spans[slot].start_sec, spans[slot].start_sec + length_sec)
        )
    if not draw(st.booleans()):
        return features, None
    gaps = draw(st.sets(st.sampled_from(slots), max_size=len(order) - 1))
    named = [spans[k] for k in slots if k not in gaps and not np.isclose(spans[k].duration_sec, 0)]
    return features, tuple(Step(index=k, span=span) for k, span in enumerate(named))


@settings(max_examples=60, deadline=None)
@given(golds())
def test_a_gold_is_a_hundred_against_itself(
    case: tuple[VideoFeatures, tuple[Step, ...] | None],
) -> None:
    features, steps = case
    if steps and not all(_has_clip(features, step) for step in steps):
        with pytest.raises(BadSteps, match=r"step \d+ "):
            fit([features], steps)
    else:
        _assert_clean(compare([features], features, steps))


@settings(max_examples=8, deadline=None)
@given(st.integers(100, 199))
def test_every_gold_of_a_task_is_a_hundred(seed: int) -> None:
    first = execution([0, 1, 2, 3], seed=1, versions=1)
    second = execution([0, 1, 2, 3], seed=seed, quiet=[2], slot_stretch={1: 1.7})
    model = fit([first, second], marked(4))
    for gold in (first, second):
        _assert_clean(compare_with(model, gold))


@pytest.mark.parametrize(
    "order", [[0, 0, 0, 0], [1, 0, 1, 1, 1, 0], [0, 1, 0, 1, 0, 1], [2, 2, 1, 2, 2]]
)
@pytest.mark.parametrize("named", [True, False])
def test_recurring_steps_cost_the_gold_nothing(order: list[int], named: bool) -> None:
    gold = execution(order, versions=2)
    found = compare([gold], gold, marked(len(order)) if named else None)
    _assert_clean(found)
    assert total_score(found) == pytest.approx(100.0)


@pytest.mark.parametrize("lead", [1.2, 1.5, 2.0])
def test_very_short_marked_step_is_no_deviation(lead: float) -> None:
    gold = execution(range(5), versions=2)
    cuts = [0.0, 7.2, 7.2 + lead, 14.4, 21.6, gold.duration_sec]
    steps = [Step(k, span=TimeSpan(a, b)) for k, (a, b) in enumerate(pairwise(cuts))]
    model = fit([gold], steps)
    _assert_clean(compare_with(model, gold))
    for seed in (3, 4, 5, 6):
        found = compare_with(model, execution(range(5), seed=seed))
        assert EventType.STEP_DEVIATION not in {f.type for f in found.findings}


def test_quiet_stretch_of_the_gold_excuses_as_much_and_no_more() -> None:
    gold = execution(range(12), versions=2, quiet=[1])
    model = fit([gold], marked(12))
    _assert_clean(compare_with(model, gold))
    same = execution(range(12), seed=3, quiet=[1])
    assert compare_with(model, same).findings == ()
    longer = execution(range(12), seed=3, quiet=[1], stretch={1: 2.2})
    elsewhere = execution(range(12), seed=3, quiet=[1, 3])
    for trainee, step in ((longer, 1), (elsewhere, 3)):
        found = compare_with(model, trainee).findings
        assert [(f.type, f.step_index) for f in found] == [(EventType.OVER_TIME, step)]


def test_pause_that_one_of_the_golds_makes_is_allowed() -> None:
    golds_ = [execution(range(12), versions=1), execution(range(12), seed=2, quiet=[4])]
    assert compare(golds_, execution(range(12), seed=3, quiet=[4]), marked(12)).findings == ()


def test_step_that_the_gold_stands_still_in_is_not_missing() -> None:
    moving = execution(range(5), versions=2)
    gold = filmed(moving, TimeSpan(14.5, 21.0))
    model = fit([gold], marked(5))
    _assert_clean(compare_with(model, gold))
    assert EventType.OVER_TIME not in {f.type for f in compare_with(model, moving).findings}


def test_freeze_excuses_only_the_same_step() -> None:
    gold = execution(range(5), versions=2, freezes=[TimeSpan(1.0, 6.0)])
    model = fit([gold], marked(5))
    other = execution(range(5), seed=3, freezes=[TimeSpan(22.0, 28.0)])
    told = [(f.type, f.step_index) for f in compare_with(model, other).findings]
    assert (EventType.FREEZE, 3) in told
    same = execution(range(5), seed=3, freezes=[TimeSpan(1.0, 6.5)])
    assert EventType.FREEZE not in {f.type for f in compare_with(model, same).findings}


@pytest.mark.parametrize(
    ("spans", "reason"),
    [
        ([(0, 7), (7.5, 7.6), (8, 30)], r"step 2 .*shorter than the distance of two clips"),
        ([(0, 7), (16, 20), (21, 30)], r"step 2 .*stands still"),
        ([(0, 7), (8, 20), (40, 45)], r"step 3 .*beyond the end"),
        ([(0, 7), (10, 13), (15, 15.1)], r"step 3 .*stands still"),
    ],
)
def test_step_that_cannot_be_learned_is_refused_by_name(
    spans: list[tuple[float, float]], reason: str
) -> None:
    gold = filmed(execution(range(5)), TimeSpan(14.4, 21.0))
    steps = [Step(index=k, span=TimeSpan(*span)) for k, span in enumerate(spans)]
    with pytest.raises(BadSteps, match=reason):
        fit([gold], steps)


def test_unnamed_time_in_which_the_gold_stands_still_is_no_unit() -> None:
    gold = filmed(execution(range(5), versions=1), TimeSpan(14.4, 21.6))
    steps = [s for s in marked(5) if s.index != 2]
    model = fit([gold], steps)
    assert all(unit.step is not None for unit in model.units)
    _assert_clean(compare_with(model, gold))


@pytest.mark.parametrize("steps", [marked(4), None])
def test_gold_without_change_is_refused(steps: tuple[Step, ...] | None) -> None:
    gold = execution(range(4))
    still = replace(gold, blocks=Blocks({"crop": np.full((gold.clip_count, 9), 0.3)}))
    with pytest.raises(InsufficientClips, match="shows no change"):
        fit([still], steps)


def test_trainee_that_no_view_trusts_is_still_compared() -> None:
    def renamed(video: VideoFeatures) -> VideoFeatures:
        crop = video.blocks["crop"]
        return replace(video, blocks=Blocks({"one": crop, "two": crop[:, ::-1]}))

    model = fit([renamed(execution(range(4)))], marked(4))
    found = compare_with(model, renamed(execution(range(4), seed=5, task=9)))
    assert np.isfinite(total_score(found))
    assert total_score(found) < 60.0


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([0, 1, 3, GAP, 4, 5], set()),
        ([0, 1, 5, 3, 4, 5], {(EventType.REPEATED_STEP, 5)}),
        ([0, 1, GAP, 3, GAP, 4, 5], {(EventType.EXTRA_ACTION, None)}),
        ([0, 1, GAP, GAP, 4, 5], {(EventType.STEP_DEVIATION, 3)}),
        ([0, 1, 3, 4, 5], set()),
        ([0, 1, GAP, 3, 4, 5], set()),
    ],
)
def test_where_unnamed_time_lies_is_no_difference_but_what_stands_there_is(
    order: list[int], expected: set[tuple[EventType, int | None]]
) -> None:
    gold = execution([0, 1, GAP, 3, 4, 5], versions=2)
    steps = tuple(
        replace(step, index=number)
        for number, step in enumerate(s for s in marked(6) if s.index != 2)
    )
    # Step indices are shifted by the missing one: 3 is step 2 of the list, and so on.
    found = compare([gold], execution(order, seed=7), steps)
    told = {(f.type, f.step_index) for f in found.findings}
    place = {None: None, 0: 0, 1: 1, 3: 2, 4: 3, 5: 4}
    assert told == {(kind, place[step]) for kind, step in expected}
    assert (total_score(found) > 95.0) == (not expected)


@pytest.mark.parametrize(
    ("stretch", "is_quiet", "expected"),
    [
        (1.0, False, {EventType.EXTRA_ACTION}),
        (0.6, False, {EventType.EXTRA_ACTION}),
        (0.35, False, set()),
        (1.4, True, {EventType.OVER_TIME}),
        (0.6, True, set()),
    ],
)
def test_unnamed_time_shown_again_counts_where_it_is_long_and_no_rest(
    stretch: float, is_quiet: bool, expected: set[EventType]
) -> None:
    gold = execution([0, 1, GAP, 3, 4, 5], versions=2, quiet=(2,) if is_quiet else ())
    steps = tuple(
        replace(step, index=number)
        for number, step in enumerate(s for s in marked(6) if s.index != 2)
    )
    again = execution(
        [0, 1, GAP, 3, GAP, 4, 5],
        seed=7,
        slot_stretch={4: stretch},
        quiet=(2, 4) if is_quiet else (),
    )
    assert {f.type for f in compare([gold], again, steps).findings} == expected


def test_limit_counts_time_that_stands_still() -> None:
    gold = execution(range(5), versions=2)
    steps = [replace(s, max_duration_sec=8.0 if s.index == 2 else None) for s in marked(5)]
    clean = execution(range(5), seed=8, stretch={2: 1.4})
    trainee = replace(clean, freezes=(TimeSpan(17.0, 20.0),))
    found = compare([gold], trainee, steps)
    span = found.trainee_steps[2]
    assert span is not None
    assert span.duration_sec > 8.0
    assert EventType.OVER_TIME in {f.type for f in found.findings}


def test_material_is_what_it_says() -> None:
    gold = filmed(execution(range(3)), TimeSpan(7.2, 12.0))
    centres = gold.clip_spans.mean(axis=1)
    assert not ((centres > 7.2) & (centres < 12.0)).any()
    assert gold.duration_sec == pytest.approx(3 * STEP_SEC)
    assert np.diff(centres).max() < 4.8 + 2 * HOP_SEC
