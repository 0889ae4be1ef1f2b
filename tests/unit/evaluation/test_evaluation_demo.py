"""The demo: its films, and truth held against results."""

import pickle
from typing import Any

import pytest

from sopilot.core.records import Role
from sopilot.evaluation.demo import PlannedFilm, demo_suite, film_planned, truth_row
from sopilot.evaluation.generated.execution import Defect


def planned(name: str) -> PlannedFilm:
    return next(item for item in demo_suite() if item.name == name)


def result(score: float, decision: str, *deviations: dict[str, Any]) -> dict[str, Any]:
    summary = {"decision": decision, "pass_score": 60.0, "retrain_score": 50.0}
    return {"score": score, "summary": summary, "deviations": list(deviations)}


def test_the_suite_has_one_gold_three_good_and_every_defect() -> None:
    suite = demo_suite()
    assert [item.role for item in suite].count(Role.GOLD) == 1
    trainees = [item for item in suite if item.role is Role.TRAINEE]
    assert len(trainees) >= 11
    assert [item.defect for item in trainees].count(None) == 3
    assert {
        Defect.MISSING,
        Defect.SWAP,
        Defect.WRONG_VERB,
        Defect.REPEAT,
        Defect.OVER_TIME,
        Defect.FREEZE,
        Defect.CUT_TAIL,
        Defect.SKIP_START,
        Defect.WRONG_TASK,
    } <= {item.defect for item in trainees}
    assert len({item.name for item in suite}) == len(suite)


def test_a_plan_survives_a_process_border() -> None:
    plan = planned("missing-step")
    assert film_planned(pickle.loads(pickle.dumps(plan))).truth == film_planned(plan).truth


@pytest.mark.parametrize("name", [item.name for item in demo_suite()])
def test_films_are_about_forty_seconds(name: str) -> None:
    assert 15 < film_planned(planned(name)).duration_sec < 75


def test_a_found_defect_agrees_and_an_overlooked_one_does_not() -> None:
    plan = planned("missing-step")
    (event,) = film_planned(plan).truth
    record = {"type": "missing_step", "step_index": event.step_index, "severity": "critical"}
    row = truth_row(plan, result(45.0, "fail", record))
    assert row.agrees
    assert f"step {event.step_index + 1}" in row.truth
    assert "missing" in row.finding
    overlooked = truth_row(plan, result(97.0, "pass"))
    assert not overlooked.agrees
    assert overlooked.finding == "nothing"


@pytest.mark.parametrize(
    ("name", "score", "decision", "agrees"),
    [
        ("good-1", 96.0, "pass", True),
        ("good-1", 55.0, "needs_review", False),
        ("wrong-task", 12.0, "fail", True),
        ("wrong-task", 52.0, "needs_review", False),
        ("freeze", 96.0, "pass", False),
    ],
)
def test_agreement_without_findings(name: str, score: float, decision: str, agrees: bool) -> None:
    assert truth_row(planned(name), result(score, decision)).agrees is agrees


def test_findings_besides_the_true_ones_are_counted() -> None:
    plan = planned("missing-step")
    (event,) = film_planned(plan).truth
    true = {"type": "missing_step", "step_index": event.step_index, "severity": "critical"}
    false = {"type": "over_time", "step_index": event.step_index, "severity": "efficiency"}
    assert truth_row(plan, result(45.0, "fail", true)).extra_count == 0
    assert truth_row(plan, result(40.0, "fail", true, false)).extra_count == 1
    assert truth_row(planned("good-1"), result(80.0, "pass", false)).extra_count == 1
