"""Footage from upload to index, search and answers over HTTP, on both databases."""

from __future__ import annotations

import base64
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from httpx import Client
from qdrant_client import QdrantClient
from service_parts import files_below, open_test_runtime, work
from test_api_service import serving
from vigil_parts import TALK, answers_with, write_footage
from vlm_server import MODEL, Asked, Script, clocks, red_share, serving_model

from sopilot.api import vigil as api_vigil
from sopilot.api.app import create_app
from sopilot.core.errors import DiskFull, JobNotFound, StoreError
from sopilot.core.timespan import TimeSpan
from sopilot.jobs.records import JobState
from sopilot.library import queries as library
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.vector_server import VectorServer
from sopilot.vigil import jobs as vigil_jobs
from sopilot.vigil import queries as vigil
from sopilot.vigil.add import INDEX_KIND
from sopilot.vigil.levels import LONGEST_MICRO_SEC
from sopilot.vigil.rebuild import rebuild_chunks
from sopilot.vigil.retention import expire
from sopilot.worker import kinds_of


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("footage")
    return {
        "yard": write_footage(folder / "yard.mp4"),
        "gate": write_footage(folder / "gate.mp4", (("red", 20, 25),), 40.0, seed=9),
        "short": write_footage(folder / "short.mp4", (), 5.0, seed=3),
    }


Open = Callable[..., tuple[Runtime, Client]]


def opener(stack: ExitStack, folder: Path, database_url: str | None) -> Open:
    def make(script: Script | None = None, **changes: Any) -> tuple[Runtime, Client]:
        if script is not None:
            changes |= {"vlm_url": stack.enter_context(serving_model(script)), "vlm_attempts": 2}
        runtime = open_test_runtime(folder, database_url, **changes)
        stack.callback(close_runtime, runtime)
        client = stack.enter_context(serving(create_app(runtime=runtime, with_workers=False)))
        return runtime, client

    return make


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:
        yield opener(stack, tmp_path, None)


@pytest.fixture
def opened_on_both(tmp_path: Path, database_url: str) -> Iterator[Open]:
    with ExitStack() as stack:
        yield opener(stack, tmp_path, database_url)


def send(client: Client, path: Path, **fields: str) -> dict[str, Any]:
    with path.open("rb") as stream:
        reply = client.post(
            "/vigil/videos", files={"file": (path.name, stream, "video/mp4")}, data=fields
        )
    assert reply.status_code in (200, 201), reply.text
    found: dict[str, Any] = reply.json()
    return found


def index(runtime: Runtime, client: Client, video: str, **order: str) -> dict[str, Any]:
    """Ask for an index and work on all that it needs; the status afterwards."""
    reply = client.post(f"/vigil/videos/{video}/index", json=order or None)
    assert reply.status_code == 202, reply.text
    with runtime.database.read() as connection:
        ingest = library.get_video(connection, video).ingest_job_id
    assert ingest is not None
    work(runtime, ingest)
    with runtime.database.read() as connection:
        job = vigil.get_footage(connection, video).job_id
    assert job is not None
    assert work(runtime, job).state is JobState.COMPLETED
    status: dict[str, Any] = client.get(f"/vigil/status/{video}").json()
    return status


def indexed(runtime: Runtime, client: Client, path: Path, **fields: str) -> str:
    video = str(send(client, path, **fields)["video_id"])
    index(runtime, client, video)
    return video


def put_talk(client: Client, video: str, text: str = TALK) -> None:
    reply = client.put(
        f"/vigil/videos/{video}/transcript", content=text, headers={"content-type": "text/vtt"}
    )
    assert reply.status_code == 200, reply.text


def found(client: Client, **order: Any) -> dict[str, Any]:
    reply = client.post("/vigil/search", json=order)
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    return body


