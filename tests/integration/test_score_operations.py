"""What is done with scores over HTTP, on both databases: orders, reviews, views, rescoring."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient, Response
from service_parts import (
    Made,
    add,
    analyse_once,
    open_test_runtime,
    put_made,
    work,
    write_procedure,
)
from sqlalchemy import select

from sopilot.api import streams
from sopilot.api.app import create_app
from sopilot.core.records import Actor, Role
from sopilot.jobs import queries as jobs
from sopilot.jobs.records import JobState
from sopilot.library.schemas import UploadMeta
from sopilot.runtime import Runtime, close_runtime
from sopilot.sop import queries, tasks, versions
from sopilot.sop.rescore import rescore_task
from sopilot.sop.schemas import ScoreResult
from sopilot.store.audit import Action, breaks, rows_from
from sopilot.store.tables import jobs as job_rows
from sopilot.store.tables import profile_versions, score_steps

KEY = {"X-API-Key": "secret"}
VIDEOS = (("gold", Role.GOLD), ("swapped", Role.TRAINEE), ("slow", Role.GOLD))
"""Videos 1, 2 and 3."""
NAMED = [
    {"step_index": 0, "name_ja": "取外し", "name_en": "Remove", "start_sec": 0, "end_sec": 5},
    {"step_index": 1, "name_ja": "清掃", "name_en": "Clean", "start_sec": 5, "end_sec": 10},
    {"step_index": 2, "name_ja": "部品取付", "name_en": "Mount", "start_sec": 10, "end_sec": 15},
]


class Service:
    """Sends requests into the application; works on jobs when told to."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.app: FastAPI = create_app(runtime=runtime, with_workers=False)
        self.app.state.runtime = runtime
        self._transport = ASGITransport(self.app, raise_app_exceptions=False)

    def send(self, method: str, path: str, body: Any = None, **options: Any) -> Response:
        async def run() -> Response:
            async with AsyncClient(
                transport=self._transport, base_url="http://127.0.0.1", headers=KEY
            ) as client:
                return await client.request(method, path, json=body, **options)

        return asyncio.run(run())

    def json(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        response = self.send(method, path, body)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def error(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        response = self.send(method, path, body)
        found = response.json()
        assert set(found) == {"status", "error", "detail"}, found
        return response.status_code, found["error"]["code"]

    def finish(self, score_id: int) -> JobState:
        with self.runtime.database.read() as connection:
            job_id = queries.get_score(connection, score_id).job_id
        return work(self.runtime, job_id).state

    def scored(self, **order: Any) -> int:
        """A completed score of gold 1 and trainee 2."""
        wanted = {"gold_video_id": 1, "trainee_video_id": 2, **order}
        score_id: int = self.json("POST", "/score", wanted)["job_id"]
        assert self.finish(score_id) is JobState.COMPLETED
        return score_id

    def audit(self, action: Action) -> list[dict[str, Any]]:
        with self.runtime.database.read() as connection:
            rows = list(rows_from(connection))
        assert list(breaks(rows)) == []
        return [row for row in rows if row["action"] == action]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {
        "gold": write_procedure(folder / "gold.mp4", (0, 1, 2), 5.0),
        "swapped": write_procedure(folder / "swapped.mp4", (0, 2, 1), 5.0),
        "slow": write_procedure(folder / "slow.mp4", (0, 1, 2), 5.6),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> list[Made]:
    wanted = [(clips[name], role) for name, role in VIDEOS]
    return analyse_once(tmp_path_factory.mktemp("made"), wanted)


@pytest.fixture
def service(
    tmp_path: Path, database_url: str, clips: dict[str, Path], made: list[Made]
) -> Iterator[Service]:
    runtime = open_test_runtime(tmp_path, database_url, api_key="secret")
    put_made(runtime, made)
    for name, role in VIDEOS:
        assert work(runtime, add(runtime, clips[name], role).job.id).state is JobState.COMPLETED
    yield Service(runtime)
    close_runtime(runtime)


def test_a_batch_is_queued_whole_or_not_at_all(service: Service) -> None:
    good = {"gold_video_id": 1, "trainee_video_id": 2}
    bad = [{"gold_video_id": 2, "trainee_video_id": 1}, {"gold_video_id": 1, "trainee_video_id": 9}]
    refused = service.send("POST", "/score/batch", {"pairs": [good, bad[0], good, bad[1]]})
    assert refused.status_code == 422
    error = refused.json()["error"]
    assert error["code"] == "BATCH_REFUSED"
    assert [(e["index"], e["code"]) for e in error["details"]["errors"]] == [
        (1, "VIDEO_NOT_GOLD"),
        (3, "VIDEO_NOT_FOUND"),
    ]
    assert service.json("GET", "/score")["total"] == 0
    assert service.audit(Action.SCORE_REQUESTED) == []
    queued = service.json("POST", "/score/batch", {"pairs": [good, good]})
    assert (queued["count"], [job["status"] for job in queued["jobs"]]) == (2, ["queued"] * 2)
    assert service.json("GET", "/score")["total"] == 2
    by_uid = service.json("GET", f"/score/{queued['jobs'][0]['score_job_id']}")
    assert by_uid["job_id"] == queued["jobs"][0]["job_id"]


@pytest.mark.parametrize("count", [0, 51])
def test_a_batch_has_1_to_50_pairs(service: Service, count: int) -> None:
    pairs = [{"gold_video_id": 1, "trainee_video_id": 2}] * count
    assert service.error("POST", "/score/batch", {"pairs": pairs}) == (422, "VALIDATION_ERROR")


def test_an_ensemble_is_a_stored_job_with_a_consensus(service: Service) -> None:
    order = {"gold_video_ids": [1, 3], "trainee_video_id": 2}
    response = service.send("POST", "/score/ensemble", order)
    queued = response.json()
    assert (queued["status"], queued["decision"], queued["gold_count"]) == ("queued", None, 2)
    assert response.headers["Location"] == f"/score/{queued['job_id']}/ensemble"
    assert service.finish(queued["job_id"]) is JobState.COMPLETED
    done = service.json("GET", response.headers["Location"])
    result = ScoreResult.model_validate(done["best_result"])
    assert done["consensus_score"] == result.score
    assert (done["decision"], done["decision_source"]) == (result.summary.decision, "consensus")
    assert result.gold_video_ids == [1, 3]
    assert [row["gold_video_id"] for row in done["individual_results"]] == [1, 3]
    scores = done["individual_scores"]
    assert (done["min_score"], done["max_score"]) == (min(scores), max(scores))
    assert done["errors"] == []
    single = service.json("GET", f"/score/{service.scored()}")
    assert scores[0] == single["score"]
    again = service.json("POST", f"/score/{done['score_job_id']}/rerun")
    assert (again["kind"], again["gold_video_ids"]) == ("ensemble", [1, 3])


def test_an_ensemble_shares_the_marked_steps_with_every_gold(service: Service) -> None:
    service.json("PUT", "/tasks/steps", {"steps": NAMED})
    order = {"gold_video_ids": [1, 3], "trainee_video_id": 2}
    score_id = service.json("POST", "/score/ensemble", order)["job_id"]
    assert service.finish(score_id) is JobState.COMPLETED
    done = service.json("GET", f"/score/{score_id}/ensemble")
    assert done["best_result"]["steps_source"] == "marked"
    found = [f for row in done["individual_results"] for f in row["findings"]]
    assert {f["type"] for f in found} >= {"order_swap"}
    assert {f["step_index"] for f in found} <= {None, 0, 1, 2}


@pytest.mark.parametrize(
    ("golds", "expected"),
    [
        ([], (409, "INVALID_STATE")),
        ([1, 1], (409, "INVALID_STATE")),
        ([*range(1, 12)], (409, "INVALID_STATE")),
        ([2], (409, "VIDEO_NOT_GOLD")),
        ([99], (404, "VIDEO_NOT_FOUND")),
        ([0], (422, "VALIDATION_ERROR")),
    ],
)
def test_ensembles_that_cannot_be_scored(
    service: Service, golds: list[int], expected: tuple[int, str]
) -> None:
    order = {"gold_video_ids": golds, "trainee_video_id": 2}
    assert service.error("POST", "/score/ensemble", order) == expected
    assert service.json("GET", "/score")["total"] == 0


def test_a_review_is_shown_replaced_and_audited(service: Service) -> None:
    queued = service.json("POST", "/score", {"gold_video_id": 1, "trainee_video_id": 2})["job_id"]
    path = f"/score/{queued}/review"
    assert service.error("PUT", path, {"verdict": "pass"}) == (409, "INVALID_STATE")
    assert service.finish(queued) is JobState.COMPLETED
    decision = service.json("GET", f"/score/{queued}")["result"]["summary"]["decision"]
    first = service.json("PUT", path, {"verdict": "pass", "note": "問題なし"})
    assert (first["reviewer"], first["agrees"]) == ("token:api", decision == "pass")
    second = service.json("PUT", path, {"verdict": decision})
    assert (second["created_at"], second["note"]) == (first["created_at"], None)
    assert second["agrees"] is True
    shown = service.json("GET", f"/score/{queued}")["review"]
    assert shown == {k: second[k] for k in shown}
    details = [row["detail"] for row in service.audit(Action.SCORE_REVIEWED)]
    assert details[1]["old"] == details[0]["new"] == {"verdict": "pass", "note": "問題なし"}


@pytest.mark.parametrize(
    "body",
    [
        {"verdict": "good"},
        {"note": "x"},
        {"verdict": "pass", "note": "x" * 5001},
        {"verdict": "pass", "note": "a\x00b"},
        {"verdict": "pass", "by": "me"},
    ],
)
def test_bad_reviews(service: Service, body: dict[str, Any]) -> None:
    score_id = service.scored()
    path = f"/score/{score_id}/review"
    assert service.error("PUT", path, body) == (422, "VALIDATION_ERROR")
    assert service.json("GET", f"/score/{score_id}")["review"] is None
    assert service.error("PUT", "/score/999/review", {"verdict": "pass"})[0] == 404


def test_step_names_reach_comments_deviations_and_the_timeline(service: Service) -> None:
    service.json("PUT", "/tasks/steps", {"steps": NAMED})
    score_id = service.scored()
    result = service.json("GET", f"/score/{score_id}")["result"]
    [swap] = [d for d in result["deviations"] if d["type"] == "order_swap"]
    assert "手順2（清掃）" in swap["comment_ja"]
    assert "手順3（部品取付）" in swap["comment_ja"]
    assert "Step 2 (Clean)" in swap["comment_en"]
    assert (swap["gold_step"], swap["legacy_type"]) == (swap["step_index"], "order_swap")
    view = service.json("GET", f"/score/{score_id}/timeline")
    assert (view["total_steps"], view["decision"]) == (3, result["summary"]["decision"])
    assert [step["name_ja"] for step in view["steps"]] == ["取外し", "清掃", "部品取付"]
    assert view["steps"][1]["status"] == "swapped"
    assert swap in view["steps"][1]["deviations"]
    assert view["steps"][0]["deviations"] == []


def test_a_deviation_of_a_critical_step_fails(service: Service) -> None:
    """Fault 38: the flag of a definition decides."""
    service.json("PUT", "/tasks/steps", {"steps": [{**s, "is_critical": True} for s in NAMED]})
    summary = service.json("GET", f"/score/{service.scored()}")["result"]["summary"]
    assert (summary["decision"], summary["score_band"]) == ("fail", "poor")


def test_the_interval_is_the_stored_one_everywhere(service: Service) -> None:
    score_id = service.scored()
    result = service.json("GET", f"/score/{score_id}")["result"]
    view = service.json("GET", f"/score/{score_id}/uncertainty")
    assert view["uncertainty"] == result["uncertainty"]
    ends = view["uncertainty"]["ci_lower"], view["uncertainty"]["ci_upper"]
    assert ends == (result["confidence"]["ci_low"], result["confidence"]["ci_high"])
    assert ends[0] <= view["score"] == result["score"] <= ends[1]


@pytest.mark.parametrize("tail", ["timeline", "uncertainty", "export"])
def test_views_of_a_score_without_a_result(service: Service, tail: str) -> None:
    score_id = service.json("POST", "/score", {"gold_video_id": 1, "trainee_video_id": 2})["job_id"]
    assert service.error("GET", f"/score/{score_id}/{tail}") == (409, "INVALID_STATE")
    assert service.error("GET", f"/score/none/{tail}") == (404, "SCORE_JOB_NOT_FOUND")
    assert service.audit(Action.SCORES_EXPORTED) == []


def test_an_export_is_the_same_json_and_is_recorded(service: Service) -> None:
    score_id = service.scored()
    service.json("PUT", f"/score/{score_id}/review", {"verdict": "fail"})
    response = service.send("GET", f"/score/{score_id}/export")
    assert response.json() == service.json("GET", f"/score/{score_id}")
    assert f"sopilot_job{score_id}.json" in response.headers["Content-Disposition"]
    [row] = service.audit(Action.SCORES_EXPORTED)
    assert (row["resource"], row["actor"]) == (f"score:{score_id}", "token:api")


def test_the_csv_is_safe_filtered_and_recorded(
    service: Service, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopilot.sop.export.PIECE", 2)
    hostile = "=HYPERLINK(1)"
    meta = UploadMeta(operator_id_hash=hostile, site_id="north")
    other = add(service.runtime, clips["swapped"], meta=meta, is_forced=True)
    assert work(service.runtime, other.job.id).state is JobState.COMPLETED
    ids = [service.scored() for _ in range(3)]
    ids.append(service.scored(trainee_video_id=other.video.id))
    service.json("POST", "/score", {"gold_video_id": 1, "trainee_video_id": 2})
    response = service.send("GET", "/score/export/csv")
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert (
        list(rows[0])
        == (
            "job_id task_id gold_video_id trainee_video_id operator_id_hash site_id score decision "
            "miss_steps swap_steps deviation_steps over_time_ratio dtw_normalized_cost created_at "
            "finished_at"
        ).split()
    )
    assert [int(row["job_id"]) for row in rows] == ids[::-1]
    assert rows[0]["operator_id_hash"] == f"'{hostile}"
    result = service.json("GET", f"/score/{ids[0]}")["result"]
    assert float(rows[-1]["score"]) == result["score"]
    assert int(rows[-1]["swap_steps"]) == result["metrics"]["swap_steps"]
    for query, count in (
        ("site_id=north", 1),
        ("operator_id=%3DHYPERLINK(1)", 1),
        ("task_id=other", 0),
        ("since=2020-01-01", 4),
        ("before=2020-01-01", 0),
        (f"decision={result['summary']['decision']}", 4),
    ):
        text = service.send("GET", f"/score/export/csv?{query}").text
        assert len(text.splitlines()) == count + 1, query
    detail = service.audit(Action.SCORES_EXPORTED)[1]["detail"]
    assert detail == {"form": "csv", "filters": {"site_id": "north"}}
    assert service.error("GET", "/score/export/csv?since=soon") == (422, "VALIDATION_ERROR")


def events_of(text: str) -> list[tuple[str, dict[str, Any], str | None]]:
    found = []
    for block in text.split("\n\n"):
        fields = dict(
            line.split(": ", 1) for line in block.splitlines() if not line.startswith(":")
        )
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"]), fields.get("id")))
    return found


def test_a_finished_score_streams_its_end_once(service: Service) -> None:
    score_id = service.scored()
    response = service.send("GET", f"/score/{score_id}/stream")
    assert response.headers["content-type"].startswith("text/event-stream")
    (kind, told, first), (end, last, second) = events_of(response.text)
    done = service.json("GET", f"/score/{score_id}")
    assert (kind, end) == ("status", "done")
    assert (told["status"], told["score"]) == ("completed", done["score"])
    assert told["decision"] == done["result"]["summary"]["decision"]
    assert last == {"job_id": score_id, "final_status": "completed"}
    resumed = service.send(
        "GET", f"/score/{score_id}/stream", headers={"Last-Event-ID": str(first)}
    )
    assert [event[0] for event in events_of(resumed.text)] == ["done"]
    over = service.send("GET", f"/score/{score_id}/stream", headers={"Last-Event-ID": str(second)})
    assert (over.status_code, over.content) == (204, b"")


def test_a_stream_of_nothing_is_an_envelope(service: Service) -> None:
    assert service.error("GET", "/score/999/stream") == (404, "SCORE_JOB_NOT_FOUND")
    assert service.error("GET", "/score/1/stream?poll_interval=0.1") == (422, "VALIDATION_ERROR")


def test_a_stream_follows_the_row_beats_and_ends_when_the_server_stops(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SEC", 0.0)
    score_id = service.json("POST", "/score", {"gold_video_id": 1, "trainee_video_id": 2})["job_id"]
    stopping: list[bool] = []

    async def follow() -> list[bytes]:
        response = await streams.score_stream(
            service.runtime, str(score_id), 0.5, None, lambda: bool(stopping), nullcontext()
        )
        found: list[bytes] = []
        async for part in response.body_iterator:  # type: ignore[attr-defined]
            found.append(part)
            if part == streams.KEEPALIVE_COMMENT and len(found) == 3:
                await asyncio.to_thread(service.json, "POST", f"/score/{score_id}/cancel")
        return found

    text = b"".join(asyncio.run(follow())).decode()
    assert ": ping" in text
    told = [(kind, data.get("status")) for kind, data, _ in events_of(text)]
    assert told == [("status", "queued"), ("status", "cancelled"), ("done", None)]
    stopping.append(True)
    second = service.json("POST", "/score", {"gold_video_id": 1, "trainee_video_id": 2})["job_id"]
    score_id = second
    assert [kind for kind, _, _ in events_of(b"".join(asyncio.run(follow())).decode())] == [
        "status"
    ]


def test_a_cancel_names_who_asked_and_stays(service: Service) -> None:
    score_id = service.json("POST", "/score", {"gold_video_id": 1, "trainee_video_id": 2})["job_id"]
    assert service.json("POST", f"/score/{score_id}/cancel")["status"] == "cancelled"
    [row] = service.audit(Action.SCORE_CANCELLED)
    assert (row["actor"], row["detail"]) == ("token:api", {"was_running": False})
    assert service.finish(score_id) is JobState.CANCELLED
    assert service.error("POST", f"/score/{score_id}/cancel") == (409, "JOB_FINISHED")
    assert len(service.audit(Action.SCORE_CANCELLED)) == 1
    again = service.json("POST", f"/score/{score_id}/rerun")
    assert (again["status"], again["job_id"] != score_id) == ("queued", True)


def test_a_running_score_that_is_cancelled_never_completes(service: Service) -> None:
    """Fault 14: the request is recorded under its person, the end under the worker."""
    score_id = service.json("POST", "/score", {"gold_video_id": 1, "trainee_video_id": 2})["job_id"]
    with service.runtime.database.write() as connection:
        job_id = queries.get_score(connection, score_id).job_id
        held = jobs.claim(connection, "worker", 30.0, kinds=["sop.score"], job_id=job_id)
    assert held is not None
    assert service.json("POST", f"/score/{score_id}/cancel")["status"] == "running"
    with (
        pytest.raises(Exception, match="cancelled"),
        service.runtime.database.write() as connection,
    ):
        jobs.complete(connection, held)
    with service.runtime.database.write() as connection:
        connection.execute(
            job_rows.update().where(job_rows.c.id == job_id).values(lease_until="2020")
        )
    assert service.finish(score_id) is JobState.CANCELLED
    found = [(row["actor"], row["outcome"]) for row in service.audit(Action.SCORE_CANCELLED)]
    assert found == [("token:api", "ok"), ("system:worker", "failed")]
    assert service.json("GET", f"/score/{score_id}")["result"] is None


def test_a_rescore_decides_anew_and_keeps_what_was(service: Service) -> None:
    first, second = service.scored(), service.scored(weights={"w_swap": 0.0, "w_miss": 1.0})
    before = {i: service.json("GET", f"/score/{i}") for i in (first, second)}
    service.json("PUT", "/task-profile", {"pass_score": 100, "retrain_score": 99.99})
    dry = service.json("POST", "/admin/rescore?dry_run=true")
    assert (dry["total_jobs_processed"], dry["dry_run"]) == (2, True)
    assert {i: service.json("GET", f"/score/{i}") for i in before} == before
    assert service.audit(Action.SCORES_RESCORED) == []
    done = service.json("POST", "/admin/rescore")
    assert done == {**dry, "dry_run": False}
    old = before[first]["result"]["summary"]["decision"]
    after = service.json("GET", f"/score/{first}")
    assert after["result"]["summary"]["decision"] == "retrain"
    assert done["breakdown"][f"{old} -> retrain"] >= 1
    assert done["decisions_changed"] == sum(done["breakdown"].values())
    assert after["finished_at"] == before[first]["finished_at"]
    assert after["result"]["profile_version"] == 2
    [row] = service.audit(Action.SCORES_RESCORED)
    kept = {item["score_id"]: item["old"] for item in row["detail"]["changes"]}
    assert (kept[first]["decision"], kept[first]["profile_version"]) == (old, 1)
    assert kept[second]["score"] == before[second]["score"]
    assert service.json("POST", "/admin/rescore")["results_changed"] == 0
    assert len(service.audit(Action.SCORES_RESCORED)) == 1


def test_a_rescore_goes_in_pieces_and_keeps_the_rows_of_steps_right(service: Service) -> None:
    ids = [service.scored() for _ in range(3)]
    service.json("PUT", "/task-profile", {"deviation_policy": {"order_swap": "critical"}})
    with service.runtime.database.write() as connection:
        stored = connection.execute(select(score_steps).order_by(score_steps.c.score_id)).all()
        connection.execute(score_steps.delete())
    done = rescore_task(service.runtime, "pilot_task", Actor("test"), piece=2)
    assert (done.total_jobs_processed, done.results_changed) == (3, 3)
    assert len(service.audit(Action.SCORES_RESCORED)) == 2
    with service.runtime.database.read() as connection:
        again = connection.execute(select(score_steps).order_by(score_steps.c.score_id)).all()
        listed, _ = queries.list_scores(connection, status=None, task_id=None, limit=9, offset=0)
    assert [row[1:] for row in again] == [row[1:] for row in stored]
    assert {row.id: row.decision for row in listed} == dict.fromkeys(ids, "fail")


def test_a_rescore_of_steps_that_were_defined_later(service: Service) -> None:
    score_id = service.scored()
    spans = service.json("GET", f"/score/{score_id}")["result"]["timeline"]
    names = [{"step_index": i, "name_ja": f"工程{i}"} for i in range(len(spans))]
    service.json("PUT", "/tasks/steps", {"steps": names})
    assert service.json("POST", "/admin/rescore")["steps_outdated"] == 0
    view = service.json("GET", f"/score/{score_id}/timeline")
    assert [step["name_ja"] for step in view["steps"]] == [name["name_ja"] for name in names]
    service.json("PUT", "/tasks/steps", {"steps": [*names, {"step_index": len(names)}]})
    assert service.json("POST", "/admin/rescore")["steps_outdated"] == 1


def test_a_rescore_of_an_unknown_task(service: Service) -> None:
    assert service.error("POST", "/admin/rescore?task_id=none") == (404, "TASK_NOT_FOUND")


def test_every_change_is_a_version_with_its_author(service: Service) -> None:
    service.json("PUT", "/task-profile", {"pass_score": 80})
    service.json("PUT", "/task-profile", {"pass_score": 80})
    service.json("PUT", "/tasks/steps", {"steps": NAMED})
    service.json("PUT", "/tasks/steps", {"steps": NAMED})
    assert service.scored()
    service.json("DELETE", "/tasks/steps")
    service.json("DELETE", "/tasks/steps")
    page = service.json("GET", "/task-profile/versions")
    assert [item["version"] for item in page["items"]] == [4, 3, 2, 1]
    assert [len(item["steps"]) for item in page["items"]] == [0, 3, 0, 0]
    assert [item["changed_by"] for item in page["items"]] == [*["token:api"] * 3, "system:settings"]
    assert page["items"][1]["steps"][0]["name_ja"] == "取外し"
    assert (page["items"][3]["pass_score"], page["items"][2]["pass_score"]) == (60, 80)
    assert service.json("GET", "/task-profile/versions?limit=1&offset=3")["has_more"] is False
    assert service.json("GET", "/score/1")["result"]["profile_version"] == 3
    [change] = service.audit(Action.PROFILE_CHANGED)
    assert change["detail"]["old"] == {"pass_score": 60.0, "version": 1}
    assert change["detail"]["new"] == {"pass_score": 80.0, "version": 2}
    [steps] = service.audit(Action.STEPS_CHANGED)
    assert (steps["detail"]["old"], len(steps["detail"]["new"])) == ([], 3)
    [gone] = service.audit(Action.STEPS_DELETED)
    assert (len(gone["detail"]["old"]), gone["detail"]["version"]) == (3, 4)
    assert service.error("GET", "/task-profile/versions?task_id=none") == (404, "TASK_NOT_FOUND")


def test_a_task_that_is_older_than_the_versions_keeps_its_former_profile(service: Service) -> None:
    with service.runtime.database.write() as connection:
        connection.execute(profile_versions.delete())
    service.json("PUT", "/task-profile", {"pass_score": 80})
    with service.runtime.database.read() as connection:
        rows, total = versions.list_versions(connection, "pilot_task", 10, 0)
    assert [(row.version, row.changed_by) for row in rows] == [
        (2, "token:api"),
        (1, versions.UNKNOWN),
    ]
    assert (rows[1].profile["pass_score"], total) == (60.0, 2)


def test_any_number_of_tasks_can_be_used(service: Service) -> None:
    """Fault 43: another task's profile is made by its first change."""
    for name in ("drill", "paint"):
        made = service.json("PUT", f"/task-profile?task_id={name}", {"task_name": name.title()})
        assert (made["task_id"], made["task_name"]) == (name, name.title())
        service.json("PUT", f"/tasks/steps?task_id={name}", {"steps": NAMED})
    listed = {item["task_id"]: item for item in service.json("GET", "/tasks")["tasks"]}
    assert set(listed) == {"pilot_task", "drill", "paint"}
    assert (listed["pilot_task"]["gold_count"], listed["pilot_task"]["video_count"]) == (2, 3)


def test_proposed_steps_are_shown_not_stored_and_can_be_confirmed(service: Service) -> None:
    found = service.json("GET", "/tasks/steps/proposal")
    assert (found["gold_video_id"], found["step_count"]) == (1, len(found["steps"]))
    assert (found["steps"][0]["start_sec"], found["steps"][-1]["end_sec"]) == (0, 15.0)
    assert service.json("GET", "/tasks/steps")["step_count"] == 0
    stored = service.json("PUT", "/tasks/steps", {"steps": found["steps"]})
    assert stored["steps"] == found["steps"]
    names = [{"step_index": i, "name_en": f"Act {i}"} for i in range(3)]
    service.json("PUT", "/tasks/steps", {"steps": names})
    named = service.json("GET", "/tasks/steps/proposal")["steps"]
    assert [step["name_en"] for step in named] == ["Act 0", "Act 1", "Act 2"]
    assert all(step["end_sec"] > step["start_sec"] for step in named)
    assert service.error("GET", "/tasks/steps/proposal?task_id=none") == (409, "INVALID_STATE")


@pytest.mark.parametrize(
    ("steps", "named"),
    [
        ([{"step_index": 0, "min_duration_sec": -1}], "steps[0]"),
        ([{"step_index": 0}, {"step_index": 1, "expected_duration_sec": "long"}], "steps[1]"),
        ([{"step_index": 0, "is_critical": "yes"}], "steps[0]"),
        ([{"step_index": 10**400}], "steps[0]"),
        ([{"step_index": 0, "name_ja": "a\x00"}], "steps[0]"),
        ([{"step_index": 0, "name_ja": {"a": [1]}}], "steps[0]"),
        ([{"step_index": 0, "start_sec": 1}], "steps[0]"),
        ([{"step_index": 0, "min_duration_sec": 9, "max_duration_sec": 1}], "steps[0]"),
        ([{"step_index": 1}], "steps[0]"),
        ([{}], "steps[0]"),
    ],
)
def test_bad_step_definitions_name_the_item(
    service: Service, steps: list[dict[str, Any]], named: str
) -> None:
    """Fault 44: never 500, nothing stored."""
    response = service.send("PUT", "/tasks/steps", {"steps": steps})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (422, "BAD_STEPS"), response.text
    assert error["message"].startswith(named)
    assert service.json("GET", "/task-profile/versions")["total"] == 1


def test_soft_dtw_of_two_videos(service: Service) -> None:
    pair = {"gold_video_id": 1, "trainee_video_id": 2}
    found = service.json("POST", "/research/soft-dtw", {**pair, "gamma": 0.01})
    count = service.json("GET", "/videos/1")["clip_count"]
    assert count <= found["alignment_path_length"] < 2 * count
    own = service.json("POST", "/research/soft-dtw", {**pair, "trainee_video_id": 1, "gamma": 0.01})
    assert own["normalized_cost"] < found["normalized_cost"]
    assert own["alignment_path_length"] == count
    length = found["soft_dtw_distance"] / found["alignment_path_length"]
    assert found["normalized_cost"] == pytest.approx(length, abs=1e-5)
    for bad in (0, -1, 1e9, "x"):
        body = {**pair, "gamma": bad}
        assert service.error("POST", "/research/soft-dtw", body) == (422, "VALIDATION_ERROR")
    foreign = {"gold_video_id": 2, "trainee_video_id": 1}
    assert service.error("POST", "/research/soft-dtw", foreign) == (409, "VIDEO_NOT_GOLD")


def test_soft_dtw_refuses_long_videos(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sopilot.sop.soft_distance.MOST_CLIPS", 10)
    pair = {"gold_video_id": 1, "trainee_video_id": 2}
    response = service.send("POST", "/research/soft-dtw", pair)
    assert response.status_code == 422
    assert "at most 10" in response.json()["detail"]


def test_lists_carry_both_names(service: Service) -> None:
    score_id = service.scored()
    [item] = service.json("GET", "/score")["items"]
    assert (item["id"], item["job_id"], item["kind"]) == (score_id, score_id, "score")
    assert (item["requested_by"], item["queued_at"]) == ("token:api", item["created_at"])
    assert (item["error"], item["error_message"]) == (None, None)


@pytest.mark.parametrize(
    "path",
    [
        "/task-profile/versions?task_id=%00",
        "/score/export/csv?site_id=a%00b",
        "/score/a%00b/stream",
        "/tasks/steps/proposal?task_id=a%00",
    ],
)
def test_an_address_with_a_nul_is_refused(service: Service, path: str) -> None:
    """PostgreSQL refuses such texts, SQLite finds nothing: one answer for both."""
    assert service.error("GET", path) == (422, "VALIDATION_ERROR")


def test_a_rescored_result_without_interval_still_has_its_report(service: Service) -> None:
    service.json("PUT", "/task-profile", {"default_weights": {"w_swap": 0}})
    score_id = service.scored()
    before = service.json("GET", f"/score/{score_id}")["score"]
    service.json("PUT", "/task-profile", {"default_weights": {"w_swap": 0.9}})
    service.json("POST", "/admin/rescore")
    done = service.json("GET", f"/score/{score_id}")
    assert done["score"] == done["result"]["score"] < before
    assert service.json("GET", f"/score/{score_id}/uncertainty")["uncertainty"] is None
    for language in ("ja", "en"):
        page = service.send("GET", f"/score/{score_id}/report?lang={language}")
        assert (page.status_code, f'lang="{language}"' in page.text) == (200, True)


def test_first_uses_of_a_task_at_the_same_time_make_one(service: Service) -> None:
    runtime = service.runtime
    starting = threading.Barrier(4)

    def change(number: int) -> int:
        starting.wait()
        with runtime.database.write() as connection:
            return tasks.change_profile(
                connection, runtime.settings, "drill", {"pass_score": 90 + number}, Actor("test")
            ).version

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(change, range(4)))
    assert sorted(found) == [2, 3, 4, 5]
    with runtime.database.read() as connection:
        rows, _ = versions.list_versions(connection, "drill", 10, 0)
    assert [row.version for row in rows] == [5, 4, 3, 2, 1]
