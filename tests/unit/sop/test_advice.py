"""Advice: which steps are told, how urgently, in which words."""

from __future__ import annotations

import pytest

from sopilot.core.records import Step
from sopilot.sop.advice import StepCounts, advise


def counts(index: int, total: int, **issues: int) -> StepCounts:
    given = {"miss_count": 0, "deviation_count": 0, "swap_count": 0, "over_time_count": 0}
    return StepCounts(
        step_index=index,
        job_count=total,
        **{**given, **issues},
        any_issue_count=max(issues.values(), default=0),
        sec_sum=0.0,
        timed_count=0,
    )


@pytest.mark.parametrize(
    ("count", "total", "priority"),
    [
        (2, 14, None),
        (3, 20, "efficiency"),  # exactly 0.15
        (2, 13, "efficiency"),
        (1, 4, "quality"),
        (49, 100, "quality"),
        (1, 2, "critical"),
    ],
)
@pytest.mark.parametrize(
    "issue", ["miss_count", "deviation_count", "swap_count", "over_time_count"]
)
def test_priority_by_frequency(issue: str, count: int, total: int, priority: str | None) -> None:
    found = advise([counts(0, total, **{issue: count})], total, {}).recommendations
    assert [item.priority for item in found] == ([] if priority is None else [priority])


@pytest.mark.parametrize(
    ("misses", "assessment"), [(5, "要再研修"), (3, "改善中"), (2, "良好"), (0, "良好")]
)
def test_the_worst_priority_is_the_assessment(misses: int, assessment: str) -> None:
    assert advise([counts(0, 10, miss_count=misses)], 10, {}).overall_assessment == assessment


def test_without_scores_there_is_no_data() -> None:
    found = advise([], 0, {})
    assert (found.overall_assessment, found.overall_assessment_en) == ("データなし", "no data")


def test_the_most_frequent_comes_first_and_all_are_counted() -> None:
    rows = [counts(0, 10, swap_count=3), counts(1, 10, miss_count=4, over_time_count=1)]
    found = advise(rows, 10, {})
    assert [(item.step_index, item.issue_type) for item in found.recommendations] == [
        (1, "missing_step"),
        (0, "order_swap"),
    ]
    assert found.total_deviations == 8


def test_the_words_name_the_step_and_its_share() -> None:
    steps = {1: Step(1, name_ja="部品取付", name_en="Part Assembly")}
    [item] = advise([counts(1, 3, over_time_count=2)], 3, steps).recommendations
    assert item.advice_ja.startswith("手順2（部品取付）が評価の67%で")
    assert item.advice_en.startswith("Step 2 (Part Assembly) took too long in 67% of")
