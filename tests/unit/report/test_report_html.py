import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, get_args

import numpy as np
import pytest

from sopilot.core.records import Keyframe, Producer, Step
from sopilot.core.timespan import TimeSpan
from sopilot.report.html import render_score_html
from sopilot.report.record import DeviationPictures, ReviewNote, ScoreReport
from sopilot.report.wording import Language, number, words
from sopilot.sop.comparison import Comparison, EventType, Finding, StructuralTerms
from sopilot.sop.profile import TaskProfile
from sopilot.sop.result import ScoreIds, ScoreOrigin, build_result
from sopilot.sop.schemas import DecisionBasis

EVIL = '<script>alert("x")</script>'
STEPS = (
    Step(0, "準備", "Preparation", TimeSpan(0, 10)),
    Step(1, EVIL, EVIL, TimeSpan(10, 20), is_critical=True, max_duration_sec=8.0),
    Step(2, None, None, TimeSpan(20, 30)),
)
MISSING = Finding(
    EventType.MISSING_STEP, 1.0, 50.0, "nats", 2, TimeSpan(20, 30), TimeSpan(22, 22), "tail"
)
CHANGED = Finding(
    EventType.STEP_DEVIATION, 0.5, 20.0, "nats", 1, TimeSpan(12, 16), TimeSpan(13, 18)
)
PICTURE = Keyframe(14.0, b"\xff\xd8picture")


def make_record(*findings: Finding, interval: tuple[float, float] | None = (10, 60)) -> Any:
    clips = np.stack([np.arange(30.0), np.arange(30.0) + 1], axis=1)
    spans = (TimeSpan(0, 10), TimeSpan(10, 22), None if MISSING in findings else TimeSpan(22, 30))
    comparison = Comparison(
        steps=STEPS,
        steps_source="marked",
        trainee_steps=spans,
        findings=findings,
        path=np.stack([np.arange(20), np.arange(20)], axis=1).astype(np.int32),
        normalized_cost=0.2,
        gold_clips=clips,
        trainee_clips=clips,
        gold_duration_sec=30.0,
        trainee_duration_sec=30.0,
        conformity=0.9,
        comparability=0.9,
        structural=StructuralTerms(0, 0, 0, 0),
    )
    result = build_result(
        comparison,
        TaskProfile("oil_change", "Oil change"),
        ids=ScoreIds("oil_change", (1,), 2),
        origin=ScoreOrigin("order-search-v1", {"embedder": Producer("color-motion", "v2")}),
        interval=interval,
    )
    return result.model_dump(mode="json")


class Outline(HTMLParser):
    """Collects tags and every address a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        wanted = ("src", "href", "srcset", "action", "data", "poster", "xlink:href")
        self.addresses += [value or "" for name, value in attrs if name in wanted]

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    return parsed


def test_the_page_stands_alone_and_runs_nothing() -> None:
    pictures = (DeviationPictures(0, PICTURE, PICTURE),)
    page = render_score_html(ScoreReport(make_record(CHANGED), pictures), "en")
    parsed = outline(page)
    assert len(parsed.addresses) == 2
    assert all(item.startswith("data:image/jpeg;base64,/9hwaWN0dXJl") for item in parsed.addresses)
    assert not {"script", "link", "iframe", "object"} & set(parsed.tags)
    assert "@import" not in page
    assert not re.search(r"url\((?!#)", page)
    assert "default-src 'none'" in page


@pytest.mark.parametrize("language", ["en", "ja", "ru"])
def test_names_are_escaped_everywhere(language: Any) -> None:
    report = ScoreReport(
        make_record(CHANGED, MISSING),
        task_name=EVIL,
        gold_names=(EVIL,),
        trainee_name=EVIL,
        operator=EVIL,
        review=ReviewNote("pass", EVIL),
    )
    page = render_score_html(report, language)
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 8
    assert "&amp;lt;" not in page


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["Procedure score report", "Fail", "Step 3 was not performed", "critical step"]),
        (
            "ru",
            [
                "Отчёт об оценке выполнения операции",
                "Не зачтено",
                "Шаг 3 не выполнен: видео заканчивается раньше",
                "критический шаг",
                "не зачтено: необходимо устранить отклонения (критических — 2)",
            ],
        ),
        (
            "ja",
            ["作業評価報告書", "不合格", "手順3が実施されないまま映像が終わっています", "重要手順"],
        ),
    ],
)
def test_verdict_deviations_and_steps_are_told(language: Any, expected: list[str]) -> None:
    record = make_record(CHANGED, MISSING)
    page = render_score_html(ScoreReport(record), language)
    assert f'lang="{language}"' in page
    if language != "ru":
        assert record["summary"][f"comment_{language}"] in page
    assert number(record["score"], language) in page
    for text in expected:
        assert text in page
    assert page.count('<article class="card') == 2
    assert "0:20.0 – 0:30.0" in page


def test_pictures_lie_side_by_side_or_are_marked_as_absent() -> None:
    record = make_record(CHANGED, MISSING)
    page = render_score_html(ScoreReport(record, (DeviationPictures(1, PICTURE, None),)), "en")
    assert page.count("data:image/jpeg") == 1
    assert page.count("no picture") == 1


def test_a_clean_result_without_interval_renders() -> None:
    page = render_score_html(ScoreReport(make_record(interval=None)), "en")
    assert "No deviation was found." in page
    assert "If recorded again" not in page


def test_the_review_is_shown_where_there_is_one() -> None:
    review = ReviewNote("retrain", "Watch the torque", "2026-11-20", "token:operator")
    page = render_score_html(ScoreReport(make_record(), review=review), "en")
    assert "token:operator" in page
    assert "Watch the torque" in page
    assert re.search(r'class="on"></i>Retrain', page)
    assert 'class="on"' not in render_score_html(ScoreReport(make_record()), "en")


def test_the_same_record_gives_the_same_bytes() -> None:
    record: Mapping[str, Any] = make_record(CHANGED, MISSING)
    assert render_score_html(ScoreReport(record)) == render_score_html(ScoreReport(record))


def test_tags_are_balanced() -> None:
    parsed = outline(render_score_html(ScoreReport(make_record(CHANGED, MISSING)), "ja"))
    assert parsed.open in ([], ["html"])


@pytest.mark.parametrize("language", ["en", "ja", "ru"])
@pytest.mark.parametrize("basis", get_args(DecisionBasis))
def test_every_reason_of_a_verdict_has_words(basis: str, language: Language) -> None:
    assert words(language)[basis]
    assert basis not in words(language)[basis]
