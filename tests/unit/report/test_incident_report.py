"""The report of an incident as DOCX, PDF and JSON: what it says, in whose words, byte by byte."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import cv2
import numpy as np
import pytest
from docx import Document
from pypdf import PdfReader

from sopilot.core.records import Keyframe
from sopilot.core.timespan import TimeSpan
from sopilot.report.incident_docx import incident_docx, incident_json
from sopilot.report.incident_pdf import incident_pdf
from sopilot.report.incident_record import (
    IncidentReport,
    ReportEvent,
    ReportPass,
    ReportWindow,
    UncheckedSpan,
)
from sopilot.report.incident_wording import incident_words
from sopilot.report.wording import Language

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)
CAPTIONS: dict[Language, str] = {
    "ru": "Столкновение экскаватора и внедорожника",
    "en": "An excavator hits a car",
    "ja": "ショベルカーが車に衝突",
}
LANGUAGES: tuple[Language, ...] = ("ru", "en", "ja")


def jpeg() -> bytes:
    return cv2.imencode(".jpg", np.full((90, 160, 3), 120, np.uint8))[1].tobytes()


def event(number: int, text: str, **changes: Any) -> ReportEvent:
    made = ReportEvent(
        number, "NEAR_CRASH", 7.36, 8.86, 7.5, 8.0, None, None, text, "vlm", Keyframe(7.7, jpeg())
    )
    return replace(made, **changes)


def report(text: str = "x", events: int = 1, windows: int = 3, **changes: Any) -> IncidentReport:
    made = IncidentReport(
        iid=7,
        title="camera-3.mp4",
        status="DONE",
        domain=None,
        inferred_domain="traffic",
        has_event=events > 0,
        method="vlm",
        duration_sec=125.4,
        width_px=1280,
        height_px=720,
        fps=30.0,
        sha256="9f" * 32,
        created_at="2026-11-27T09:00:00.000000+00:00",
        analysed_at="2026-11-27T09:02:00.000000+00:00",
        model_version="tiny-vl",
        prompt_version="ab12cd34ef56",
        events=tuple(event(number, text) for number in range(1, events + 1)),
        windows=tuple(
            ReportWindow(i, 1.5 * i, 1.5 * (i + 1), "SAFE", False, text, 0.1, None)
            for i in range(windows)
        ),
        passes=(
            ReportPass(1, "First pass", (("window_sec", "1.5"),), 84, 2, events, "run"),
            ReportPass(2, "Second pass", (("window_sec", "0.75"),), 0, 0, 0, "not_needed"),
        ),
        unchecked=(UncheckedSpan(TimeSpan(3.0, 4.5), "MODEL_REPLY_INVALID"),),
    )
    return replace(made, **changes)


def docx_text(data: bytes) -> str:
    document = Document(io.BytesIO(data))
    cells = [c.text for table in document.tables for row in table.rows for c in row.cells]
    return "\n".join([*(p.text for p in document.paragraphs), *cells])


def pdf_text(data: bytes) -> str:
    return " ".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages)


def test_every_word_is_there_in_every_language() -> None:
    tables = [incident_words(language) for language in LANGUAGES]
    assert tables[0].keys() == tables[1].keys() == tables[2].keys()
    assert all(text.strip() for table in tables for text in table.values())


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_forms_say_the_same_in_the_language_asked_for(language: Language) -> None:
    words = incident_words(language)
    made = report(CAPTIONS[language])
    for text in (docx_text(incident_docx(made, language, NOW)),
                 pdf_text(incident_pdf(made, language, NOW))):  # fmt: skip
        plain = " ".join(text.split())
        squeezed = plain.replace(" ", "")
        for part in (CAPTIONS[language], words["title"], words["events"], words["not_checked"],
                     "NEAR_CRASH", "0:07.4 – 0:08.9", "MODEL_REPLY_INVALID", "tiny-vl",
                     words["no_confidence"], words["not_needed"]):  # fmt: skip
            assert part.replace(" ", "") in squeezed, part


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_found_is_never_called_safe(language: Language) -> None:
    words = incident_words(language)
    text = docx_text(incident_docx(report(events=0), language, NOW))
    assert words["none_found"] in text
    assert words["unchecked_sum"].partition("{")[0].strip() in text
    assert not any(word in text.lower() for word in ("safe", "безопас", "安全"))


def test_a_measured_event_says_that_nobody_looked() -> None:
    measured = event(1, "Change of light", method="signal", percentile=99.8, keyframe=None)
    made = report(method="signal", events=0, has_event=True)
    text = docx_text(incident_docx(replace(made, events=(measured,)), "en", NOW))
    assert "Nobody looked" in text
    assert "99.8" in text
    assert "No picture is kept" in text


def test_the_same_record_gives_the_same_bytes_but_for_its_date() -> None:
    made = report("text", 2)
    later = datetime(2027, 1, 1, tzinfo=UTC)
    for render in (incident_docx, incident_pdf):
        assert render(made, "en", NOW) == render(made, "en", NOW)
        assert render(made, "en", NOW) != render(made, "en", later)
    first, second = (
        {n: z.read(n) for n in z.namelist()}
        for z in (zipfile.ZipFile(io.BytesIO(incident_docx(made, "en", at))) for at in (NOW, later))
    )
    changed = {name for name in first if first[name] != second[name]}
    assert changed == {"docProps/core.xml", "word/document.xml"}
    assert incident_json(made) == incident_json(made)


def test_pictures_stand_at_the_events() -> None:
    data = incident_docx(report("x", 3), "en", NOW)
    assert len(Document(io.BytesIO(data)).inline_shapes) == 3
    record = json.loads(incident_json(report("x", 3)))
    assert [item["keyframe"] for item in record["events"]] == [None] * 3


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a\x00b\x08c\x1f",
        "x" * 10_000,
        "שלום עולם",
        "😀 \ud800",
        "{{7*7}} #eval",
    ],
)
def test_hostile_texts_are_shown_and_break_nothing(text: str) -> None:
    made = report(text)
    document = docx_text(incident_docx(made, "en", NOW))
    assert incident_pdf(made, "en", NOW).startswith(b"%PDF")
    assert len(document) < 30_000
    if text.startswith("<"):
        assert text in document


def test_a_long_timeline_repeats_its_heading_and_says_what_it_leaves_out() -> None:
    data = incident_docx(report("x", windows=2500), "en", NOW)
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        body = package.read("word/document.xml").decode()
    assert "w:tblHeader" in body
    assert "+500" in body


def test_japanese_letters_have_a_font_of_their_own() -> None:
    data = incident_docx(report(CAPTIONS["ja"]), "ja", NOW)
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        assert 'w:eastAsia="Yu Gothic"' in package.read("word/styles.xml").decode()
