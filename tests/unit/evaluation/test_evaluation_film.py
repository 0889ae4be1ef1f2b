"""The generator: same seed same bytes, and the truth is what is drawn."""

import hashlib
from itertools import combinations, islice, pairwise
from pathlib import Path

import numpy as np
import pytest

from sopilot.core.errors import InputError
from sopilot.core.records import Limits, StepKind
from sopilot.evaluation.generated.execution import Defect
from sopilot.evaluation.generated.film import GOLD_LEVEL, Film, film, gold_steps, write_film
from sopilot.evaluation.generated.motion import STROKES
from sopilot.evaluation.generated.procedure import Procedure, Verb, make_procedure
from sopilot.media.probe import probe
from sopilot.sop.comparison import EventType

EVENT_OF = {
    Defect.SWAP: EventType.ORDER_SWAP,
    Defect.REPEAT: EventType.REPEATED_STEP,
    Defect.WRONG_VERB: EventType.STEP_DEVIATION,
    Defect.WRONG_TOOL: EventType.STEP_DEVIATION,
    Defect.WRONG_TARGET: EventType.STEP_DEVIATION,
    Defect.OVER_TIME: EventType.OVER_TIME,
}


@pytest.fixture(scope="module")
def short() -> Procedure:
    return make_procedure(3, step_count=5, step_sec=(3.0, 3.5))


def digest(filmed: Film) -> str:
    sha = hashlib.sha256()
    for picture in islice(filmed, 45):
        sha.update(picture.tobytes())
    return sha.hexdigest()


def pictures(filmed: Film, first: int, count: int) -> list[np.ndarray]:
    return list(islice(filmed, first, first + count))


def test_same_seed_gives_the_same_frames_and_another_does_not(short: Procedure) -> None:
    first = digest(film(short, 5))
    assert first == digest(film(make_procedure(3, step_count=5, step_sec=(3.0, 3.5)), 5))
    assert first != digest(film(short, 6))


def test_another_nuisance_seed_re_records_the_same_execution(short: Procedure) -> None:
    one, other = film(short, 5, nuisance_seed=1), film(short, 5, nuisance_seed=2)
    assert one.segments == other.segments
    assert one.recording != other.recording
    assert not np.array_equal(next(iter(one)), next(iter(other)))


def test_frames_have_the_size_and_count_that_the_film_states(short: Procedure) -> None:
    filmed = film(short, 1, Defect.CUT_TAIL, size_px=640, rate_fps=5.0)
    shapes = [picture.shape for picture in filmed]
    assert set(shapes) == {(360, 640, 3)}
    assert len(shapes) == filmed.frame_count
    assert filmed.duration_sec == pytest.approx(filmed.frame_count / 5.0)


def test_every_verb_has_a_motion_of_its_own() -> None:
    ways = {}
    for verb in Verb:
        strokes = [STROKES[verb](2 * np.pi * t, t / 4, 8.0) for t in np.arange(0, 4, 0.1)]
        ways[verb] = np.array([(stroke.x, stroke.y) for stroke in strokes])
    for one, other in combinations(Verb, 2):
        assert np.abs(ways[one] - ways[other]).max() > 2.0, (one, other)


@pytest.mark.parametrize("seed", range(12))
def test_step_names_are_unique_and_in_both_languages(seed: int) -> None:
    steps = make_procedure(seed).steps
    assert 5 <= len(steps) <= 7
    assert len({step.name_ja for step in steps}) == len({step.name_en for step in steps})
    assert len({step.name_en for step in steps}) == len(steps)
    assert all(a.verb is not b.verb for a, b in pairwise(steps))


def test_gold_steps_adjoin_and_lie_inside_the_film(short: Procedure) -> None:
    gold = film(short, 0, nuisance_level=GOLD_LEVEL)
    steps = gold_steps(gold)
    spans = [step.span for step in steps if step.span is not None]
    assert [step.index for step in steps] == [0, 1, 2, 3, 4]
    assert {step.kind for step in steps} == {StepKind.STAGED}
    assert all(a.end_sec == b.start_sec for a, b in pairwise(spans))
    assert 0 <= spans[0].start_sec
    assert spans[-1].end_sec <= gold.duration_sec
    assert [step.name_ja for step in steps] == [step.name_ja for step in short.steps]


def test_gold_steps_of_a_defective_film_are_refused(short: Procedure) -> None:
    with pytest.raises(InputError, match="every step once"):
        gold_steps(film(short, 0, Defect.SWAP))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("defect", "event"), EVENT_OF.items())
def test_truth_lies_where_the_defect_is_performed(
    short: Procedure, defect: Defect, event: EventType, seed: int
) -> None:
    filmed = film(short, seed, defect)
    (true,) = filmed.truth
    meant = {true.step_index, true.other_step_index} - {None}
    inside = {s.step_index for s in filmed.segments if s.span.iou(true.trainee_span) > 0}
    assert true.type is event
    assert meant <= inside
    assert 0 <= true.trainee_span.start_sec < true.trainee_span.end_sec <= filmed.duration_sec


@pytest.mark.parametrize("seed", range(6))
def test_a_defect_leaves_the_other_steps_as_they_were(short: Procedure, seed: int) -> None:
    order = [s.step_index for s in film(short, seed).segments]
    assert order == [0, 1, 2, 3, 4]
    missing = film(short, seed, Defect.MISSING)
    gone = {event.step_index for event in missing.truth}
    assert [s.step_index for s in missing.segments] == [k for k in order if k not in gone]
    assert len({e.step_index for e in film(short, seed, Defect.MISSING_TWO).truth}) == 2
    swapped = [s.step_index for s in film(short, seed, Defect.SWAP).segments]
    assert sorted(swapped) == order
    assert swapped != order
    repeated = film(short, seed, Defect.REPEAT)
    assert sorted(set(s.step_index for s in repeated.segments)) == order
    assert [s.step_index for s in repeated.segments if s.is_extra] == [repeated.truth[0].step_index]


