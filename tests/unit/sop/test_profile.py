import pytest

from sopilot.core.errors import Conflict, InputError
from sopilot.sop.comparison import EventType
from sopilot.sop.profile import (
    Severity,
    TaskProfile,
    Weights,
    new_profile,
    parse_weights,
    profile_columns,
    profile_from_row,
    update_profile,
)

PROFILE = TaskProfile(task_id="t", task_name="Task")


def test_the_default_policy_names_every_type_as_the_architecture_does() -> None:
    shown = {str(kind): str(PROFILE.severity_of(kind)) for kind in EventType}
    assert shown == {
        "missing_step": "critical",
        "order_swap": "quality",
        "step_deviation": "quality",
        "repeated_step": "quality",
        "extra_action": "efficiency",
        "over_time": "efficiency",
        "freeze": "critical",
    }


def test_an_update_changes_what_is_given_and_raises_the_version() -> None:
    changed = update_profile(
        PROFILE,
        {
            "pass_score": 90,
            "retrain_score": 80.5,
            "task_name": None,
            "default_weights": {"w_time": 0.2},
            "deviation_policy": {"over_time": "quality"},
        },
    )
    assert (changed.pass_score, changed.retrain_score, changed.version) == (90.0, 80.5, 2)
    assert changed.task_name == "Task"
    assert changed.weights == Weights(w_time=0.2)
    assert changed.severity_of(EventType.OVER_TIME) is Severity.QUALITY
    assert changed.severity_of(EventType.FREEZE) is Severity.CRITICAL


def test_an_update_without_a_change_keeps_the_version() -> None:
    assert update_profile(PROFILE, {"pass_score": 60, "task_name": None}) is PROFILE


def test_retrain_above_pass_is_refused_with_both_values() -> None:
    with pytest.raises(Conflict, match=r"retrain_score \(70\.0\).*pass_score \(60\.0\)"):
        update_profile(PROFILE, {"retrain_score": 70})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pass_mark": 1}, "unknown profile field 'pass_mark'"),
        ({"default_weights": {"w_miss": 1e308}}, "w_miss is 1e"),
        ({"pass_score": 10**400}, "pass_score is 1000"),
        ({"pass_score": float("nan")}, "pass_score is nan"),
        ({"task_name": "\ud800"}, "plain characters"),
        ({"task_name": "a\x00b"}, "plain characters"),
        ({"pass_score": 101}, "pass_score is 101; give a number from 0 to 100"),
        ({"pass_score": "high"}, "pass_score is 'high'"),
        ({"pass_score": True}, "pass_score is True"),
        ({"retrain_score": float("nan")}, "retrain_score is nan"),
        ({"task_name": "  "}, "task_name is"),
        ({"default_weights": {"w_new": 1}}, "unknown weight 'w_new'"),
        ({"default_weights": {"w_miss": -0.1}}, "w_miss is -0.1; give a number from 0 to 1000"),
        ({"default_weights": [1]}, "default_weights is"),
        ({"deviation_policy": {"typo": "quality"}}, "unknown deviation type 'typo'"),
        ({"deviation_policy": {"freeze": "grave"}}, "severity of freeze is 'grave'"),
    ],
)
def test_a_bad_update_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        update_profile(PROFILE, changes)


def test_weights_keep_their_proportions_when_normalised() -> None:
    assert Weights(4, 2, 2, 0).normalised() == Weights(0.5, 0.25, 0.25, 0.0)
    assert Weights().normalised() == Weights()


def test_weights_that_are_all_zero_are_refused() -> None:
    with pytest.raises(InputError, match="all weights are 0"):
        parse_weights({"w_miss": 0, "w_swap": 0, "w_dev": 0, "w_time": 0})


def test_a_profile_survives_its_row() -> None:
    profile = update_profile(
        new_profile("t", "Task", 80, 70), {"deviation_policy": {"freeze": "quality"}}
    )
    assert profile_from_row(profile_columns(profile)) == profile


def test_a_new_profile_is_version_one_and_checked() -> None:
    assert new_profile("t", "Task", 60, 50).version == 1
    with pytest.raises(Conflict):
        new_profile("t", "Task", 50, 60)
