"""What an operator should practise, from how often each step went wrong: ja and en. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from sopilot.core.records import Step
from sopilot.sop.comments import Wording, step_label
from sopilot.sop.tally import rate

IssueType = Literal["missing_step", "step_deviation", "order_swap", "over_time"]
Priority = Literal["critical", "quality", "efficiency"]

# Source: contract 5. In hundredths, so that a share on the border is compared exactly.
CRITICAL_FROM_HUNDREDTHS = 50
QUALITY_FROM_HUNDREDTHS = 25
TOLD_FROM_HUNDREDTHS = 15


@dataclass(frozen=True, slots=True)
class StepCounts:
    """How often a step appeared in scores and what became of it. sec_sum over timed_count."""

    step_index: int
    job_count: int
    miss_count: int
    deviation_count: int
    swap_count: int
    over_time_count: int
    any_issue_count: int
    sec_sum: float
    timed_count: int

    def issues(self) -> Mapping[IssueType, int]:
        """Scores with each issue, in the order of their weight."""
        return {
            "missing_step": self.miss_count,
            "step_deviation": self.deviation_count,
            "order_swap": self.swap_count,
            "over_time": self.over_time_count,
        }


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One step to practise. frequency: 0-1, count over the scores that have the step."""

    step_index: int
    issue_type: IssueType
    frequency: float
    count: int
    priority: Priority
    advice_ja: str
    advice_en: str


@dataclass(frozen=True, slots=True)
class Advice:
    """Recommendations, the most frequent issue first, and the judgement that they amount to."""

    total_deviations: int
    recommendations: tuple[Recommendation, ...]
    overall_assessment: str
    overall_assessment_en: str


_ADVICE: Mapping[IssueType, Wording] = MappingProxyType(
    {
        "missing_step": (
            "{step}が評価の{share}で実施されていません。チェックリストで抜けがないか確認してください。",
            "{step} was missing in {share} of the evaluations. Use a checklist so that it is not "
            "left out.",
        ),
        "step_deviation": (
            "{step}が評価の{share}で基準と異なります。基準映像で動作を見直し、練習してください。",
            "{step} differed from the reference in {share} of the evaluations. Watch it in the "
            "gold video and practise it.",
        ),
        "order_swap": (
            "{step}の順序が評価の{share}で基準と異なります。手順の順番を確認してください。",
            "{step} was done out of order in {share} of the evaluations. Go through the order of "
            "the steps.",
        ),
        "over_time": (
            "{step}が評価の{share}で基準より長くかかっています。作業の流れを見直してください。",
            "{step} took too long in {share} of the evaluations. Look for pauses and detours.",
        ),
    }
)

_ASSESSMENT: Mapping[str, Wording] = MappingProxyType(
    {
        "critical": ("要再研修", "retraining needed"),
        "quality": ("改善中", "improving"),
        "efficiency": ("良好", "good"),
        "none": ("良好", "good"),
        "no_data": ("データなし", "no data"),
    }
)


def advise(counts: Sequence[StepCounts], job_count: int, steps: Mapping[int, Step]) -> Advice:
    """Advice from the steps of an operator's scores.

    job_count: the scores looked at; 0 = nothing is known. steps: definitions by index, for names.
    """
    found = [
        _recommendation(one, issue, count, steps)
        for one in counts
        for issue, count in one.issues().items()
        if count * 100 >= TOLD_FROM_HUNDREDTHS * one.job_count
    ]
    found.sort(key=lambda item: (-item.frequency, item.step_index))
    priorities = {item.priority for item in found}
    ranks: tuple[Priority, ...] = ("critical", "quality", "efficiency")
    worst = next((rank for rank in ranks if rank in priorities), "none")
    wording = _ASSESSMENT[worst if job_count else "no_data"]
    total = sum(sum(one.issues().values()) for one in counts)
    return Advice(total, tuple(found), *wording)


def _recommendation(
    one: StepCounts, issue: IssueType, count: int, steps: Mapping[int, Step]
) -> Recommendation:
    share = f"{100 * count / one.job_count:.0f}%"
    japanese, english = _ADVICE[issue]
    return Recommendation(
        step_index=one.step_index,
        issue_type=issue,
        frequency=rate(count, one.job_count) or 0.0,
        count=count,
        priority=_priority(count, one.job_count),
        advice_ja=japanese.format(step=step_label(one.step_index, steps, "ja"), share=share),
        advice_en=english.format(step=step_label(one.step_index, steps, "en"), share=share),
    )


def _priority(count: int, job_count: int) -> Priority:
    if count * 100 >= CRITICAL_FROM_HUNDREDTHS * job_count:
        return "critical"
    return "quality" if count * 100 >= QUALITY_FROM_HUNDREDTHS * job_count else "efficiency"
