"""The PDFs are read back: text, fonts, pages."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, get_args

import cv2
import numpy as np
import pytest
from pypdf import PdfReader
from pypdf.generic import IndirectObject
from test_report_html import CHANGED, MISSING, make_record

from sopilot.core.errors import ReportError
from sopilot.core.records import Keyframe
from sopilot.report import typeset as typesetting
from sopilot.report.analytics import (
    AnalyticsReport,
    GroupFigures,
    RecentScore,
    ReviewerAgreement,
    ScoreBucket,
    render_analytics_pdf,
)
from sopilot.report.content import content_of
from sopilot.report.pdf import render_score_pdf
from sopilot.report.record import DeviationPictures, ReviewNote, ScoreReport
from sopilot.report.typeset import PrintableText, covered_characters, typeset
from sopilot.report.wording import Language, words
from sopilot.sop.comparison import EventType
from sopilot.sop.schemas import Decision, DecisionBasis, NoteRecord

LANGUAGES: tuple[Language, ...] = ("ja", "en", "ru")
HOSTILE = '#panic("x") $a$ *b* `c` @ref <script>alert(1)</script> \\ // /* "q" = + - _i_'


def picture(level: int = 120) -> Keyframe:
    done, data = cv2.imencode(".jpg", np.full((90, 160, 3), level, np.uint8))
    assert done
    return Keyframe(14.0, data.tobytes())


def report(**changes: Any) -> ScoreReport:
    base = ScoreReport(
        make_record(CHANGED, MISSING),
        (DeviationPictures(0, picture(10), picture(90)), DeviationPictures(1, picture(200), None)),
        job="7",
        scored_at="2026-11-26 09:00:00",
        task_name="部品取付 / Сборка",
        review=ReviewNote("retrain", "締付トルク", "2026-11-26 10:00 UTC", "token:operator"),
    )
    return replace(base, **changes)


def text_of(pdf: bytes) -> str:
    """The text of all pages without white space: lines break anywhere."""
    pages = (page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    return "".join("".join(pages).replace("\u200b", "").split())


def squeezed(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_text_can_be_extracted(language: Language) -> None:
    page, found = words(language), text_of(render_score_pdf(report(), language))
    shown = ("title", "fail", "timeline", "alignment", "steps", "metrics", "reviewer_signature")
    for key in (*shown, "trainee_signature", "footer", "critical_step", "interval_note"):
        assert squeezed(page[key]) in found, key
    assert "部品取付/Сборка" in found
    assert "order-search-v1" in found
    assert "締付トルク" in found


def test_the_russian_report_has_no_sentence_of_the_other_languages() -> None:
    record = make_record(CHANGED, MISSING)
    found = text_of(render_score_pdf(report(result=record), "ru"))
    assert squeezed("Шаг 3 не выполнен: видео заканчивается раньше") in found
    for row in record["deviations"]:
        assert squeezed(row["comment_en"]) not in found
        assert squeezed(row["severity_description_en"]) not in found


def test_the_same_report_gives_the_same_bytes_and_its_own_date() -> None:
    first, second = (render_score_pdf(report(), "ja") for _ in range(2))
    assert first == second
    meta = PdfReader(io.BytesIO(first)).metadata
    assert meta is not None
    assert meta["/CreationDate"] == "D:20261126090000Z"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_font_is_ours_embedded_and_subset(language: Language) -> None:
    # Fault 45: without a Japanese font the earlier system fell back to Helvetica.
    pdf = render_score_pdf(report(), language)
    names = set()
    for page in PdfReader(io.BytesIO(pdf)).pages:
        fonts: Any = page["/Resources"].get("/Font", {})  # type: ignore[attr-defined]
        for item in fonts.values():
            font = item.get_object() if isinstance(item, IndirectObject) else item
            [below] = font["/DescendantFonts"]
            descriptor = below.get_object()["/FontDescriptor"].get_object()
            assert "/FontFile2" in descriptor
            names.add(str(font["/BaseFont"]).lstrip("/"))
    assert names
    assert all("+SOPilotSans" in name for name in names)
    assert len(pdf) < 400_000


def test_hostile_text_is_shown_and_never_run() -> None:
    evil = report(task_name=(HOSTILE * 9)[:256], trainee_name=HOSTILE, operator="w" * 128)
    found = text_of(render_score_pdf(evil, "en"))
    assert squeezed((HOSTILE * 9)[:256]) in found
    assert "w" * 128 in found


def test_what_no_font_has_is_named_in_the_report() -> None:
    found = text_of(render_score_pdf(report(task_name="A😀\u202eש\x07B"), "en"))
    assert "A□□□□B" in found
    for code in ("U+1F600", "U+202E", "U+05E9", "U+0007"):
        assert code in found
    assert "U+" not in text_of(render_score_pdf(report(), "en"))


def test_a_long_note_runs_over_the_page_instead_of_being_cut() -> None:
    note = "\n".join(f"line {i}" for i in range(200))
    review = ReviewNote("fail", note, "2026-11-26", "me")
    found = text_of(render_score_pdf(report(review=review), "en"))
    assert all(f"line{i}" in found for i in range(200))


def test_both_pictures_of_a_deviation_are_in_the_file() -> None:
    reader = PdfReader(io.BytesIO(render_score_pdf(report())))
    assert sum(len(page.images) for page in reader.pages) == 3


def test_a_picture_that_is_none_does_not_cost_the_report() -> None:
    broken = (DeviationPictures(0, Keyframe(1.0, b"\xff\xd8broken"), None),)
    assert "Procedurescorereport" in text_of(render_score_pdf(report(pictures=broken), "en"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_fonts_have_every_fixed_letter(language: Language) -> None:
    printable = PrintableText()
    printable.of_all(words(language))
    assert printable.codes() == ""


def test_the_fonts_cover_the_code_page_of_japanese_work() -> None:
    names = "髙橋﨑德ﾊﾝｶｸ①㈱№≥→ЁёЖжÄß"
    assert [letter for letter in names if ord(letter) not in covered_characters()] == []


def test_letters_are_composed_before_they_are_looked_up() -> None:
    printable = PrintableText()
    assert printable.of("か\u3099\tй") == "が й"
    assert printable.codes() == ""


def test_a_glyph_that_is_missing_fails_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typesetting, "_is_printable", lambda letter: True)
    with pytest.raises(ReportError, match="could not be displayed"):
        render_score_pdf(report(task_name="😀"))


def test_a_template_that_lacks_its_data_is_a_typed_error() -> None:
    with pytest.raises(ReportError, match="the PDF cannot be made"):
        typeset("score", {"language": "en"}, {}, "")


def analytics(**changes: Any) -> AnalyticsReport:
    base = AnalyticsReport(
        task_name="点検 / Осмотр",
        days=30,
        made_at="2026-11-26 09:00:00",
        total_jobs=12,
        completed_jobs=10,
        pass_count=6,
        fail_count=1,
        needs_review_count=2,
        retrain_count=1,
        avg_score=71.25,
        min_score=3.5,
        max_score=99.0,
        compliance_rate=0.6,
        trend_direction="declining",
        by_operator=[GroupFigures(f"op-{i}", 2, 70.0, 1, 1) for i in range(30)],
        by_site=[GroupFigures("", 10, 71.25, 6, 1)],
        score_distribution=[ScoreBucket("90-100", 4), ScoreBucket("0-69", 6)],
        recent_trend=[RecentScore(1, 80.0, "pass", "2026-11-01T00:00:00.000000+00:00")],
        reviewer_agreement=ReviewerAgreement(4, 3, 0.75, {"pass": 3, "fail": 1}),
    )
    return replace(base, **changes)


@pytest.mark.parametrize("language", LANGUAGES)
def test_analytics_show_every_figure(language: Language) -> None:
    page, found = words(language), text_of(render_analytics_pdf(analytics(), language))
    rate = "60,0%" if language == "ru" else "60.0%"
    for text in ("点検/Осмотр", "90-100", "op-0", "op-24", rate, "2026-11-01"):
        assert text in found
    for key in ("distribution", "decisions", "operators", "sites", "agreement", "trend", "footer"):
        assert squeezed(page[key]) in found
    for key in ("note_low_compliance", "note_declining", "note_agreement", "unnamed"):
        assert squeezed(page[key]) in found
    assert squeezed(page["note_few"]) not in found
    assert "op-25" not in found
    assert squeezed(page["and_more"]) + "5" in found


def test_analytics_without_scores_say_so() -> None:
    empty = analytics(
        task_name="",
        days=None,
        total_jobs=0,
        completed_jobs=0,
        pass_count=0,
        fail_count=0,
        needs_review_count=0,
        retrain_count=0,
        avg_score=None,
        min_score=None,
        max_score=None,
        compliance_rate=None,
        by_operator=[],
        by_site=[],
        score_distribution=[],
        recent_trend=[],
        reviewer_agreement=ReviewerAgreement(0, 0, None, {}),
    )
    found = text_of(render_analytics_pdf(empty, "en"))
    assert "Thereisnodatainthisperiod." in found
    assert "Alltasks" in found
    assert "nan" not in found.lower()


def test_the_same_analytics_give_the_same_bytes() -> None:
    assert render_analytics_pdf(analytics()) == render_analytics_pdf(analytics())


@pytest.mark.parametrize("code", get_args(NoteRecord.model_fields["code"].annotation))
def test_every_note_has_a_russian_sentence(code: str) -> None:
    record = make_record()
    record["similar_steps"] = [[0, 2]]
    record["notes"] = [{"code": code, "text_ja": "和文", "text_en": "English"}]
    [note] = content_of(ScoreReport(record), "ru").notes
    assert note != "English"
    assert "{" not in note


@pytest.mark.parametrize("kind", list(EventType))
@pytest.mark.parametrize("detail", [None, "inner", "start", "tail", "dwell", "idle"])
def test_every_deviation_has_a_russian_sentence(kind: EventType, detail: Any) -> None:
    finding = replace(
        CHANGED, type=kind, detail=detail, other_step_index=0, certainty="review",
        alternative=EventType.STEP_DEVIATION,
    )  # fmt: skip
    [card] = content_of(ScoreReport(make_record(finding)), "ru").cards
    assert card.comment.endswith("— или выполнен иначе (требует проверки)")
    assert not {"{", "}"} & set(card.comment)
    assert card.comment[0].isupper()


@pytest.mark.parametrize("basis", get_args(DecisionBasis))
@pytest.mark.parametrize("decision", get_args(Decision))
@pytest.mark.parametrize("count", [0, 2])
def test_every_verdict_has_a_russian_line(basis: str, decision: str, count: int) -> None:
    record = make_record()
    record["summary"] |= {"decision": decision, "decision_basis": basis}
    record["summary"]["severity_counts"]["quality"] = count
    content = content_of(ScoreReport(record), "ru")
    assert content.comment
    assert content.comment != record["summary"]["comment_en"]
    assert content.decision_text != decision
