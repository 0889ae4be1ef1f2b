"""Figures from files: worked by hand, and files that do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sopilot.core.errors import InputError
from sopilot.evaluation.files import detection_figures, read_questions, retrieval_figures


def written(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def event(start: float, end: float, kind: str = "FALL", **more: Any) -> dict[str, Any]:
    return {"event_type": kind, "start_time": start, "end_time": end, **more}


def test_alarms_are_counted_against_the_hours_really_analysed(tmp_path: Path) -> None:
    """Two true events, one found; one alarm too many; 1 h of which half was not checked."""
    found = written(
        tmp_path / "a.json",
        {
            "video_sha256": "a",
            "duration_sec": 3600.0,
            "events": [event(10, 20, score=0.9), event(500, 510, score=0.6)],
            "not_checked": [{"span": [1800.0, 3600.0], "code": "MODEL_REPLY_INVALID"}],
        },
    )
    truth = written(tmp_path / "t.json", {"videos": {"a": [event(11, 20), event(90, 95)]}})
    figures = detection_figures([found], truth)
    assert figures["counts"] | {"precision": 0, "recall": 0} == {
        "matched": 1, "false_alarms": 1, "missed": 1, "precision": 0, "recall": 0, "f1": 0.5,
    }  # fmt: skip
    rate = figures["false_alarms_per_hour"]
    assert (rate["count"], rate["hours"], rate["per_hour"]) == (1, 0.5, 2.0)
    assert rate["interval"] == pytest.approx([2 * 0.0253, 2 * 5.572], abs=2e-3)
    assert figures["brier"] == pytest.approx((0.1**2 + 0.6**2) / 2)
    only_sure = detection_figures([found], truth, live_score=0.8)
    assert only_sure["counts"]["false_alarms"] == 0


def test_seconds_that_nobody_looked_at_count_once_and_within_the_video(tmp_path: Path) -> None:
    spans = [[0, 1800], [900, 1800], [3000, 9000]]
    record = {
        "video_sha256": "a", "duration_sec": 3600.0, "events": [event(2000, 2010)],
        "not_checked": [{"span": span, "code": "NOT_ASKED"} for span in spans],
    }  # fmt: skip
    truth = written(tmp_path / "t.json", {"videos": {"a": []}})
    rate = detection_figures([written(tmp_path / "a.json", record)], truth)["false_alarms_per_hour"]
    assert rate["hours"] == pytest.approx(1200 / 3600)
    record["not_checked"] = [{"span": [3600, 0], "code": "NOT_ASKED"}]
    with pytest.raises(InputError, match=r"b.json: not_checked.0.span: .*start and an end"):
        detection_figures([written(tmp_path / "b.json", record)], truth)


def test_questions_are_judged(tmp_path: Path) -> None:
    moment = {"video": "a", "start_sec": 5.0, "end_sec": 10.0}
    other = {"video": "a", "start_sec": 50.0, "end_sec": 60.0}
    path = written(
        tmp_path / "q.json",
        {
            "questions": [
                {"question": "first", "ranked": [moment, other], "truth": [moment]},
                {"question": "second", "ranked": [other, moment], "truth": [moment]},
                {"question": "never", "ranked": [other], "truth": [moment]},
            ]
        },
    )
    figures = retrieval_figures(read_questions(path))
    assert figures["hit_rate"]["1"]["ratio"] == pytest.approx(1 / 3)
    assert figures["hit_rate"]["5"]["ratio"] == pytest.approx(2 / 3)
    assert figures["mrr"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert figures["mean_average_precision"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert figures["missed_floors"] == []
    assert "abstention" not in figures


def test_answers_are_judged_and_floors_are_held_against_them(tmp_path: Path) -> None:
    """Two answerable, one answered; of its sentences one cites what is not so. Two unanswerable,
    one abstained; the other's sentence cannot be faithful."""
    true = {"video": "a", "start_sec": 5.0, "end_sec": 10.0}
    near = {"video": "a", "start_sec": 9.0, "end_sec": 12.0}
    other = {"video": "b", "start_sec": 5.0, "end_sec": 10.0}
    path = written(
        tmp_path / "q.json",
        {
            "questions": [
                {"ranked": [], "truth": [true], "sentences": [[near], [true, other]]},
                {"ranked": [], "truth": [true], "sentences": []},
                {"ranked": [], "truth": [], "sentences": []},
                {"ranked": [], "truth": [], "sentences": [[true]]},
            ],
            "floors": {
                "abstention": 0.5, "answer_rate": 0.6, "faithfulness": 0.3, "hit_rate": {"5": 0.1},
            },
        },
    )  # fmt: skip
    figures = retrieval_figures(read_questions(path))
    assert figures["abstention"]["ratio"] == 0.5
    assert figures["answer_rate"]["ratio"] == 0.5
    assert figures["faithfulness"]["ratio"] == pytest.approx(1 / 3)
    assert figures["missed_floors"] == [
        "hit_rate@5 is 0.0, at least 0.1 is demanded",
        "answer_rate is 0.5, at least 0.6 is demanded",
    ]


def test_a_floor_of_what_was_not_measured_is_missed(tmp_path: Path) -> None:
    question = {"ranked": [], "truth": []}
    path = written(tmp_path / "q.json", {"questions": [question], "floors": {"abstention": 0.1}})
    assert retrieval_figures(read_questions(path))["missed_floors"] == [
        "abstention is None, at least 0.1 is demanded"
    ]


def test_a_question_nobody_was_asked_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "q.json", {"questions": [{"question": "where?", "truth": []}]})
    with pytest.raises(InputError, match=r"question 0 .*--ask"):
        retrieval_figures(read_questions(path))


@pytest.mark.parametrize(
    ("found", "truth", "told"),
    [
        ({"video_sha256": "b", "duration_sec": 1, "events": []}, {"videos": {}}, "does not name"),
        ({"video_sha256": "a"}, {"videos": {"a": []}}, "duration_sec"),
        (
            {"video_sha256": "a", "duration_sec": 9, "events": [event(5, 4)]},
            {"videos": {"a": []}},
            "ends at 4.0 s before",
        ),
        ({"video_sha256": "a", "duration_sec": 1, "events": []}, {"video": {}}, "videos"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    tmp_path: Path, found: Any, truth: Any, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        detection_figures(
            [written(tmp_path / "f.json", found)], written(tmp_path / "t.json", truth)
        )
