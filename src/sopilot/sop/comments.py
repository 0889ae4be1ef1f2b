"""Wording of a result, Japanese and English: steps, deviations, severities, the summary line.

Pure. Called by `sop.result`. Source of the wording: quickstart section 3.4, which the templates
reproduce; steps count from 1 for people and carry their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan, timecode
from sopilot.sop.comparison import EventType, Finding
from sopilot.sop.profile import Severity
from sopilot.sop.schemas import Decision, DecisionBasis

Language = Literal["ja", "en"]
Wording = tuple[str, str]
"""(Japanese, English)."""

SEVERITY_LABEL: Mapping[Severity, Wording] = MappingProxyType(
    {
        Severity.CRITICAL: ("重大", "Critical"),
        Severity.QUALITY: ("品質", "Quality"),
        Severity.EFFICIENCY: ("効率", "Efficiency"),
    }
)

SEVERITY_DESCRIPTION: Mapping[Severity, Wording] = MappingProxyType(
    {
        Severity.CRITICAL: (
            "安全または品質に重大な影響を及ぼす逸脱です。直ちに是正が必要です。",
            "Critical deviation affecting safety or quality. Immediate correction required.",
        ),
        Severity.QUALITY: (
            "品質に影響する可能性がある逸脱です。改善を推奨します。",
            "Quality-impacting deviation. Improvement recommended.",
        ),
        Severity.EFFICIENCY: (
            "作業効率に影響する逸脱です。時間短縮の余地があります。",
            "Efficiency deviation. There is room to save time.",
        ),
    }
)

_TEMPLATES: Mapping[tuple[EventType, str | None], Wording] = MappingProxyType(
    {
        (EventType.MISSING_STEP, None): ("{step}が実施されていません", "{step} was not performed"),
        (EventType.MISSING_STEP, "start"): (
            "{step}が省略されています（映像の冒頭より前）",
            "{step} was skipped: the video starts after it",
        ),
        (EventType.MISSING_STEP, "tail"): (
            "{step}が実施されないまま映像が終わっています",
            "{step} was not performed: the video ends before it",
        ),
        (EventType.ORDER_SWAP, None): (
            "{step}の順序が基準と異なります",
            "{step} was performed out of order",
        ),
        (EventType.ORDER_SWAP, "other"): (
            "{step}と{other}の順序が入れ替わっています",
            "{step} and {other_en} were performed in the wrong order",
        ),
        (EventType.STEP_DEVIATION, None): (
            "{step}の動作が基準と異なります",
            "{step} deviates from the standard",
        ),
        (EventType.STEP_DEVIATION, "other"): (
            "{step}の動作が基準と異なります（{other}に似た動作）",
            "{step} deviates from the standard (looks like {other_en})",
        ),
        (EventType.REPEATED_STEP, None): (
            "{step}が繰り返されています",
            "{step} was performed more than once",
        ),
        (EventType.EXTRA_ACTION, None): (
            "基準にない作業が{seconds}秒あります",
            "{seconds} s of activity that the standard does not contain",
        ),
        (EventType.OVER_TIME, None): (
            "{step}に時間がかかりすぎています（{seconds}秒）",
            "{step} took too long ({seconds} s)",
        ),
        (EventType.OVER_TIME, "ratio"): (
            "{step}に基準の{ratio}倍の時間がかかっています（{seconds}秒、基準{gold}秒）",
            "{step} took {ratio} times as long as the standard ({seconds} s against {gold} s)",
        ),
        (EventType.OVER_TIME, "idle"): (
            "{near}作業が{seconds}秒間止まっています",
            "Work paused for {seconds} s{near_en}",
        ),
        (EventType.FREEZE, None): (
            "映像が{seconds}秒間静止しています（作業を確認できません）",
            "The picture is frozen for {seconds} s (the work cannot be seen)",
        ),
    }
)


def step_label(index: int | None, steps: Mapping[int, Step], language: Language) -> str:
    """手順4（部品取付） / Step 4 (Part Assembly); without the name where none is known.

    A name in the other language stands in for a missing one. steps: by index.
    """
    if index is None:
        return "手順" if language == "ja" else "A step"
    step = steps.get(index)
    names = (None, None) if step is None else (step.name_ja, step.name_en)
    name = (names[0] or names[1]) if language == "ja" else (names[1] or names[0])
    if language == "ja":
        return f"手順{index + 1}" + (f"（{name}）" if name else "")
    return f"Step {index + 1}" + (f" ({name})" if name else "")


def time_ratio(finding: Finding) -> float | None:
    """over_time of a step: the trainee's duration over the gold's for the finding's spans.

    None for other types, for pauses and where the gold's span is an instant.
    """
    if finding.type is not EventType.OVER_TIME or finding.detail == "idle":
        return None
    gold_sec = finding.gold_span.duration_sec
    ratio = finding.trainee_span.duration_sec / gold_sec if gold_sec > 0 else 0.0
    return ratio if ratio > 1.0 else None


def deviation_comment(finding: Finding, steps: Mapping[int, Step]) -> Wording:
    """What happened, one clause per language, with step number and name. steps: by index."""
    ratio = time_ratio(finding)
    ja, en = _TEMPLATES[(finding.type, _variant(finding, ratio))]
    shown = {
        "seconds": f"{finding.trainee_span.duration_sec:.1f}",
        "gold": f"{finding.gold_span.duration_sec:.1f}",
        "ratio": f"{ratio or 0:.1f}",
    }
    index, other = finding.step_index, finding.other_step_index
    ja_step, en_step = step_label(index, steps, "ja"), step_label(index, steps, "en")
    tail_ja, tail_en = _tail(finding)
    return (
        ja.format(
            step=ja_step,
            other=step_label(other, steps, "ja"),
            near=f"{ja_step}で" if index is not None else "",
            **shown,
        )
        + tail_ja,
        en.format(
            step=en_step,
            other_en=step_label(other, steps, "en").replace("Step", "step", 1),
            near_en=f" at {en_step.replace('Step', 'step', 1)}" if index is not None else "",
            **shown,
        )
        + tail_en,
    )


def _tail(finding: Finding) -> Wording:
    """What limits a statement: another explanation, and that somebody must look."""
    ja, en = _ALTERNATIVES.get(finding.alternative, ("", ""))
    if finding.certainty == "review":
        return ja + "（要確認）", en + " (to be reviewed)"
    return ja, en


_ALTERNATIVES: Mapping[EventType | None, Wording] = MappingProxyType(
    {
        EventType.MISSING_STEP: (
            "（または実施されていません）",
            ", or was not performed at all",
        ),
        EventType.STEP_DEVIATION: (
            "（または別のやり方で実施されています）",
            ", or was done in a different way",
        ),
    }
)


def _variant(finding: Finding, ratio: float | None) -> str | None:
    if finding.type is EventType.OVER_TIME:
        return "idle" if finding.detail == "idle" else ("ratio" if ratio else None)
    if finding.type is EventType.MISSING_STEP:
        return finding.detail if finding.detail in ("start", "tail") else None
    has_other = finding.other_step_index not in (None, finding.step_index)
    two_step_types = (EventType.ORDER_SWAP, EventType.STEP_DEVIATION)
    return "other" if has_other and finding.type in two_step_types else None


def summary_comment(
    score: float,
    decision: Decision,
    counts: Mapping[Severity, int],
    basis: DecisionBasis | None = None,
) -> Wording:
    """The one line of a result: スコア 87.5点 — … / Score 87.5 — …, by decision and counts.

    basis: the two that no count explains have a line of their own.
    """
    if basis in _BASIS_SUMMARIES:
        return _BASIS_SUMMARIES[basis]
    found_ja = "・".join(
        f"{SEVERITY_LABEL[item][0]}逸脱{counts[item]}件" for item in Severity if counts[item]
    )
    shown = [f"{counts[item]} {item}" for item in Severity if counts[item]]
    found_en = " and ".join([*([", ".join(shown[:-1])] if shown[1:] else []), *shown[-1:]])
    key = (decision, bool(shown))
    ja, en = _SUMMARIES[key]
    return (
        f"スコア {score:.1f}点 — " + ja.format(found=found_ja),
        f"Score {score:.1f} — " + en.format(found=f"{found_en} deviation(s)"),
    )


_BASIS_SUMMARIES: Mapping[DecisionBasis | None, Wording] = MappingProxyType(
    {
        "not_comparable": (
            "判定できません。映像が基準映像と比較できません（別の場所・カメラ・手順の可能性）。"
            "監督者による確認が必要です。",
            "No verdict: the video cannot be compared with the gold (another place, camera or "
            "procedure?). A supervisor must look at it.",
        ),
        "remark_to_review": (
            "合否は確定していません。重大な逸脱の疑いがあり、監督者による確認が必要です。",
            "No verdict yet: something serious may be wrong, a supervisor must look at it.",
        ),
    }
)

_SUMMARIES: Mapping[tuple[Decision, bool], Wording] = MappingProxyType(
    {
        ("pass", False): ("合格です。逸脱はありません。", "Pass, no deviation found."),
        ("pass", True): (
            "合格ですが、{found}の改善を推奨します。",
            "Pass, but {found} noted for improvement.",
        ),
        ("needs_review", False): (
            "確認が必要です。逸脱は特定できませんが、動作が全体に基準と異なります。",
            "Needs review: no single deviation, but the work differs from the standard as a whole.",
        ),
        ("needs_review", True): (
            "{found}があります。監督者による確認が必要です。",
            "Needs review: {found} to be checked by a supervisor.",
        ),
        ("retrain", False): (
            "再研修が必要です。動作が全体に基準と異なります。",
            "Retrain: the work differs from the standard as a whole.",
        ),
        ("retrain", True): (
            "{found}があり、再研修が必要です。",
            "Retrain: {found} to be corrected.",
        ),
        ("fail", False): ("不合格です。", "Fail."),
        ("fail", True): (
            "不合格です。{found}を是正してください。",
            "Fail: {found} to be corrected.",
        ),
    }
)


def span_text(span: TimeSpan) -> str:
    """0:12.0-0:16.0, or one timecode for an instant."""
    start, end = timecode(span.start_sec), timecode(span.end_sec)
    return start if start == end else f"{start}-{end}"
