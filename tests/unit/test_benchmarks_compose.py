"""The hand-wash composer: cuts show what their truth says. No footage needed."""

import json
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.verdicts.compose import (
    UNIT_SEC,
    Clip,
    Cut,
    Library,
    clean_steps,
    gold_cut,
    marked_steps,
    suite,
)
from sopilot.core.records import StepKind

STEPS = [1, 2, 4, 5, 7, 8, 9]


@pytest.fixture(scope="module")
def library() -> Library:
    return {
        (execution, step): Clip(execution, step, Path("none"), 40 + step)
        for execution in ("002", "003")
        for step in STEPS
    }


@pytest.fixture(scope="module")
def cuts(library: Library) -> list[Cut]:
    return suite(library, "003", STEPS, seed=0)


def shown(cut: Cut) -> list[int]:
    """The steps whose clips are seen, in order."""
    order: list[int] = []
    for span in cut.scenes:
        order.append(cut.units[round(span.start_sec / UNIT_SEC)].step)
    return order


def test_the_suite_has_the_counts_of_the_protocol(cuts: list[Cut]) -> None:
    counts = Counter(cut.defect for cut in cuts)
    assert counts[None] == 8
    assert (counts["missing"], counts["swap_near"], counts["swap_far"]) == (7, 6, 6)
    assert (counts["wrong"], counts["repeat"], counts["over_time"]) == (7, 5, 6)
    assert (counts["freeze"], counts["cut_tail"], counts["skip_start"]) == (6, 3, 3)
    assert len({cut.name for cut in cuts}) == len(cuts)


def test_equal_seeds_compose_equal_cuts(library: Library, cuts: list[Cut]) -> None:
    assert suite(library, "003", STEPS, seed=0) == cuts
    assert suite(library, "003", STEPS, seed=1) != cuts


def test_scenes_cover_the_cut_without_gap(cuts: list[Cut]) -> None:
    for cut in cuts:
        ends = [span.end_sec for span in cut.scenes]
        assert [span.start_sec for span in cut.scenes] == [0.0, *ends[:-1]]
        assert ends[-1] == pytest.approx(len(cut.units) * UNIT_SEC)


def test_every_defect_shows_what_its_truth_says(cuts: list[Cut]) -> None:
    for cut in cuts:
        order, lost = shown(cut), {e.step_index for e in cut.truth if e.type == "missing_step"}
        if cut.defect is None:
            assert order == STEPS
        if cut.defect in ("missing", "cut_tail", "skip_start"):
            assert order == [step for k, step in enumerate(STEPS) if k not in lost]
        if cut.defect in ("swap_near", "swap_far"):
            (event,) = cut.truth
            assert event.step_index is not None
            assert event.other_step_index is not None
            assert order[event.step_index] == STEPS[event.other_step_index]
            assert order[event.other_step_index] == STEPS[event.step_index]
        if cut.defect == "repeat":
            assert len(order) == len(STEPS) + 1
        if cut.defect == "wrong":
            changed = [k for k, step in enumerate(order) if step != STEPS[k]]
            assert changed == [cut.truth[0].step_index]


def test_a_freeze_lies_where_units_stand(cuts: list[Cut]) -> None:
    for cut in (cut for cut in cuts if cut.defect == "freeze"):
        span = cut.truth[0].trainee_span
        frozen = [k * UNIT_SEC for k, unit in enumerate(cut.units) if unit.is_frozen]
        assert span.start_sec == pytest.approx(frozen[0])
        assert span.duration_sec == pytest.approx(6.0, abs=UNIT_SEC)


def test_units_stay_inside_their_clips(library: Library, cuts: list[Cut]) -> None:
    for cut in cuts:
        for unit in cut.units:
            assert 0 <= unit.index < library[cut.execution, unit.step].unit_count


def test_a_gold_is_the_whole_clips_with_their_joints(library: Library) -> None:
    cut = gold_cut(library, "002", STEPS)
    steps = marked_steps(cut)
    assert len(cut.units) == sum(library["002", step].unit_count for step in STEPS)
    assert [step.index for step in steps] == list(range(len(STEPS)))
    assert {step.kind for step in steps} == {StepKind.CYCLIC}


@pytest.mark.parametrize(("ratio", "gone"), [(0.05, False), (0.06, True)])
def test_shared_footage_is_left_out_in_both_directions(
    library: Library, tmp_path: Path, ratio: float, gone: bool
) -> None:
    row = {"execution": "003", "step": 4, "also_in": "002", "share": ratio}
    (tmp_path / "duplicates.json").write_text(json.dumps([row]))
    for one, other in (("002", "003"), ("003", "002")):
        assert (4 in clean_steps(library, tmp_path, [one], other)) is not gone


def test_fused_golds_keep_the_steps_that_are_clean_for_each(
    library: Library, tmp_path: Path
) -> None:
    library = library | {("004", s): Clip("004", s, Path("none"), 40) for s in STEPS[1:]}
    row = {"execution": "003", "step": 4, "also_in": "002", "share": 0.5}
    (tmp_path / "duplicates.json").write_text(json.dumps([row]))
    assert clean_steps(library, tmp_path, ["003", "004"], "002") == [2, 5, 7, 8, 9]
    assert clean_steps(library, tmp_path, ["004"], "002") == STEPS[1:]
