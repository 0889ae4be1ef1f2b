"""What a reader of a result must know about its ground: golds, steps, and what could not be judged.

Pure. Called by `sop.result`; shown by the command line and the report.
"""

from __future__ import annotations

from sopilot.sop.comments import Wording, step_label
from sopilot.sop.comparison import Comparison

Note = tuple[str, Wording]
"""Code and (Japanese, English)."""


def notes_of(comparison: Comparison) -> list[Note]:
    """In the order of weight."""
    notes: list[Note] = []
    if not comparison.is_comparable:
        notes.append(
            (
                "not_comparable",
                (
                    "映像が基準映像と大きく異なるため、スコアは判定に使えません。",
                    "The video differs so much from the gold that the score is no verdict.",
                ),
            )
        )
    for place in comparison.left_out_golds:
        notes.append(
            (
                "gold_left_out",
                (
                    f"{place + 1}本目の基準映像は1本目と矛盾するため使っていません。",
                    f"Gold {place + 1} contradicts the first gold and was left out.",
                ),
            )
        )
    for place in comparison.copied_golds:
        notes.append(
            (
                "gold_copied",
                (
                    f"{place + 1}本目の基準映像は前の基準映像の複製なので数えていません。",
                    f"Gold {place + 1} is a copy of an earlier gold and does not count.",
                ),
            )
        )
    if len(comparison.steps) == 1:
        notes.append(
            (
                "one_step",
                (
                    "手順が1つだけなので、順序と欠落は判定できません。",
                    "There is only one step: its order and absence cannot be judged.",
                ),
            )
        )
    steps = {step.index: step for step in comparison.steps}
    for one, other in comparison.similar_steps:
        ja, en = (
            [step_label(comparison.steps[k].index, steps, language) for k in (one, other)]
            for language in ("ja", "en")
        )
        notes.append(
            (
                "similar_steps",
                (
                    f"基準の{ja[0]}と{ja[1]}は見分けられません。この2つの取り違えは検出できません。",
                    f"{en[0]} and {en[1].replace('Step', 'step', 1)} of the gold look alike: "
                    "taking one for the other cannot be seen.",
                ),
            )
        )
    if comparison.steps_source == "proposed":
        notes.append(
            (
                "steps_proposed",
                (
                    "手順は基準映像から自動提案されたものです。確定すると判定が確かになります。",
                    "The steps were proposed from the gold; mark them for firm verdicts.",
                ),
            )
        )
    missing = comparison.calibration.golds_missing
    if missing:
        notes.append(
            (
                "golds_missing",
                (
                    f"基準映像があと{missing}本あると、しきい値をこの作業に合わせられます。",
                    f"{missing} more gold video{'s' if missing > 1 else ''} would fit the "
                    "thresholds to this task.",
                ),
            )
        )
    return notes
