import pytest
from record_examples import make_finding, make_step

from sopilot.core.records import Step
from sopilot.core.timespan import TimeSpan
from sopilot.sop.comments import (
    SEVERITY_DESCRIPTION,
    SEVERITY_LABEL,
    deviation_comment,
    span_text,
    step_label,
    summary_comment,
)
from sopilot.sop.comparison import EventType
from sopilot.sop.profile import Severity
from sopilot.sop.schemas import Decision, DecisionBasis

STEPS = {i: make_step(i) for i in range(4)}


def test_the_wording_of_the_quickstart_is_reproduced() -> None:
    ja, en = deviation_comment(make_finding(EventType.STEP_DEVIATION, step_index=3), STEPS)
    assert ja == "手順4（部品取付）の動作が基準と異なります"
    assert en == "Step 4 (Part Assembly) deviates from the standard"
    counts = {Severity.CRITICAL: 0, Severity.QUALITY: 1, Severity.EFFICIENCY: 0}
    ja, en = summary_comment(87.5, "pass", counts)
    assert ja == "スコア 87.5点 — 合格ですが、品質逸脱1件の改善を推奨します。"
    assert en == "Score 87.5 — Pass, but 1 quality deviation(s) noted for improvement."
    assert SEVERITY_LABEL[Severity.QUALITY][0] == "品質"
    assert SEVERITY_DESCRIPTION[Severity.QUALITY] == (
        "品質に影響する可能性がある逸脱です。改善を推奨します。",
        "Quality-impacting deviation. Improvement recommended.",
    )


@pytest.mark.parametrize(
    ("kind", "more", "in_ja", "in_en"),
    [
        (EventType.MISSING_STEP, {}, "手順4（部品取付）が実施されていません", "not performed"),
        (EventType.MISSING_STEP, {"detail": "tail"}, "映像が終わっています", "the video ends"),
        (EventType.MISSING_STEP, {"detail": "start"}, "省略", "the video starts after it"),
        (
            EventType.ORDER_SWAP,
            {"other_step_index": 2},
            "手順4（部品取付）と手順3（締結）の順序",
            "Step 4 (Part Assembly) and step 3 (Fastening) were performed in the wrong order",
        ),
        (EventType.ORDER_SWAP, {}, "順序が基準と異なります", "out of order"),
        (
            EventType.STEP_DEVIATION,
            {"other_step_index": 0},
            "手順1（準備）に似た動作",
            "looks like step 1 (Preparation)",
        ),
        (EventType.REPEATED_STEP, {}, "繰り返されています", "more than once"),
        (EventType.EXTRA_ACTION, {}, "基準にない作業が11.0秒", "11.0 s of activity"),
        (EventType.FREEZE, {}, "映像が11.0秒間静止", "frozen for 11.0 s"),
        (
            EventType.OVER_TIME,
            {"detail": "dwell"},
            "基準の1.1倍の時間がかかっています（11.0秒、基準10.0秒）",
            "took 1.1 times as long as the standard (11.0 s against 10.0 s)",
        ),
        (
            EventType.OVER_TIME,
            {"detail": "idle"},
            "手順4（部品取付）で作業が11.0秒間止まっています",
            "Work paused for 11.0 s at step 4 (Part Assembly)",
        ),
    ],
)
def test_each_type_says_what_happened_and_where(
    kind: EventType, more: dict[str, object], in_ja: str, in_en: str
) -> None:
    ja, en = deviation_comment(make_finding(kind, **more), STEPS)
    assert in_ja in ja
    assert in_en in en
    assert "{" not in ja + en


def test_a_pause_between_steps_names_no_step() -> None:
    finding = make_finding(EventType.OVER_TIME, step_index=None, detail="idle")
    assert deviation_comment(finding, STEPS) == (
        "作業が11.0秒間止まっています",
        "Work paused for 11.0 s",
    )


def test_over_time_without_a_gold_duration_gives_seconds_instead_of_a_ratio() -> None:
    finding = make_finding(EventType.OVER_TIME, gold=(30.0, 30.0))
    assert deviation_comment(finding, STEPS)[1] == "Step 4 (Part Assembly) took too long (11.0 s)"


