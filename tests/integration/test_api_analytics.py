"""The analytics routes: filters and their limits, roles, and answers that follow every change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from pypdf import PdfReader
from score_rows import START, Fate, Made, store
from service_parts import open_test_runtime
from sqlalchemy import update

from sopilot.api.app import create_app
from sopilot.api.auth import Access, Principal
from sopilot.api.openapi import least_roles
from sopilot.api.routers import analytics
from sopilot.core.errors import Forbidden
from sopilot.core.records import Actor
from sopilot.runtime import close_runtime
from sopilot.sop.analytics_queries import ScoreFilter
from sopilot.store.audit import Action, record
from sopilot.store.engine import Database
from sopilot.store.tables import videos

AGGREGATES = ("/analytics", "/analytics/compliance", "/analytics/steps")
PERSONAL = (
    "/analytics/operators/op-1/trend",
    "/analytics/operators/op-1/projection",
    "/analytics/recommendations/op-1",
)
MONTHS = (datetime.now(UTC) - START).total_seconds() / 60
"""Minutes from START to now."""


@dataclass(frozen=True)
class Service:
    app: FastAPI
    database: Database

    def ask(self, path: str, method: str = "GET", **more: Any) -> Response:
        async def exchange() -> Response:
            transport = ASGITransport(self.app)
            async with AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, headers={"X-API-Key": "secret"}, **more)

        return asyncio.run(exchange())

    def get(self, path: str, **query: object) -> dict[str, Any]:
        reply = self.ask(path, params=query)
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    def put_in(self, *made: Made) -> None:
        with self.database.write() as connection:
            store(connection, made)


@pytest.fixture
def service(database_url: str, tmp_path: Path) -> Iterator[Service]:
    runtime = open_test_runtime(tmp_path, database_url, api_key="secret")
    app = create_app(runtime=runtime, with_workers=False)
    app.state.runtime = runtime  # as its start does
    yield Service(app, runtime.database)
    close_runtime(runtime)


def test_the_fields_of_the_contract_are_there(service: Service) -> None:
    service.put_in(Made(steps=(Fate(missing=True),), verdict="pass"))
    fields = {
        "/analytics": "total_jobs completed_jobs pass_count fail_count needs_review_count "
        "retrain_count avg_score min_score max_score by_operator by_site score_distribution "
        "recent_trend reviewer_agreement",
        "/analytics/compliance": "compliance_rate total_jobs pass_count trend_direction by_site "
        "top_operators bottom_operators",
        "/analytics/steps": "total_jobs steps hardest_step_index",
        PERSONAL[0]: "operator_id job_count avg_score latest_decision trend_slope "
        "improvement_pct jobs moving_avg pass_rate volatility team_avg",
        PERSONAL[1]: "operator_id job_count avg_score latest_score trend_slope trajectory "
        "is_certified pass_threshold evaluations_to_certification confidence model_type "
        "projected_scores scores",
        PERSONAL[2]: "operator_id job_count total_deviations recommendations overall_assessment",
    }
    for path, names in fields.items():
        assert set(names.split()) <= set(service.get(path)), path


@pytest.mark.parametrize("prefix", ["", "/api/v1", "/sop"])
def test_every_route_answers_without_any_score(service: Service, prefix: str) -> None:
    replies = [service.ask(prefix + path) for path in (*AGGREGATES, *PERSONAL)]
    assert [reply.status_code for reply in replies] == [200] * 6
    assert not any("NaN" in reply.text for reply in replies)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("days=0", 422),
        ("days=1", 200),
        ("days=365", 200),
        ("days=366", 422),
        ("days=x", 422),
        ("days=1&from=2026-01-01", 422),
        ("from=2026-01-02&to=2026-01-01", 422),
        ("from=2026-01-01&to=2026-01-01", 200),
        ("from=9999-99-99", 422),
        ("to=" + "9" * 65, 422),
        ("site_id=" + "x" * 128, 200),
        ("site_id=" + "x" * 129, 422),
        ("site_id=a%00b", 422),
        ("task_id=pilot_task", 200),
        ("task_id=", 200),
        ("task_id=nobody%20used%20it", 404),
    ],
)
def test_filters_have_limits(service: Service, query: str, status: int) -> None:
    for path in (*AGGREGATES, *PERSONAL):
        reply = service.ask(f"{path}?{query}")
        assert reply.status_code == status, (path, reply.text)
        if status != 200:
            assert set(reply.json()["error"]) == {"code", "message", "details"}


@pytest.mark.parametrize(("limit", "status"), [(0, 422), (1, 200), (100, 200), (101, 422)])
def test_the_limit_of_a_trend(service: Service, limit: int, status: int) -> None:
    reply = service.ask(f"{PERSONAL[0]}?limit={limit}")
    assert reply.status_code == status


def test_every_route_honours_every_filter(service: Service) -> None:
    steps = (Fate(over_time=True),)
    service.put_in(
        Made(steps=steps, minute=MONTHS - 60),
        Made(steps=steps, minute=MONTHS - 3 * 24 * 60),
        Made(steps=steps, minute=MONTHS - 60, site="south"),
        Made(steps=steps, minute=MONTHS - 60, task="other"),
        Made(steps=steps, minute=MONTHS - 60, operator="op-2"),
    )
    for path in AGGREGATES:
        mine = {"task_id": "pilot_task", "site_id": "north", "operator_id_hash": "op-1"}
        assert service.get(path, **mine, days=2)["total_jobs"] == 1
        assert service.get(path, **mine)["total_jobs"] == 2
        assert service.get(path, task_id="pilot_task")["total_jobs"] == 4
        assert service.get(path, task_id="other")["total_jobs"] == 1
    for path in PERSONAL:
        assert service.get(path, task_id="pilot_task", site_id="north", days=2)["job_count"] == 1
        assert service.get(path, task_id="pilot_task", site_id="north")["job_count"] == 2
        assert service.get(path, task_id="pilot_task")["job_count"] == 3
        assert service.get(path, task_id="other")["job_count"] == 1


def test_a_day_includes_its_last_moment_and_not_the_next(service: Service) -> None:
    day = 24 * 60
    service.put_in(Made(minute=0), Made(minute=day - 0.001), Made(minute=day))
    span = {"from": "2026-01-01", "to": "2026-01-01"}
    assert service.get("/analytics", **span)["completed_jobs"] == 2


def test_a_new_score_shows_at_once(service: Service) -> None:
    """Kept answers end with the first change, whichever process makes it."""
    for count in (0, 1, 2):
        assert service.get("/analytics")["completed_jobs"] == count
        assert service.get("/analytics/compliance")["pass_count"] == count
        service.put_in(Made())


def test_an_audited_change_of_rows_shows_at_once(service: Service) -> None:
    service.put_in(Made(site="nroth"))
    assert service.get("/analytics")["by_site"][0]["site_id"] == "nroth"
    with service.database.write() as connection:
        connection.execute(update(videos).values(site_id="north"))
        record(connection, Actor("test"), Action.VIDEO_CHANGED, "video:1")
    assert service.get("/analytics")["by_site"][0]["site_id"] == "north"


def test_another_task_than_the_primary_has_figures_and_its_own_mark(service: Service) -> None:
    """Fault 43: only the primary task could be used."""
    service.put_in(Made(task="other", score=80.0))
    changed = service.ask("/task-profile?task_id=other", "PUT", json={"pass_score": 85})
    assert changed.status_code == 200
    found = service.get("/analytics/operators/op-1/projection")
    assert (found["task_id"], found["pass_threshold"], found["is_certified"]) == (
        "other",
        85.0,
        False,
    )


def test_names_of_steps_are_told(service: Service) -> None:
    service.put_in(Made(steps=(Fate(), Fate(missing=True))))
    steps = [{"step_index": 0}, {"step_index": 1, "name_ja": "部品取付"}]
    assert service.ask("/tasks/steps", "PUT", json={"steps": steps}).status_code == 200
    assert service.get("/analytics/steps")["steps"][1]["name_ja"] == "部品取付"
    [item] = service.get("/analytics/recommendations/op-1")["recommendations"]
    assert "手順2（部品取付）" in item["advice_ja"]


def test_an_operator_may_have_any_name(service: Service) -> None:
    service.put_in(Made(operator="オペ 3%"))
    found = service.get("/analytics/operators/%E3%82%AA%E3%83%9A%203%25/trend")
    assert (found["operator_id"], found["job_count"]) == ("オペ 3%", 1)


def test_the_path_and_the_query_must_name_one_operator(service: Service) -> None:
    assert service.ask(f"{PERSONAL[0]}?operator_id_hash=op-2").status_code == 422
    assert service.ask(f"{PERSONAL[0]}?operator_id_hash=op-1").status_code == 200


def test_roles_follow_the_contract() -> None:
    roles = {route.path: list(least_roles(route.dependant)) for route in analytics.router.routes}
    for path, role in roles.items():
        personal = "operator_id" in path
        assert role == [Access.OPERATOR if personal else Access.VIEWER], path
    assert len(roles) == 6


def test_a_viewer_cannot_reach_one_person_by_a_filter() -> None:
    chosen = ScoreFilter(operator_id="op-1")
    with pytest.raises(Forbidden, match="needs the role operator"):
        analytics._for_all(chosen, Principal("token:viewer", Access.VIEWER))
    assert analytics._for_all(chosen, Principal("token:operator", Access.OPERATOR)) == chosen


def _text(reply: Response) -> str:
    assert (reply.status_code, reply.headers["content-type"]) == (200, "application/pdf")
    return "\n".join(page.extract_text() for page in PdfReader(BytesIO(reply.content)).pages)


@pytest.mark.parametrize(("lang", "empty"), [("en", "All tasks"), ("ja", "すべて"), ("ru", "Все")])
def test_the_pdf_says_what_the_json_says(service: Service, lang: str, empty: str) -> None:
    service.put_in(
        Made(score=91.25, decision="pass", operator="op-α", site="north", verdict="pass"),
        Made(score=44.5, decision="retrain", operator="op-β", site="south"),
    )
    figures = service.get("/analytics")
    text = _text(service.ask("/analytics/report/pdf", params={"lang": lang}))
    shown = text.replace(",", ".")
    assert empty in text
    for name in (
        "op-α",
        "op-β",
        "north",
        "south",
        *(item["bucket"] for item in figures["score_distribution"]),
    ):
        assert name in text
    for key in ("avg_score", "min_score", "max_score"):
        assert f"{figures[key]:.1f}" in shown


def test_the_pdf_is_of_one_task_and_period_and_refuses_others(service: Service) -> None:
    service.put_in(
        Made(operator="op-here"), Made(operator="op-there", task="other", minute=MONTHS - 9)
    )
    text = _text(service.ask("/analytics/report/pdf", params={"task_id": "other", "days": 365}))
    assert "op-there" in text
    assert "op-here" not in text
    for query, status in (("task_id=nowhere", 404), ("days=0", 422), ("days=366", 422)):
        assert service.ask(f"/analytics/report/pdf?{query}").status_code == status
    assert _text(service.ask("/analytics/report/pdf?days=1"))
