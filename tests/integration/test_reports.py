"""Reports of stored scores on both databases: the rows around the record, the routes, the files."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from httpx import Client
from pypdf import PdfReader
from service_parts import (
    Made,
    add,
    open_test_runtime,
    put_made,
    work,
)
from test_api_service import serving
from typer.testing import CliRunner

from sopilot.api.app import create_app
from sopilot.cli.app import app
from sopilot.core.errors import Conflict, ScoreNotFound
from sopilot.core.records import Actor, Role
from sopilot.library.schemas import UploadMeta
from sopilot.report.wording import words
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop.evaluate import ScoreOrder, submit
from sopilot.sop.page import score_report
from sopilot.sop.queries import ScoreRow
from sopilot.store.tables import score_reviews

HOSTILE_NAME = "#panic(1) <b>$x$ 準備.mp4"


@pytest.fixture
def runtime(
    tmp_path: Path, database_url: str, clips: dict[str, Path], made: list[Made]
) -> Iterator[Runtime]:
    """Gold 1 and trainee 2 are ready; score 1 is completed, score 2 is queued."""
    opened = open_test_runtime(tmp_path, database_url, api_key="secret")
    put_made(opened, made)
    meta = UploadMeta(original_filename=HOSTILE_NAME, site_id="north", operator_id_hash="op-7")
    work(opened, add(opened, clips["gold"], Role.GOLD).job.id)
    work(opened, add(opened, clips["swapped"], Role.TRAINEE, meta=meta).job.id)
    work(opened, order(opened).job_id)
    order(opened)
    yield opened
    close_runtime(opened)


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    with serving(create_app(runtime=runtime, with_workers=False)) as opened:
        yield opened


def order(runtime: Runtime) -> ScoreRow:
    with runtime.database.write() as connection:
        return submit(runtime, connection, ScoreOrder((1,), 2), Actor("test"))


def text_of(pdf: bytes) -> str:
    pages = (page.extract_text() for page in PdfReader(io.BytesIO(pdf)).pages)
    return "".join("".join(pages).split())


def test_the_record_holds_the_rows_around_the_result(runtime: Runtime) -> None:
    report = score_report(runtime, 1)
    assert (report.job, report.operator, report.site) == ("1", "op-7", "north")
    assert report.trainee_name == HOSTILE_NAME
    assert report.review is None
    assert len(report.scored_at) == 19
    assert len(report.pictures) == len(report.result["deviations"]) > 0


def test_a_review_is_part_of_the_report(runtime: Runtime) -> None:
    when = "2026-11-26T09:00:00.000000+00:00"
    with runtime.database.write() as connection:
        connection.execute(
            score_reviews.insert().values(
                score_id=1,
                verdict="retrain",
                note="check the torque",
                reviewer="token:operator",
                created_at=when,
                updated_at=when,
            )
        )
    review = score_report(runtime, 1).review
    assert review is not None
    assert (review.verdict, review.note) == ("retrain", "check the torque")
    assert (review.reviewer, review.reviewed_at) == ("token:operator", "2026-11-26 09:00 UTC")


def test_there_is_no_report_without_a_result(runtime: Runtime) -> None:
    with pytest.raises(Conflict, match="queued"):
        score_report(runtime, 2)
    with pytest.raises(ScoreNotFound):
        score_report(runtime, 99)


def test_both_pdf_paths_answer_the_same_bytes(client: Client) -> None:
    first = client.get("/score/1/report/pdf")
    second = client.get("/score/1/report.pdf")
    assert first.status_code == second.status_code == 200
    assert first.content == second.content == client.get("/api/v1/score/1/report.pdf").content
    assert first.headers["content-type"] == "application/pdf"
    assert 'filename="sopilot_job1_report.pdf"' in first.headers["content-disposition"]
    assert "".join(HOSTILE_NAME.split()) in text_of(first.content)


@pytest.mark.parametrize("lang", ["ja", "en", "ru"])
def test_page_and_pdf_speak_the_language_asked_for(client: Client, lang: str) -> None:
    title = words(lang)["title"]  # type: ignore[arg-type]
    page = client.get("/score/1/report", params={"lang": lang})
    pdf = client.get("/score/1/report/pdf", params={"lang": lang})
    assert title in page.text
    assert "<b>$x$" not in page.text
    assert "".join(title.split()) in text_of(pdf.content)


@pytest.mark.parametrize("path", ["report", "report/pdf", "report.pdf"])
def test_refusals(client: Client, path: str) -> None:
    for target, expected in (
        (f"/score/99/{path}", (404, "SCORE_JOB_NOT_FOUND")),
        (f"/score/2/{path}", (409, "INVALID_STATE")),
        (f"/score/1/{path}?lang=de", (422, "VALIDATION_ERROR")),
    ):
        answer = client.get(target)
        assert (answer.status_code, answer.json()["error"]["code"]) == expected
    assert client.get(f"/score/1/{path}", headers={"X-API-Key": "wrong"}).status_code == 401


def test_the_command_writes_page_and_pdf(tmp_path: Path, clips: dict[str, Path]) -> None:
    pdf, out = tmp_path / "new" / "report.pdf", tmp_path / "out"
    arguments = ["score", str(clips["gold"]), str(clips["gold"]), "--data-dir", str(tmp_path / "d")]
    done = CliRunner().invoke(
        app, [*arguments, "--out", str(out), "--pdf", str(pdf), "--lang", "ru"]
    )
    assert done.exit_code == 0, done.output
    title = words("ru")["title"]
    assert title in (out / "report.html").read_text(encoding="utf-8")
    assert "".join(title.split()) in text_of(pdf.read_bytes())
