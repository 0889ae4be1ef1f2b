"""A result in a few plain lines for a terminal: verdict first, then what, and where to look.

Called by the command line, which adds colour. No line is wider than 90 columns.
"""

from __future__ import annotations

import textwrap
import unicodedata

from sopilot.core.timespan import TimeSpan
from sopilot.sop.comments import span_text
from sopilot.sop.schemas import Deviation, ScoreResult

WIDTH_COLUMNS = 90
MAX_DEVIATIONS = 12

DECISION_TEXT = {
    "pass": "PASS",
    "needs_review": "NEEDS REVIEW",
    "retrain": "RETRAIN",
    "fail": "FAIL",
}
_SEVERITY_RANK = {"critical": 0, "quality": 1, "efficiency": 2}


def describe(result: ScoreResult) -> str:
    """What a supervisor needs in five seconds, English, lines of at most 90 columns.

    Order: score and decision, interval, then the deviations by severity and by time in the gold,
    each with its times in both videos and the points it costs.
    """
    summary = result.summary
    lines = [f"Score {result.score:.1f} of 100   {DECISION_TEXT[summary.decision]}"]
    if result.confidence:
        low, high = result.confidence.ci_low, result.confidence.ci_high
        lines.append(f"Recorded again it would lie between {low:.1f} and {high:.1f}.")
    lines.append(f"Pass from {summary.pass_score:g}, retrain below {summary.retrain_score:g}.")
    lines.append("")
    lines += _findings(result)
    if result.notes:
        lines.append("")
    for note in result.notes:
        lines += _wrap(note.text_en)
    return "\n".join(lines)


def _findings(result: ScoreResult) -> list[str]:
    found = sorted(result.deviations, key=lambda item: _SEVERITY_RANK[item.severity])
    if not found and not result.is_comparable:
        return ["Nothing can be said about the single steps."]
    if not found:
        count = len(result.timeline)
        return [f"No deviation: all {count} steps were done as in the gold."]
    lines = [f"What went wrong ({len(found)}):"]
    for item in found[:MAX_DEVIATIONS]:
        lines += _deviation(item)
    if len(found) > MAX_DEVIATIONS:
        lines.append(f"  ... and {len(found) - MAX_DEVIATIONS} more in the report.")
    return lines


def _deviation(item: Deviation) -> list[str]:
    label = f"{item.severity_en}:"
    gold, trainee = TimeSpan(*item.gold_timecode), TimeSpan(*item.trainee_timecode)
    head = _wrap(f"{label:<12}{item.comment_en}", first="  ", rest=" " * 14)
    where = f"gold {span_text(gold)}   trainee {span_text(trainee)}   -{item.points:.1f} points"
    return [*head, " " * 14 + where]


def _wrap(text: str, first: str = "", rest: str = "") -> list[str]:
    """Lines of at most 90 columns; wide (CJK) letters count as two."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    if len(first) + len(text) + wide <= WIDTH_COLUMNS:
        return [first + text]
    # Letters of two columns: a line of half the letters always fits.
    width = WIDTH_COLUMNS if wide == 0 else WIDTH_COLUMNS // 2 + len(first)
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=rest)