def test_a_video_is_indexed_at_four_levels(opened_on_both: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened_on_both()
    sent = send(client, clips["yard"], domain="surveillance", camera_id="yard-1")
    assert (sent["status"], sent["state"], sent["indexed"]) == ("processing", "none", False)
    again = send(client, clips["yard"])
    assert (again["video_id"], again["duplicate"]) == (sent["video_id"], True)
    status = index(runtime, client, sent["video_id"])
    assert (status["state"], status["indexed"]) == ("ready", True)
    assert status["duration_sec"] == pytest.approx(60.0, abs=0.2)
    assert status["covered_sec"] == pytest.approx(60.0, abs=0.2)
    # Surveillance: 4, 16 and 64 s, each moved on by half of it.
    assert status["counts"] == {"shot": 1, "micro": 29, "meso": 7, "macro": 1}
    other = index(runtime, client, sent["video_id"], domain="generic")
    assert other["counts"] == {"shot": 1, "micro": 39, "meso": 9, "macro": 2}
    assert client.get("/videos").json()["total"] == 0


def test_a_short_video_has_every_level(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened()
    status = index(runtime, client, send(client, clips["short"])["video_id"])
    assert status["counts"] == {"shot": 1, "micro": 3, "meso": 1, "macro": 1}
    assert status["skipped_sec"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize(
    ("query", "start_sec"),
    [
        ("blocked forklifts", 8.0),
        ("водители остановили", 30.0),
        ("フォークリフト 停止", 44.0),
    ],
)
def test_words_find_what_was_said_in_three_languages(
    opened_on_both: Open, clips: dict[str, Path], query: str, start_sec: float
) -> None:
    runtime, client = opened_on_both()
    video = indexed(runtime, client, clips["yard"])
    put_talk(client, video)
    body = found(client, query=f"{query} zebra")
    first = body["results"][0]
    assert (first["video_id"], first["start_sec"]) == (video, start_sec)
    assert first["level"] == "transcript"
    assert "transcript text match" in first["why_relevant"]
    assert first["keyframes"][0]["time_sec"] == pytest.approx(start_sec, abs=1.0)
    assert [told for told in body["unknowns"] if "zebra" in told]
    picture = client.get(first["keyframes"][0]["url"])
    assert picture.headers["content-type"] == "image/jpeg"
    outside = found(client, query=query, time_range={"start_sec": 50, "end_sec": 60})
    assert outside["num_results"] == 0


def test_a_moment_finds_what_looks_like_it_in_all_videos(
    opened: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened()
    yard = indexed(runtime, client, clips["yard"], camera_id="yard-1")
    gate = indexed(runtime, client, clips["gate"], camera_id="gate-1")
    body = found(client, like={"video_id": yard, "time_sec": 11.0}, top_k=5)
    own = [r for r in body["results"] if r["video_id"] == yard]
    assert own
    assert all(not (r["start_sec"] <= 11.0 <= r["end_sec"]) for r in own)
    there = [r for r in body["results"] if r["video_id"] == gate]
    assert there
    assert any(r["start_sec"] < 25 and r["end_sec"] > 20 for r in there)
    only = found(client, like={"video_id": yard, "time_sec": 11.0}, camera_id="gate-1")
    assert {r["video_id"] for r in only["results"]} == {gate}
    assert "visual similarity" in only["results"][0]["why_relevant"]


def test_a_picture_finds_the_place_it_shows(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened()
    yard = indexed(runtime, client, clips["yard"])
    indexed(runtime, client, clips["gate"])
    shown = client.get(f"/vigil/videos/{yard}/keyframe?time_sec=33").content
    body = found(client, image_b64=base64.b64encode(shown).decode(), top_k=3)
    assert {r["video_id"] for r in body["results"][:1]} == {yard}
    first = body["results"][0]
    assert first["start_sec"] < 36
    assert first["end_sec"] > 30


def test_without_a_model_passages_answer_or_nothing_does(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened_on_both()
    video = indexed(runtime, client, clips["yard"])
    put_talk(client, video)
    reply = client.post("/vigil/query", json={"question": "What is blocked by the red crate?"})
    body = reply.json()
    assert reply.status_code == 200
    assert (body["method"], body["confidence"], body["llm_model"]) == ("extractive", None, None)
    assert "The forklift is blocked by a red crate." in body["answer"]
    (evidence,) = body["evidence"]
    assert (evidence["start_sec"], evidence["end_sec"]) == (8.0, 11.0)
    assert f"[{evidence['id']}]" in body["answer"]
    none = client.post("/vigil/ask", json={"question": "Who painted the ceiling yellow?"}).json()
    assert none["answer"] == "Not in the indexed text."
    assert none["evidence"] == []
    assert {"painted", "ceiling"} <= set(none["unknowns"])
    good = client.post(
        f"/vigil/queries/{body['query_id']}/feedback", json={"feedback": "good", "comment": "yes"}
    )
    assert (good.json()["feedback"], good.json()["feedback_comment"]) == ("good", "yes")
    assert [item["feedback"] for item in client.get("/vigil/queries").json()["items"]] == [
        None, "good",
    ]  # fmt: skip


def test_a_model_sees_the_retrieved_spans_only_and_cites_them(
    opened: Open, clips: dict[str, Path]
) -> None:
    def see(asked: Asked) -> Any:
        red = any(red_share(item.pixels) > 0.05 for item in asked.pictures)
        text = "A red crate blocks the forklift." if red else "No crate is seen."
        return answers_with(asked, {"sentences": [(text, None)], "unknowns": ["who did it"]})

    script = Script(see, wants_schema=True)
    runtime, client = opened(script)
    video = indexed(runtime, client, clips["yard"])
    put_talk(client, video)
    order = {"question": "What blocks the forklift?", "top_k": 1, "enable_rerank": False}
    told = client.post("/vigil/query", json=order).json()
    assert told["method"] == "vlm"
    assert told["answer"] == "A red crate blocks the forklift. [E1]"
    assert told["unknowns"] == ["who did it"]
    (asked,) = script.asked
    burned = clocks(asked.pictures)
    assert len(burned) >= 2
    assert all(time is not None and 7.4 <= time <= 11.6 for time in burned)
    stated = [item.time_sec for item in asked.pictures]
    assert stated == pytest.approx(burned, abs=0.06)


def test_what_cites_nothing_is_not_supported(opened: Open, clips: dict[str, Path]) -> None:
    def see(asked: Asked) -> Any:
        return answers_with(asked, {"sentences": [("It was the butler.", ["E77"])]})

    script = Script(see, wants_schema=True)
    runtime, client = opened(script)
    put_talk(client, indexed(runtime, client, clips["yard"]))
    order = {"question": "Who blocked the forklift?", "enable_rerank": False}
    told = client.post("/vigil/query", json=order).json()
    assert told["answer"] == "Not supported by the footage that was found."
    assert told["evidence"] == []
    assert told["unknowns"] == ["Who blocked the forklift?"]
    assert len(script.asked) == 2


CRATES = """WEBVTT

00:20.000 --> 00:23.000
Crate? No crate here, crate free.

00:30.000 --> 00:33.000
There is no crate.

00:09.000 --> 00:12.000
Look at that crate over there by the wall.
"""


def test_a_model_puts_moments_in_order_by_what_they_show(
    opened: Open, clips: dict[str, Path]
) -> None:
    def see(asked: Asked) -> Any:
        red = any(red_share(item.pixels) > 0.05 for item in asked.pictures)
        if "relevant" in (asked.schema or {})["properties"]:
            return {"relevant": red}
        return answers_with(asked, {"sentences": [("A red crate." if red else "None.", None)]})

    script = Script(see, wants_schema=True, has_logprobs=True)
    runtime, client = opened(script, vigil_rerank_count=3)
    put_talk(client, indexed(runtime, client, clips["yard"]), CRATES)
    plain = found(client, query="crate", top_k=3)["results"]
    assert [item["start_sec"] for item in plain] == [20.0, 30.0, 9.0]
    assert script.asked == []
    ordered = found(client, query="crate", top_k=3, rerank=True)
    assert [item["start_sec"] for item in ordered["results"]] == [9.0, 20.0, 30.0]
    assert "the model gives it 0.90" in ordered["results"][0]["why_relevant"]
    assert "the model gives it 0.10" in ordered["results"][2]["why_relevant"]
    assert ordered["timings_sec"]["rerank"] > 0
    assert len(script.asked) == 3
    spans = [(r["start_sec"], r["end_sec"]) for r in ordered["results"]]
    for asked in script.asked:
        times = clocks(asked.pictures)
        assert any(
            all(t is not None and start - 0.6 <= t <= end + 0.6 for t in times)
            for start, end in spans
        )
    told = client.post("/vigil/query", json={"question": "Where is a crate?", "top_k": 1}).json()
    assert told["answer"] == "A red crate. [E1]"
    assert told["evidence"][0]["start_sec"] == 9.0


def test_stages_and_model_calls_are_counted(opened: Open, clips: dict[str, Path]) -> None:
    script = Script(
        lambda asked: answers_with(asked, {"sentences": [("A crate.", None)]}), wants_schema=True
    )
    runtime, client = opened(script, vigil_rerank_count=2, vlm_concurrency=1)
    put_talk(client, indexed(runtime, client, clips["yard"]), CRATES)
    script.faults += ["foreign"] * 2
    order = {"question": "Where is a crate?", "top_k": 2}
    client.post("/vigil/query", json=order).raise_for_status()
    told = client.get("/metrics").text
    stages = ("index_describe", "index_store", "search", "rerank", "answer")
    for stage in stages:
        assert f'sopilot_vigil_stage_seconds_count{{stage="{stage}"}} 1.0' in told
    for purpose, outcome in (("rerank", "answered"), ("rerank", "failed"), ("answer", "answered")):
        labels = f'{{outcome="{outcome}",purpose="{purpose}"}}'
        assert f"sopilot_model_calls_total{labels} 1.0" in told
    assert 'sopilot_vigil_index_jobs_total{status="completed"} 1.0' in told
    assert 'sopilot_queue_depth{queue_name="vigil_detect"} 0.0' in told


def test_no_more_videos_are_indexed_at_once_than_the_setting_says(
    opened: Open, clips: dict[str, Path]
) -> None:
    runtime, _ = opened(vigil_concurrent_indexing=2)
    assert kinds_of(runtime)[INDEX_KIND].most_at_once == 2


def test_what_a_model_cannot_judge_keeps_its_place_and_is_told(
    opened: Open, clips: dict[str, Path]
) -> None:
    script = Script(lambda _: {"relevant": False}, wants_schema=True)
    runtime, client = opened(script, vigil_rerank_count=3, vlm_attempts=1, vlm_concurrency=1)
    put_talk(client, indexed(runtime, client, clips["yard"]), CRATES)
    script.faults += ["foreign"] * 2
    body = found(client, query="crate", top_k=3, rerank=True)
    assert [item["start_sec"] for item in body["results"]] == [20.0, 30.0, 9.0]
    assert body["unknowns"] == ["1 of 3 moments that the model could not judge"]


def test_without_a_model_nothing_is_put_in_order(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened()
    put_talk(client, indexed(runtime, client, clips["yard"]))
    reply = client.post("/vigil/search", json={"query": "crate", "rerank": True})
    assert (reply.status_code, reply.json()["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert "SOPILOT_VLM_URL" in reply.json()["detail"]


def test_a_model_that_is_not_there_is_told_and_nothing_is_kept(
    opened: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened(vlm_url="http://127.0.0.1:9/v1", vlm_model="x", vlm_attempts=1)
    put_talk(client, indexed(runtime, client, clips["yard"]))
    reply = client.post("/vigil/query", json={"question": "What blocks the forklift?"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "MODEL_UNAVAILABLE")
    assert client.get("/vigil/queries").json()["total"] == 0


def test_what_is_not_indexed_cannot_be_searched(opened: Open, clips: dict[str, Path]) -> None:
    _, client = opened()
    waiting = send(client, clips["short"])["video_id"]
    reply = client.post("/vigil/search", json={"query": "crate", "video_id": waiting})
    assert reply.status_code == 409
    assert f"/vigil/videos/{waiting}/index" in reply.json()["detail"]
    like = {"video_id": waiting, "time_sec": 1.0}
    early = client.post("/vigil/search", json={"like": like})
    assert (early.status_code, early.json()["detail"]) == (409, reply.json()["detail"])
    body = found(client, query="crate")
    assert body["unknowns"] == [
        "“crate” stands in no indexed text",
        "1 video(s) that are not indexed",
    ]
    assert body["searched_videos"] == 0


def test_the_time_of_day_chooses_spans(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened()
    video = indexed(runtime, client, clips["yard"], recorded_at="2026-11-27T05:59:40+09:00")
    put_talk(client, video)
    clockless = indexed(runtime, client, clips["gate"])
    order: dict[str, Any] = {"query": "blocked остановил 停止"}
    day = found(client, **order, time_of_day={"start": "06:00", "end": "22:00"})
    assert [r["start_sec"] for r in day["results"]] == [30.0, 44.0]
    assert any("without a time of recording" in told for told in day["unknowns"])
    night = found(client, **order, time_of_day={"start": "22:00", "end": "06:00"})
    assert [r["start_sec"] for r in night["results"]] == [8.0]
    friday = found(client, **order, time_of_day={"start": "00:00", "end": "23:59", "days": [4]})
    assert friday["num_results"] == 3
    monday = found(client, **order, time_of_day={"start": "00:00", "end": "23:59", "days": [0]})
    assert monday["num_results"] == 0
    after = found(client, **order, recorded_after="2026-11-26T21:00:20Z")
    assert [r["start_sec"] for r in after["results"]] == [44.0]
    assert clockless != video


@pytest.mark.parametrize("fault", [StoreError("the server is away"), DiskFull("no space left")])
def test_an_index_that_cannot_be_stored_leaves_the_one_before(
    opened: Open, clips: dict[str, Path], fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, client = opened(job_max_retries=1)
    video = indexed(runtime, client, clips["yard"])
    like: dict[str, Any] = {"like": {"video_id": video, "time_sec": 11.0}}
    before = found(client, **like)["results"]
    (collection,) = runtime.vectors.collections()

    def refuse(*_: object) -> None:
        raise fault

    with monkeypatch.context() as patched:
        patched.setattr(type(runtime.vectors), "upsert", refuse)
        client.post(f"/vigil/videos/{video}/index", json={"domain": "sports"})
        with runtime.database.read() as connection:
            job_id = vigil.get_footage(connection, video).job_id
        assert job_id is not None
        ended = work(runtime, job_id)
        assert (ended.state, ended.attempt) == (JobState.FAILED, 1 if not fault.retryable else 2)
        status = client.get(f"/vigil/status/{video}").json()
        assert (status["state"], status["indexed"]) == ("error", True)
        assert str(fault) in status["error"]
        assert found(client, **like)["results"] == before
        assert runtime.vectors.count(collection) == sum(status["counts"].values())
    assert index(runtime, client, video)["state"] == "ready"
    assert found(client, **like)["results"][0]["start_sec"] == before[0]["start_sec"]


def test_a_vector_server_that_is_away_is_told_as_passing(
    opened: Open, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, client = opened()
    video = indexed(runtime, client, clips["short"])

    def away(*_: object) -> None:
        raise StoreError("the vector server does not answer")

    put_talk(client, video, "WEBVTT\n\n00:01.000 --> 00:02.000\nA word.\n")
    monkeypatch.setattr(type(runtime.vectors), "search", away)
    reply = client.post("/vigil/search", json={"like": {"video_id": video, "time_sec": 1.0}})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "TRANSIENT_ERROR")
    assert found(client, query="word")["num_results"] == 1  # texts need no vectors


def test_chunks_of_many_moments_are_those_of_each(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened()
    with_long = indexed(runtime, client, clips["yard"], domain="surveillance")
    short = indexed(runtime, client, clips["short"])
    dice = np.random.default_rng(2)
    with runtime.database.read() as connection:
        ids = [library.get_video(connection, name).id for name in (with_long, short)]
        places = []
        for _ in range(40):
            start = float(dice.uniform(0, 58))
            span = TimeSpan(start, start + float(dice.choice([0.01, 0.5, 3.0, 20.0])))
            places.append((int(dice.choice(ids)), span))
        places.append((ids[0], TimeSpan(8.0, 12.0)))
        together = vigil.chunks_at(connection, "micro", LONGEST_MICRO_SEC, places)
        alone = [vigil.chunks_of(connection, video, "micro", span) for video, span in places]
    assert together == alone
    assert max(len(found) for found in together) > 5


def test_deletion_leaves_nothing(opened_on_both: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened_on_both()
    before = files_below(runtime.blobs.root)
    video = indexed(runtime, client, clips["short"])
    put_talk(client, video, "WEBVTT\n\n00:01.000 --> 00:02.000\nA word.\n")
    (collection,) = runtime.vectors.collections()
    assert runtime.vectors.count(collection) == 6
    assert client.delete(f"/vigil/videos/{video}").status_code == 204
    assert client.get(f"/vigil/videos/{video}").status_code == 404
    assert client.get(f"/videos/{video}").status_code == 404
    assert files_below(runtime.blobs.root) == before
    assert runtime.vectors.collections() == () or runtime.vectors.count(collection) == 0
    assert found(client, query="word")["num_results"] == 0


def test_a_worker_that_indexes_a_deleted_video_leaves_nothing(
    opened: Open, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, client = opened()
    video = send(client, clips["short"])["video_id"]
    client.post(f"/vigil/videos/{video}/index")
    store = vigil_jobs.store_index

    def delete_meanwhile(*given: Any) -> None:
        assert client.delete(f"/vigil/videos/{video}").status_code == 204
        store(*given)

    monkeypatch.setattr(vigil_jobs, "store_index", delete_meanwhile)
    with runtime.database.read() as connection:
        ingest = library.get_video(connection, video).ingest_job_id
    assert ingest is not None
    work(runtime, ingest)
    with runtime.database.read() as connection:
        job = vigil.get_footage(connection, video).job_id
    assert job is not None
    with pytest.raises(JobNotFound):
        work(runtime, job)
    assert [c for c in runtime.vectors.collections() if runtime.vectors.count(c)] == []


def test_a_file_of_the_server_needs_a_folder_that_is_named(
    opened: Open, clips: dict[str, Path], tmp_path: Path
) -> None:
    _, client = opened()
    refused = client.post("/vigil/videos", json={"uri": str(clips["short"])})
    assert refused.status_code == 403
    assert "SOPILOT_VIGIL_SOURCE_DIRS" in refused.json()["detail"]


def test_a_named_folder_is_left_by_no_path(
    opened: Open, clips: dict[str, Path], tmp_path: Path
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "clip.mp4").write_bytes(clips["short"].read_bytes())
    (share / "link.mp4").symlink_to("/etc/hostname")
    _, client = opened(vigil_source_dirs=(share,))
    taken = client.post("/vigil/videos", json={"uri": f"file://{share}/clip.mp4"})
    assert (taken.status_code, taken.json()["filename"]) == (201, "clip.mp4")
    for uri in (
        "/etc/hostname",
        f"{share}/../x",
        f"{share}/link.mp4",
        "http://h/x.mp4",
        str(share),
    ):
        refused = client.post("/vigil/videos", json={"uri": uri})
        assert refused.status_code == 400, uri
        assert refused.json()["error"]["code"] == "UNSUPPORTED_MEDIA"


def test_without_vigil_there_is_no_route(opened: Open) -> None:
    _, client = opened(vigil_enabled=False)
    assert client.get("/vigil/videos").status_code == 404
    assert client.get("/sop/videos").status_code == 200
    assert not [path for path in client.get("/openapi.json").json()["paths"] if "vigil" in path]


@pytest.mark.parametrize(
    ("order", "told"),
    [
        ({}, "no word"),
        ({"query": "?!… ---"}, "no word"),
        ({"query": "x", "top_k": 0}, "top_k"),
        ({"query": "x", "time_range": {"start_sec": 5, "end_sec": 5}}, "start_sec"),
        ({"query": "x", "colour": "red"}, "colour"),
        ({"image_b64": "bm8gcGljdHVyZQ=="}, "no picture"),
        ({"image_b64": "%%%"}, "base64"),
        ({"query": " ".join(f"w{i}" for i in range(300))}, "words"),
        ({"query": "x", "recorded_after": "2026-01-02", "recorded_before": "2026-01-01"}, "before"),
    ],
)
def test_bad_searches_are_refused(opened: Open, order: dict[str, Any], told: str) -> None:
    _, client = opened()
    reply = client.post("/vigil/search", json=order)
    assert reply.status_code == 422, reply.text
    assert told in reply.text


def test_an_index_waits_for_its_video_and_can_be_cancelled(
    opened: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened()
    video = send(client, clips["short"])["video_id"]
    ordered = client.post(f"/vigil/videos/{video}/index").json()
    assert (ordered["job_id"], ordered["status"]) == (None, "queued")
    cancelled = client.post(f"/vigil/videos/{video}/cancel").json()
    assert cancelled["state"] == "none"
    assert client.post(f"/vigil/videos/{video}/cancel").status_code == 409
    assert index(runtime, client, video)["state"] == "ready"
    client.post(f"/vigil/videos/{video}/index")
    busy = client.post(f"/vigil/videos/{video}/index", json={"domain": "sports"})
    assert busy.status_code == 409
    assert client.post(f"/vigil/videos/{video}/cancel").json()["state"] == "ready"


def test_what_is_no_video_ends_in_an_error(opened: Open, tmp_path: Path) -> None:
    runtime, client = opened()
    (tmp_path / "a.mp4").write_bytes(b"no video" * 99)
    video = send(client, tmp_path / "a.mp4")["video_id"]
    client.post(f"/vigil/videos/{video}/index")
    with runtime.database.read() as connection:
        job = library.get_video(connection, video).ingest_job_id
    assert job is not None
    work(runtime, job)
    status = client.get(f"/vigil/status/{video}").json()
    assert (status["state"], status["indexed"]) == ("error", False)
    assert status["error"]
    assert client.post(f"/vigil/videos/{video}/index").status_code == 409


def test_the_vectors_of_another_model_are_refused(
    opened: Open, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from sopilot.embed import look

    runtime, client = opened()
    video = indexed(runtime, client, clips["short"])
    monkeypatch.setattr(look, "VERSION", "look-0")
    picture = cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1].tobytes()
    for order in (
        {"image_b64": base64.b64encode(picture).decode()},
        {"like": {"video_id": video, "time_sec": 1.0}},
    ):
        reply = client.post("/vigil/search", json=order)
        assert (reply.status_code, reply.json()["error"]["code"]) == (409, "PRODUCER_MISMATCH")
        assert "look-1" in reply.json()["detail"]
        assert "look-0" in reply.json()["detail"]
        assert video in reply.json()["detail"]


def test_no_more_questions_at_once_than_the_setting_says(
    opened: Open, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, leave = threading.Event(), threading.Event()

    def see(asked: Asked) -> Any:
        entered.set()
        assert leave.wait(30)
        return answers_with(asked, {"sentences": [("A crate.", None)]})

    monkeypatch.setattr(api_vigil, "_WAIT_SEC", 0.1)
    runtime, client = opened(Script(see), vigil_concurrent_queries=1)
    put_talk(client, indexed(runtime, client, clips["yard"]))
    order = {"question": "What blocks the forklift?", "enable_rerank": False}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lambda: client.post("/vigil/query", json=order))
        assert entered.wait(30)
        busy = client.post("/vigil/search", json={"query": "forklift"})
        leave.set()
        assert first.result().status_code == 200
    assert (busy.status_code, busy.json()["error"]["code"]) == (429, "RATE_LIMITED")
    assert client.post("/vigil/search", json={"query": "forklift"}).status_code == 200


def test_lost_vectors_are_built_anew_without_the_videos(
    opened: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened()
    yard = indexed(runtime, client, clips["yard"])
    order: dict[str, Any] = {"like": {"video_id": yard, "time_sec": 11.0}}
    before = found(client, **order)["results"]
    shutil.rmtree(runtime.blobs.root / "vectors")
    shutil.rmtree(runtime.blobs.root / "raw")
    lost = client.post("/vigil/search", json=order)
    assert (lost.status_code, lost.json()["error"]["code"]) == (503, "TRANSIENT_ERROR")
    (count,) = rebuild_chunks(runtime).values()
    assert count == 51
    assert found(client, **order)["results"] == before


def test_a_vector_server_finds_the_same_moments(tmp_path: Path, clips: dict[str, Path]) -> None:
    results = []
    for name in ("files", "server"):
        with ExitStack() as stack:
            runtime = open_test_runtime(tmp_path / name)
            if name == "server":
                stack.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", message="Payload indexes have no effect")
                warnings.filterwarnings("ignore", message="Local mode performs exact")
                server = VectorServer(QdrantClient(":memory:"), "http://in-memory")
                runtime = replace(runtime, vectors=server)
            stack.callback(close_runtime, runtime)
            client = stack.enter_context(serving(create_app(runtime=runtime, with_workers=False)))
            yard = indexed(runtime, client, clips["yard"], camera_id="yard-1")
            indexed(runtime, client, clips["gate"], camera_id="gate-1")
            like = {"video_id": yard, "time_sec": 11.0}
            body = found(client, like=like, time_range={"start_sec": 5, "end_sec": 39}, top_k=6)
            results.append(
                [
                    (r["camera_id"], r["level"], r["start_sec"], r["why_relevant"])
                    for r in body["results"]
                ]
            )
    assert results[0] == results[1]


def test_footage_goes_when_its_time_is_over_and_not_while_it_is_held(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened_on_both()
    old = indexed(
        runtime, client, clips["short"], camera_id="gate-1", recorded_at="2020-01-01T00:00:00Z"
    )
    new = indexed(runtime, client, clips["gate"], camera_id="gate-1")
    other = indexed(
        runtime, client, clips["yard"], camera_id="yard-1", recorded_at="2020-01-01T00:00:00Z"
    )
    rules = client.put("/vigil/retention", json={"max_age_days": 9000}).json()
    assert (rules["due"], rules["rules"][0]["camera_id"]) == (0, None)
    rules = client.put("/vigil/retention", json={"camera_id": "gate-1", "max_age_days": 30}).json()
    assert rules["due"] == 1
    bare = client.put(f"/vigil/videos/{old}/hold", json={"hold": True})
    assert bare.status_code == 422
    held = client.put(
        f"/vigil/videos/{old}/hold", json={"hold": True, "reason": "accident of 3 May"}
    ).json()
    assert held["hold_reason"] == "accident of 3 May"
    assert expire(runtime, datetime.now(UTC)) == []
    for route in (f"/vigil/videos/{old}", f"/videos/{old}?force=true"):
        refused = client.delete(route)
        assert (refused.status_code, "accident of 3 May" in refused.text) == (409, True)
    client.put(f"/vigil/videos/{old}/hold", json={"hold": False})
    assert expire(runtime, datetime.now(UTC)) == [old]
    assert client.get(f"/videos/{old}").status_code == 404
    assert client.get(f"/vigil/videos/{new}").status_code == 200
    assert expire(runtime, datetime.now(UTC) + timedelta(days=31)) == [new]
    assert expire(runtime, datetime.now(UTC) + timedelta(days=9000)) == [other]
    gone = client.put("/vigil/retention", json={"camera_id": "gate-1", "max_age_days": None})
    assert [rule["camera_id"] for rule in gone.json()["rules"]] == [None]
    trail = client.get("/audit/trail?limit=200").json()["items"]
    by_rule = [item for item in trail if item["action"] == "footage.deleted"]
    assert [item["actor"] for item in by_rule] == ["system:retention"] * 3


def test_a_disk_above_its_mark_is_told(opened: Open) -> None:
    _, client = opened(disk_high_water_percent=0.0001)
    body = client.get("/health").json()
    assert (body["status"], body["checks"]["disk"]["status"]) == ("degraded", "degraded")


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (MODEL, MODEL),
        ("llava_video", "lmms-lab/LLaVA-Video-7B-Qwen2"),
        ("internvideo_chat", "OpenGVLab/InternVideo2_5_Chat_8B"),
    ],
)
def test_questions_may_have_a_model_of_their_own(
    opened: Open, clips: dict[str, Path], wanted: str, asked: str
) -> None:
    script = Script(lambda given: answers_with(given, {"sentences": [("A crate.", None)]}))
    runtime, client = opened(script, vlm_model="another", vigil_llm_model=wanted)
    put_talk(client, indexed(runtime, client, clips["yard"]))
    reply = client.post("/vigil/query", json={"question": "What blocks the forklift?"})
    if asked == MODEL:
        assert reply.json()["llm_model"] == MODEL
    else:  # the server serves the tiny one alone, and says which name it was asked for
        assert reply.status_code == 502
        assert asked in reply.json()["detail"]
