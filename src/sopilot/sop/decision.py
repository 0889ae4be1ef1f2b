"""From score, thresholds and severities to the verdict. Pure; called by `sop.result`.

The rule of the band: a pass is `excellent` or `passing`, a review is `needs_review`, a retrain or
a fail is `poor`. So the band never says better than the decision (a failed execution with a high
score is poor, whatever its number).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sopilot.core.records import Step
from sopilot.sop.comparison import Finding
from sopilot.sop.profile import Severity, TaskProfile
from sopilot.sop.schemas import Decision, DecisionBasis, ScoreBand


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the thresholds and the severities make of a score."""

    decision: Decision
    basis: DecisionBasis
    reason: str
    band: ScoreBand


def severity_of(finding: Finding, profile: TaskProfile, steps: Mapping[int, Step]) -> Severity:
    """Severity by the task's policy; a quality deviation that touches a critical step is critical.

    Efficiency deviations stay what they are: taking long over a critical step is no danger (set
    the policy of over_time to quality where it is). A remark to review is never critical.
    steps: by index.
    """
    severity = _by_policy(finding, profile, steps)
    if severity is Severity.CRITICAL and finding.certainty == "review":
        return Severity.QUALITY
    return severity


def is_grave_remark(finding: Finding, profile: TaskProfile, steps: Mapping[int, Step]) -> bool:
    """Whether a remark to review would be critical if it were certain: somebody must look."""
    if finding.certainty != "review":
        return False
    return _by_policy(finding, profile, steps) is Severity.CRITICAL


def _by_policy(finding: Finding, profile: TaskProfile, steps: Mapping[int, Step]) -> Severity:
    severity = profile.severity_of(finding.type)
    touched = (
        steps.get(i) for i in (finding.step_index, finding.other_step_index) if i is not None
    )
    if severity is Severity.QUALITY and any(step.is_critical for step in touched if step):
        return Severity.CRITICAL
    return severity


def count_severities(severities: Iterable[Severity]) -> dict[Severity, int]:
    """How many deviations there are of each severity, all three named."""
    given: Sequence[Severity] = list(severities)
    return {severity: given.count(severity) for severity in Severity}


def excellent_from(pass_score: float) -> float:
    """Least score of the band excellent: min(1.2 x pass, halfway from pass to 100).

    72 at the default pass mark 60; the second form keeps the band reachable above 83.3.
    """
    return round(min(pass_score * 1.2, pass_score + 0.5 * (100.0 - pass_score)), 6)


def decide(
    score: float,
    profile: TaskProfile,
    critical_count: int,
    *,
    grave_remark_count: int = 0,
    is_comparable: bool = True,
) -> Verdict:
    """The verdict on a rounded score; both thresholds belong to the better side.

    grave_remark_count: see `is_grave_remark`. Source: docs/scoring.md 5.
    """
    high, low = profile.pass_score, profile.retrain_score
    if not is_comparable:
        reason = "the video does not show the gold's work as the gold shows it"
        return Verdict("needs_review", "not_comparable", reason, "needs_review")
    if critical_count > 0:
        reason = f"critical deviations: {critical_count}"
        return Verdict("fail", "critical_deviation", reason, "poor")
    if score < low:
        reason = f"score < retrain_score ({low})"
        return Verdict("retrain", "score_below_retrain", reason, "poor")
    if score < high:
        reason = f"retrain_score ({low}) <= score < pass_score ({high})"
        return Verdict("needs_review", "score_between_thresholds", reason, "needs_review")
    if grave_remark_count > 0:
        reason = f"remarks to review that would be critical: {grave_remark_count}"
        return Verdict("needs_review", "remark_to_review", reason, "needs_review")
    band: ScoreBand = "excellent" if score >= excellent_from(high) else "passing"
    return Verdict("pass", "score_above_threshold", f"score >= pass_score ({high})", band)


def verdict_on(
    score: float,
    findings: Sequence[Finding],
    profile: TaskProfile,
    steps: Mapping[int, Step],
    is_comparable: bool,
) -> Verdict:
    """`decide`, with the critical deviations and grave remarks counted. steps: by index."""
    severities = [severity_of(item, profile, steps) for item in findings]
    return decide(
        score,
        profile,
        severities.count(Severity.CRITICAL),
        grave_remark_count=sum(is_grave_remark(item, profile, steps) for item in findings),
        is_comparable=is_comparable,
    )