@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_action_changes_verb_tool_or_target_of_one_step(
    short: Procedure, seed: int
) -> None:
    for defect, field in (
        (Defect.WRONG_VERB, "verb"),
        (Defect.WRONG_TOOL, "slot_index"),
        (Defect.WRONG_TARGET, "spot_index"),
    ):
        filmed = film(short, seed, defect)
        changed = [
            act.step_index
            for act in filmed.execution.acts
            if getattr(act.step, field) != getattr(short.steps[act.step_index], field)
        ]
        assert changed == [filmed.truth[0].step_index]


def test_over_time_stretches_its_step_at_least_twice(short: Procedure) -> None:
    good, slow = (
        film(short, 2, nuisance_level=0),
        film(short, 2, Defect.OVER_TIME, nuisance_level=0),
    )
    index = slow.truth[0].step_index
    assert index is not None
    ratio = slow.segments[index].span.duration_sec / good.segments[index].span.duration_sec
    assert 2.2 <= ratio <= 3.0


@pytest.mark.parametrize("seed", range(6))
def test_an_idle_operator_rests_between_two_steps(short: Procedure, seed: int) -> None:
    good, idle = film(short, seed), film(short, seed, Defect.IDLE)
    (true,) = idle.truth
    index, other = true.step_index, true.other_step_index
    assert index is not None
    assert (true.type, true.detail, other) == (EventType.OVER_TIME, "idle", index - 1)
    assert [s.step_index for s in idle.segments] == [0, 1, 2, 3, 4]
    assert true.trainee_span.start_sec == idle.segments[index - 1].span.end_sec
    assert true.trainee_span.end_sec == idle.segments[index].span.start_sec
    assert true.trainee_span.duration_sec >= 9.0
    for one, same in zip(good.segments, idle.segments, strict=True):
        assert same.span.duration_sec == pytest.approx(one.span.duration_sec)


def test_the_picture_stands_still_exactly_during_the_true_freeze(short: Procedure) -> None:
    filmed = film(short, 4, Defect.FREEZE)
    span = filmed.truth[0].trainee_span
    first, last = round(span.start_sec * 10), round(span.end_sec * 10)
    shown = pictures(filmed, first - 2, last - first + 6)
    still = [np.array_equal(a, b) for a, b in pairwise(shown)]
    assert all(still[2 : 2 + last - first - 1])
    assert not any(still[:2])
    assert not any(still[-2:])
    assert 4.0 <= span.duration_sec <= 7.0


def test_freeze_only_is_one_picture(short: Procedure) -> None:
    filmed = film(short, 4, Defect.FREEZE_ONLY)
    shown = list(filmed)
    assert all(np.array_equal(shown[0], picture) for picture in shown[1:])
    assert filmed.truth[0].trainee_span.end_sec == filmed.duration_sec


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("defect", "detail"), [("cut_tail", "tail"), ("skip_start", "start")])
def test_a_cut_film_lacks_steps_at_its_end_or_start(
    short: Procedure, seed: int, defect: str, detail: str
) -> None:
    whole, cut = film(short, seed), film(short, seed, Defect(defect))
    lost = [event.step_index for event in cut.truth]
    assert lost
    assert lost == ([*range(5)][-len(lost) :] if detail == "tail" else [*range(len(lost))])
    assert {event.detail for event in cut.truth} == {detail}
    assert cut.duration_sec < 0.8 * whole.duration_sec
    assert all(
        0 <= s.span.start_sec <= s.span.end_sec <= cut.duration_sec + 1e-9 for s in cut.segments
    )


def test_a_wrong_task_shows_another_procedure(short: Procedure) -> None:
    filmed = film(short, 1, Defect.WRONG_TASK)
    assert filmed.procedure.seed != short.seed
    assert [s.name_en for s in filmed.procedure.steps] != [s.name_en for s in short.steps]


def test_no_nuisance_is_a_bare_recording(short: Procedure) -> None:
    recording = film(short, 1, nuisance_level=0).recording
    assert recording.gain == (1.0, 1.0, 1.0)
    assert (recording.rotation_deg, recording.zoom, recording.shake_units) == (0.0, 1.0, 0.0)
    assert recording.clutter_count == 0


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: film(p, 1, nuisance_level=3.0), "nuisance_level is 3.0"),
        (lambda p: film(p, 1, rate_fps=2.0), "rate_fps is 2.0"),
        (lambda _: make_procedure(1, step_count=9), "step_count is 9"),
        (lambda _: make_procedure(1, step_sec=(9.0, 2.0)), "step_sec is"),
    ],
)
def test_settings_out_of_range_are_refused(short: Procedure, call: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        call(short)  # type: ignore[operator]


def test_a_written_film_has_its_duration_and_the_same_bytes_again(
    short: Procedure, tmp_path: Path
) -> None:
    filmed = film(short, 1, Defect.CUT_TAIL, rate_fps=5.0)
    write_film(filmed, tmp_path / "a.mp4")
    write_film(filmed, tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    info = probe(tmp_path / "a.mp4", Limits(10**8, 600.0, 1.0))
    assert (info.width_px, info.height_px) == (320, 180)
    assert info.duration_sec == pytest.approx(filmed.duration_sec, abs=0.25)