def test_labels_fall_back_to_the_other_language_and_to_the_number() -> None:
    steps = {0: Step(0, name_en="Drain"), 1: Step(1, name_ja="排出"), 2: Step(2)}
    assert [step_label(i, steps, "ja") for i in range(4)] == [
        "手順1（Drain）",
        "手順2（排出）",
        "手順3",
        "手順4",
    ]
    assert step_label(1, steps, "en") == "Step 2 (排出)"
    assert step_label(2, steps, "en") == "Step 3"


def test_names_with_braces_are_text() -> None:
    steps = {3: Step(3, name_ja="{step}", name_en="{0}")}
    assert deviation_comment(make_finding(), steps)[1] == "Step 4 ({0}) deviates from the standard"


@pytest.mark.parametrize("decision", ["pass", "needs_review", "retrain", "fail"])
@pytest.mark.parametrize("counts", [(0, 0, 0), (1, 2, 3), (0, 1, 1)])
def test_every_summary_begins_with_the_score_and_counts_what_was_found(
    decision: Decision, counts: tuple[int, int, int]
) -> None:
    named = dict(zip(Severity, counts, strict=True))
    ja, en = summary_comment(54.321, decision, named)
    assert ja.startswith("スコア 54.3点 — ")
    assert en.startswith("Score 54.3 — ")
    if counts == (1, 2, 3):
        assert "重大逸脱1件・品質逸脱2件・効率逸脱3件" in ja
        assert "1 critical, 2 quality and 3 efficiency deviation(s)" in en
    if counts == (0, 1, 1):
        assert "1 quality and 1 efficiency deviation(s)" in en


def test_span_text() -> None:
    assert span_text(TimeSpan(12, 76.04)) == "0:12.0-1:16.0"
    assert span_text(TimeSpan(12, 12)) == "0:12.0"


@pytest.mark.parametrize(
    ("kind", "more", "ja", "en"),
    [
        (EventType.MISSING_STEP, {}, "", ""),
        (EventType.MISSING_STEP, {"certainty": "review"}, "（要確認）", " (to be reviewed)"),
        (
            EventType.MISSING_STEP,
            {"alternative": EventType.STEP_DEVIATION},
            "（または別のやり方で実施されています）",
            ", or was done in a different way",
        ),
        (
            EventType.STEP_DEVIATION,
            {"alternative": EventType.MISSING_STEP, "certainty": "review"},
            "（または実施されていません）（要確認）",
            ", or was not performed at all (to be reviewed)",
        ),
        (EventType.ORDER_SWAP, {"certainty": "review"}, "（要確認）", " (to be reviewed)"),
    ],
)
def test_what_limits_a_statement_follows_it(
    kind: EventType, more: dict[str, object], ja: str, en: str
) -> None:
    plain = deviation_comment(make_finding(kind), STEPS)
    assert deviation_comment(make_finding(kind, **more), STEPS) == (plain[0] + ja, plain[1] + en)


@pytest.mark.parametrize("kind", EventType)
def test_a_remark_to_review_says_so_whatever_it_is_about(kind: EventType) -> None:
    ja, en = deviation_comment(make_finding(kind, certainty="review"), STEPS)
    assert ja.endswith("（要確認）")
    assert en.endswith(" (to be reviewed)")


@pytest.mark.parametrize(
    ("basis", "ja", "en"),
    [
        ("not_comparable", "判定できません", "No verdict: the video cannot be compared"),
        ("remark_to_review", "合否は確定していません", "No verdict yet"),
        ("score_between_thresholds", "スコア 54.3点 — ", "Score 54.3 — Needs review"),
        (None, "スコア 54.3点 — ", "Score 54.3 — Needs review"),
    ],
)
def test_a_missing_verdict_has_a_summary_of_its_own(
    basis: DecisionBasis | None, ja: str, en: str
) -> None:
    shown = summary_comment(54.3, "needs_review", dict.fromkeys(Severity, 1), basis)
    assert shown[0].startswith(ja)
    assert shown[1].startswith(en)
