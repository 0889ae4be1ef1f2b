"""Incidents from upload to outcome: the three passes, failures told apart, reports, deletion."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import pytest
from httpx import Client
from incident_parts import red_ratio, sees_red, stated_times_are_true, write_scene
from service_parts import files_below, open_test_runtime, work
from test_api_service import serving
from vlm_server import KEY, MODEL, Script, red_share, serving_model

from sopilot.api.app import create_app
from sopilot.api.vlm_service import create_vlm_app
from sopilot.core.config import load_settings
from sopilot.incidents import queries
from sopilot.library import queries as library
from sopilot.runtime import Runtime, close_runtime


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("incident-clips")
    return {
        "event": write_scene(folder / "event.mp4", [(4.6, 7.3)]),
        "short": write_scene(folder / "short.mp4", [(5.25, 5.65)]),
        "quiet": write_scene(folder / "quiet.mp4"),
        "dark": write_scene(folder / "dark.mp4", dark_from_sec=6.0, has_clock=False),
    }


@pytest.fixture
def script() -> Script:
    return Script(sees_red, wants_schema=True)


Open = Callable[..., tuple[Runtime, Client]]


def opener(stack: ExitStack, folder: Path, database_url: str | None, script: Script) -> Open:
    """Opens a service whose model is the script, or that has none."""

    def make(*, has_model: bool = True, **changes: Any) -> tuple[Runtime, Client]:
        if has_model:
            changes = {"vlm_url": stack.enter_context(serving_model(script)), **changes}
        values = {"vlm_attempts": 2, "vlm_timeout_sec": 20.0, "incident_language": "en"}
        values |= {"job_max_retries": 0}
        runtime = open_test_runtime(folder, database_url, **{**values, **changes})
        stack.callback(close_runtime, runtime)
        client = stack.enter_context(serving(create_app(runtime=runtime, with_workers=False)))
        return runtime, client

    return make


@pytest.fixture
def opened(tmp_path: Path, script: Script) -> Iterator[Open]:
    """On SQLite, for what no database changes."""
    with ExitStack() as stack:
        yield opener(stack, tmp_path, None, script)


@pytest.fixture
def opened_on_both(tmp_path: Path, database_url: str, script: Script) -> Iterator[Open]:
    """On SQLite and on PostgreSQL."""
    with ExitStack() as stack:
        yield opener(stack, tmp_path, database_url, script)


def send(client: Client, path: Path, **fields: str) -> int:
    with path.open("rb") as stream:
        answer = client.post(
            "/api/v1/incidents/upload",
            files={"file": (path.name, stream, "video/mp4")},
            data=fields,
        )
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert (body["status"], body["data"]["status"]) == ("OK", "SAVED")
    return int(body["data"]["incident_iid"])


def look(runtime: Runtime, incident_id: int) -> None:
    """Work on the jobs of an incident: its ingest, then its analysis."""
    with runtime.database.read() as connection:
        row = queries.get_incident(connection, incident_id)
        video = library.get_video(connection, row.video_id)
    if row.job_id is None:
        assert video.ingest_job_id is not None
        work(runtime, video.ingest_job_id)
        with runtime.database.read() as connection:
            row = queries.get_incident(connection, incident_id)
    if row.job_id is not None:
        work(runtime, row.job_id)


def data(client: Client, route: str) -> Any:
    answer = client.get(f"/api/v1{route}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "OK"
    return answer.json()["data"]


def test_an_event_is_found_where_it_is(
    opened_on_both: Open, script: Script, clips: dict[str, Path]
) -> None:
    runtime, client = opened_on_both()
    iid = send(client, clips["event"])
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["has_event"], found["method"]) == ("DONE", True, "vlm")
    assert (found["inferred_domain"], found["domain"]) == ("production", None)
    assert found["num_frames"] == 240
    assert found["duration_sec"] == pytest.approx(12.0, abs=0.06)
    assert found["num_windows"] == 8
    assert found["model_version"] == MODEL
    (event,) = data(client, f"/events?incident_iid={iid}")
    assert event["event_type"] == "FALLING_LOAD"
    assert event["start_time"] == pytest.approx(4.6, abs=0.4)
    assert event["end_time"] == pytest.approx(7.3, abs=0.4)
    assert event["description"] == "A red square stands on the floor"
    assert event["confidence"] is None
    first, last = map(float, event["highlight"].split("-"))
    assert 4.4 <= first < last <= 7.6
    assert data(client, f"/events/{event['iid']}") == event
    logs = data(client, f"/logs?incident_iid={iid}")
    versions = [
        (line["event"], line["model_version"], line["prompt_version"])
        for line in logs
        if line["event"] in ("STAGE_START", "DONE")
    ]
    prompt = found["analysis_json"]["prompt"]["version"]
    assert versions == [("STAGE_START", MODEL, prompt), ("DONE", MODEL, prompt)]
    assert script.refused == []
    assert stated_times_are_true(script.asked)
    passes = found["analysis_json"]["passes"]
    assert [item["state"] for item in passes] == ["run", "not_needed", "not_needed"]
    assert [line["label"] for line in data(client, f"/timelines?incident_iid={iid}")] == [
        *["SAFE"] * 3, "EVENT", "EVENT", *["SAFE"] * 3,
    ]  # fmt: skip


def test_an_event_of_less_than_half_a_second_needs_the_second_pass(
    opened: Open, script: Script, clips: dict[str, Path]
) -> None:
    """SIGMA-27: a model that averages over a window does not notice it in the first."""
    runtime, client = opened()
    iid = send(client, clips["short"], domain="production")
    look(runtime, iid)
    (event,) = data(client, f"/events?incident_iid={iid}")
    assert event["start_time"] == pytest.approx(5.25, abs=0.4)
    assert event["end_time"] == pytest.approx(5.65, abs=0.4)
    passes = data(client, f"/incidents/{iid}")["analysis_json"]["passes"]
    assert [item["state"] for item in passes] == ["run", "run", "not_needed"]
    assert [item["found_count"] for item in passes[:2]] == [0, 1]
    assert passes[0]["parameters"] == {
        "window_sec": 1.5, "target_fps": 10.0, "frames_per_window": 5, "form": "windows",
    }  # fmt: skip
    assert passes[1]["parameters"] == {
        "window_sec": 0.75, "target_fps": 20.0, "frames_per_window": 7, "form": "windows",
    }  # fmt: skip
    assert stated_times_are_true(script.asked)


def test_nothing_found_takes_all_three_passes_and_keeps_the_first(
    opened: Open, script: Script, clips: dict[str, Path]
) -> None:
    runtime, client = opened()
    iid = send(client, clips["quiet"], domain="traffic")
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["has_event"], found["inferred_domain"]) == (False, "traffic")
    passes = found["analysis_json"]["passes"]
    assert [item["state"] for item in passes] == ["run"] * 3
    assert [item["window_count"] for item in passes] == [8, 16, 6]
    assert found["num_windows"] == 8
    last = [asked for asked in script.asked if len(asked.pictures) == 4]
    assert len(last) == 6
    assert {asked.max_tokens for asked in last} == {150}
    assert [p.time_sec for p in sorted(last, key=lambda a: a.pictures[0].time_sec)[0].pictures] == [
        0.0, 0.6, 1.3, 1.9,
    ]  # fmt: skip


def test_what_failed_is_not_checked_and_never_safe(
    opened: Open, script: Script, clips: dict[str, Path]
) -> None:
    def see(asked: Any) -> Any:
        told = sees_red(asked)
        return "gibberish" if told.get("window") in {0, 6} else told

    script.see = see
    runtime, client = opened()
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert found["status"] == "DONE"
    labels = [line["label"] for line in data(client, f"/timelines?incident_iid={iid}")]
    assert labels[0] == labels[6] == "NOT_CHECKED"
    assert found["analysis_json"]["passes"][0]["failed_count"] == 2
    assert [item["span"] for item in found["analysis_json"]["not_checked"]] == [
        [0.0, 1.5], [9.0, 10.5],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("html", "MODEL_REPLY_INVALID"),
        ("foreign", "MODEL_REPLY_INVALID"),
        ("truncated", "MODEL_REPLY_INVALID"),
        ("broken", "MODEL_UNAVAILABLE"),
    ],
)
def test_a_model_that_fails_ends_in_error_and_a_rerun_works(
    opened: Open, script: Script, clips: dict[str, Path], fault: str, code: str
) -> None:
    script.lasting_fault = fault
    runtime, client = opened(vlm_attempts=1)
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["error_code"]) == ("ERROR", code)
    assert found["error"]
    *_, begun, ended = data(client, f"/logs?incident_iid={iid}")
    assert (begun["event"], ended["event"]) == ("STAGE_START", "ERROR")
    for line in (begun, ended):
        assert (line["model_version"], len(line["prompt_version"])) == (MODEL, 12)
    assert client.get(f"/api/v1/incidents/{iid}/media").status_code == 200
    assert client.get(f"/api/v1/incidents/{iid}/report").status_code == 425
    script.lasting_fault = None
    again = client.post(f"/api/v1/incidents/{iid}/analyze")
    assert (again.status_code, again.json()["data"]["status"]) == (202, "SAVED")
    look(runtime, iid)
    assert data(client, f"/incidents/{iid}")["has_event"] is True
    assert data(client, f"/incidents/{iid}")["error"] is None


def test_wrong_key_and_answers_about_another_window_are_errors(
    opened_on_both: Open, script: Script, clips: dict[str, Path]
) -> None:
    script.key = KEY
    runtime, client = opened_on_both(vlm_model=MODEL)
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    assert data(client, f"/incidents/{iid}")["error_code"] == "MODEL_REFUSED"
    script.key = None
    script.see = lambda asked: {**sees_red(asked), "window": 77}
    client.post(f"/api/v1/incidents/{iid}/analyze")
    look(runtime, iid)
    assert data(client, f"/incidents/{iid}")["error_code"] == "MODEL_REPLY_INVALID"


def test_without_a_model_changes_are_measured_and_nothing_is_told_of_them(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened_on_both(has_model=False)
    iid = send(client, clips["dark"])
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["method"]) == ("DONE", "signal")
    assert (found["inferred_domain"], found["prompt_version"]) == (None, "none")
    events = data(client, f"/events?incident_iid={iid}")
    (event,) = events
    assert (event["event_type"], event["method"]) == ("LIGHT_CHANGE", "signal")
    assert event["start_time"] == pytest.approx(6.0, abs=0.4)
    assert (event["confidence"], event["score"]) == (None, None)
    assert event["percentile"] > 90
    assert "measured" in event["description"]
    lines = data(client, f"/timelines?incident_iid={iid}")
    assert {line["label"] for line in lines} == {"MEASURED"}
    assert {line["caption"] for line in lines} == {None}


def test_without_a_model_an_analysis_may_be_refused(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened(has_model=False, incident_without_model="refuse")
    iid = send(client, clips["quiet"])
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["error_code"]) == ("ERROR", "MODEL_UNAVAILABLE")


def test_an_added_event_type_is_asked_for(
    opened: Open, script: Script, clips: dict[str, Path]
) -> None:
    script.see = lambda asked: sees_red(asked, "RED_THING")
    runtime, client = opened()
    iid = send(
        client, clips["event"], domain="other", events="RED_THING: Does something red stand there?"
    )
    look(runtime, iid)
    (event,) = data(client, f"/events?incident_iid={iid}")
    assert event["event_type"] == "RED_THING"
    assert any("Does something red stand there?" in asked.prompt for asked in script.asked)


def test_the_same_conclusions_come_out_of_the_stored_answers(
    opened: Open, clips: dict[str, Path]
) -> None:
    from sopilot.incidents.replay import replay

    runtime, client = opened()
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    analysis = data(client, f"/incidents/{iid}")["analysis_json"]
    assert replay(analysis).is_same
    changed = json.loads(json.dumps(analysis))
    for window in changed["passes"][0]["windows"]:
        window["scores"] = {name: 0.0 for name in window["scores"]}
    assert not replay(changed).is_same


def test_reports_say_what_is_stored(opened_on_both: Open, clips: dict[str, Path]) -> None:
    import io

    from docx import Document
    from pypdf import PdfReader

    runtime, client = opened_on_both()
    iid = send(client, clips["event"], domain="production")
    early = client.get(f"/api/v1/incidents/{iid}/report")
    assert (early.status_code, early.json()["status"]) == (425, "ERROR")
    look(runtime, iid)
    report = client.get(f"/api/v1/incidents/{iid}/report")
    assert report.headers["content-disposition"] == f'attachment; filename="report_{iid}.docx"'
    document = Document(io.BytesIO(report.content))
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    assert "Events found: 1." in text
    assert len(document.inline_shapes) == 1
    pdf = client.get(f"/api/v1/incidents/{iid}/report?format=pdf&language=ru")
    told = "".join(page.extract_text() for page in PdfReader(io.BytesIO(pdf.content)).pages)
    assert "Обнаружено событий: 1." in told.replace("\n", " ")
    record = client.get(f"/api/v1/incidents/{iid}/report?format=json").json()
    assert record["events"][0]["type"] == "FALLING_LOAD"


def test_the_highlight_is_cut_out_of_the_video(
    opened: Open, clips: dict[str, Path], tmp_path: Path
) -> None:
    from sopilot.core.records import Limits
    from sopilot.media.probe import probe

    runtime, client = opened()
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    clip = client.get(f"/api/v1/incidents/{iid}/highlights/1")
    assert (clip.status_code, clip.headers["content-type"]) == (200, "video/mp4")
    path = tmp_path / "clip.mp4"
    path.write_bytes(clip.content)
    (event,) = data(client, f"/events?incident_iid={iid}")
    length = event["end_time"] - event["start_time"] + 2.0
    assert probe(path, Limits(10**8, 100.0, 0.0), "0" * 64).duration_sec == pytest.approx(
        length, abs=0.2
    )
    part = client.get(f"/api/v1/incidents/{iid}/highlights/1", headers={"Range": "bytes=0-9"})
    assert (part.status_code, len(part.content)) == (206, 10)
    assert client.get(f"/api/v1/incidents/{iid}/highlights/2").status_code == 404


@pytest.mark.parametrize("mode", ["black", "blur"])
def test_a_highlight_is_masked_from_its_first_picture_to_its_last(
    opened: Open, clips: dict[str, Path], tmp_path: Path, mode: str
) -> None:
    """Masked is the left third, behind which the wall is; the red square stands at the right."""
    runtime, client = opened(
        privacy_mask_enabled=True, privacy_mask_rects="0.0:0.3:0.3:0.6", privacy_mask_mode=mode
    )
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    route = f"/api/v1/incidents/{iid}/highlights/1"
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda _: client.get(route), range(2))
    assert (one.status_code, one.content) == (200, other.content)
    path = tmp_path / "clip.mp4"
    path.write_bytes(one.content)
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert len(frames) > 20
    hidden = [frame[60:100, 6:88].astype(float) for frame in frames]
    shown = [frame[60:100, 120:190].astype(float) for frame in frames]
    assert min(item.std() for item in shown) > 12.0
    if mode == "black":
        assert max(item.mean() for item in hidden) < 20.0
    else:
        assert max(item.std() for item in hidden) < 0.5 * min(item.std() for item in shown)
    assert max(red_share(frame) for frame in frames) > 0.01
    size = len(one.content)
    head = client.head(route)
    assert (head.status_code, head.headers["content-length"]) == (200, str(size))
    beyond = client.get(route, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")


def test_deletion_leaves_nothing(opened_on_both: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened_on_both()
    before = files_below(runtime.blobs.root)
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    client.get(f"/api/v1/incidents/{iid}/highlights/1")
    video = client.get("/videos?role=footage").json()["items"][0]["video_id"]
    refused = client.delete(f"/videos/{video}?force=true")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "INVALID_STATE")
    assert client.delete(f"/api/v1/incidents/{iid}").status_code == 204
    assert client.get(f"/api/v1/incidents/{iid}").status_code == 404
    assert client.get(f"/api/v1/events?incident_iid={iid}").status_code == 404
    assert client.get("/videos?role=footage").json()["total"] == 0
    left = {name for name in files_below(runtime.blobs.root) - before if "/vectors/" not in name}
    assert {name for name in left if name.startswith(("raw/", "derived/"))} == set()


def test_the_search_finds_words_and_their_other_forms(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened()
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    found = client.post(f"/api/v1/incidents/{iid}/search", params={"prompt": "squares nothing"})
    body = found.json()["data"]
    assert (body["total_windows"], body["matches"]) == (8, 2)
    assert [line["window_idx"] for line in body["results"]] == [3, 4]
    assert body["results"][0]["score"] > 0
    none = client.post(f"/api/v1/incidents/{iid}/search", params={"prompt": "zebra"})
    assert none.json()["data"]["matches"] == 0


def test_the_passes_follow_their_settings(
    opened: Open, script: Script, clips: dict[str, Path]
) -> None:
    runtime, client = opened(
        incident_window_sec=2.0,
        incident_target_fps=5.0,
        incident_frames_per_window=3,
        vlm_picture_px=200,
        vlm_concurrency=1,
    )
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    first = data(client, f"/incidents/{iid}")["analysis_json"]["passes"][0]
    assert (first["window_count"], first["parameters"]["target_fps"]) == (6, 5.0)
    assert {len(asked.pictures) for asked in script.asked} == {3}
    assert {p.pixels.shape[1] for asked in script.asked for p in asked.pictures} == {200}
    assert script.most_at_once == 1


def test_no_more_events_than_the_setting_says(
    opened: Open, clips: dict[str, Path], tmp_path: Path
) -> None:
    twice = write_scene(tmp_path / "twice.mp4", [(1.6, 2.9), (7.6, 10.4)])
    runtime, client = opened()
    iid = send(client, twice, domain="production")
    look(runtime, iid)
    assert len(data(client, f"/events?incident_iid={iid}")) == 2
    limited = create_app(runtime=runtime, with_workers=False)
    assert limited.state.settings.incident_max_highlights == 10
    from dataclasses import replace

    settings = runtime.settings.model_copy(update={"incident_max_highlights": 1})
    client.post(f"/api/v1/incidents/{iid}/analyze")
    look(replace(runtime, settings=settings), iid)
    (event,) = data(client, f"/events?incident_iid={iid}")
    assert event["start_time"] > 7


def test_windows_beyond_the_limit_are_not_checked(
    opened: Open, script: Script, clips: dict[str, Path]
) -> None:
    runtime, client = opened(incident_max_windows=3)
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    lines = data(client, f"/timelines?incident_iid={iid}")
    assert sum(line["label"] == "NOT_CHECKED" for line in lines) == 5
    codes = {
        item["code"] for item in data(client, f"/incidents/{iid}")["analysis_json"]["not_checked"]
    }
    assert codes == {"NOT_ASKED"}


@pytest.mark.parametrize(("language", "word"), [("ru", "Раскадровка"), ("ja", "タイムライン")])
def test_the_language_of_texts_is_a_setting(
    opened: Open, script: Script, clips: dict[str, Path], language: str, word: str
) -> None:
    import io

    from docx import Document

    runtime, client = opened(incident_language=language)
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    assert data(client, f"/incidents/{iid}")["language"] == language
    asked = {"ru": "Кадры выше", "ja": "上の画像"}[language]
    assert all(asked in item.prompt for item in script.asked)
    document = Document(io.BytesIO(client.get(f"/api/v1/incidents/{iid}/report").content))
    assert word in [paragraph.text for paragraph in document.paragraphs]


def test_the_key_is_sent(opened: Open, script: Script, clips: dict[str, Path]) -> None:
    script.key = KEY
    runtime, client = opened(vlm_api_key=KEY)
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    assert data(client, f"/incidents/{iid}")["status"] == "DONE"
    assert KEY not in json.dumps(client.get(f"/api/v1/incidents/{iid}").json())


def test_masked_pixels_reach_no_model(opened: Open, script: Script, clips: dict[str, Path]) -> None:
    """The square stands at x 200-260 of 320 and y 60-110 of 180."""
    runtime, client = opened(
        privacy_mask_enabled=True, privacy_mask_rects="0.6:0.3:0.85:0.65", privacy_keep_raw=False
    )
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    assert data(client, f"/incidents/{iid}")["has_event"] is False
    assert max(red_ratio(asked) for asked in script.asked) == 0.0
    assert len(script.asked) > 20


@pytest.mark.parametrize(
    ("files", "fields", "status", "code"),
    [
        ({"file": ("a.txt", b"text", "text/plain")}, {}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"file": ("a.exe", b"MZ", "application/octet-stream")}, {}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"file": ("a.mp4", b"", "video/mp4")}, {}, 400, "UNSUPPORTED_MEDIA"),
        ({"file": ("a.mp4", b"x", "video/mp4")}, {"domain": "space"}, 422, "VALIDATION_ERROR"),
        ({"file": ("a.mp4", b"x", "video/mp4")}, {"language": "xx"}, 422, "VALIDATION_ERROR"),
        ({"file": ("a.mp4", b"x", "video/mp4")}, {"events": "fall"}, 422, "VALIDATION_ERROR"),
        ({"other": ("a.mp4", b"x", "video/mp4")}, {}, 422, "VALIDATION_ERROR"),
    ],
)
def test_bad_uploads_are_refused_and_leave_nothing(
    opened: Open, files: Any, fields: dict[str, str], status: int, code: str
) -> None:
    runtime, client = opened(has_model=False)
    before = files_below(runtime.blobs.root)
    answer = client.post("/api/v1/incidents/upload", files=files, data=fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["status"] == "ERROR"
    assert client.get("/api/v1/incidents").json()["total"] == 0
    assert files_below(runtime.blobs.root) == before


def test_what_is_no_video_ends_in_error(opened_on_both: Open) -> None:
    runtime, client = opened_on_both(has_model=False)
    upload = client.post(
        "/api/v1/incidents/upload", files={"file": ("a.mp4", b"no video" * 99, "video/mp4")}
    )
    iid = upload.json()["data"]["incident_iid"]
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["error_code"]) == ("ERROR", "UNDECODABLE_VIDEO")
    again = client.post(f"/api/v1/incidents/{iid}/analyze")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "INVALID_STATE")
    assert client.delete(f"/api/v1/incidents/{iid}").status_code == 204


def messages(client: Client, iid: int, after: int | None = None) -> list[tuple[str, Any]]:
    """(id, message) of a status stream that has come to its end."""
    headers = {} if after is None else {"Last-Event-ID": str(after)}
    route = f"/api/v1/incidents/{iid}/status/stream"
    text = client.get(route, headers=headers).text
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in lines:
            found.append((lines.get("id", ""), json.loads(lines["data"])))
    return found


def test_the_stream_tells_every_change_and_goes_on_where_it_was(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened_on_both()
    iid = send(client, clips["quiet"], domain="production")
    look(runtime, iid)
    told = messages(client, iid)
    assert [message for _, message in told] == [
        {"status": "DONE", "has_event": False, "inferred_domain": "production", "events_found": 0},
        {"event": "close"},
    ]
    whole = messages(client, iid, after=0)
    assert [message.get("status") for _, message in whole] == [
        "SAVED", "PROCESSING", "PROCESSING", "PROCESSING", "PROCESSING", "DONE", None,
    ]  # fmt: skip
    assert [m.get("stage_name") for _, m in whole if "stage" in m] == [
        "First pass", "Second pass (small windows)", "Frame by frame",
    ]  # fmt: skip
    later = messages(client, iid, after=int(whole[2][0]))
    assert later == whole[3:]
    heard_all = client.get(
        f"/api/v1/incidents/{iid}/status/stream", headers={"Last-Event-ID": whole[-2][0]}
    )
    assert heard_all.status_code == 204
    unknown = client.get("/api/v1/incidents/999/status/stream")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "INCIDENT_NOT_FOUND")


def test_media_answers_ranges_and_heads(opened: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened(has_model=False)
    iid = send(client, clips["quiet"])
    early = client.get(f"/api/v1/incidents/{iid}/media")
    assert early.status_code == 409
    look(runtime, iid)
    route = f"/api/v1/incidents/{iid}/media"
    size = clips["quiet"].stat().st_size
    head = client.head(route)
    assert (head.status_code, head.headers["content-type"]) == (200, "video/mp4")
    assert head.headers["content-length"] == str(size)
    part = client.get(route, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.headers["content-range"]) == (206, f"bytes 100-199/{size}")
    assert part.content == clips["quiet"].read_bytes()[100:200]
    beyond = client.get(route, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.json()["status"]) == (416, "ERROR")


def test_the_same_file_twice_is_two_incidents(opened_on_both: Open, clips: dict[str, Path]) -> None:
    runtime, client = opened_on_both(has_model=False)
    first, second = send(client, clips["quiet"]), send(client, clips["quiet"])
    look(runtime, first)
    look(runtime, second)
    assert client.delete(f"/api/v1/incidents/{first}").status_code == 204
    assert data(client, f"/incidents/{second}")["status"] == "DONE"
    assert client.get(f"/api/v1/incidents/{second}/media").status_code == 200


@pytest.fixture
def earlier_service(script: Script, tmp_path: Path) -> Iterator[str]:
    """The earlier inference service, which ours stands for, over HTTP; it knows no schema."""
    script.wants_schema = False
    with serving_model(script) as url:
        settings = load_settings(data_dir=tmp_path / "wire", vlm_url=url, incident_language="en")
        with serving(create_vlm_app(settings)) as client:
            yield str(client.base_url).rstrip("/")


def test_the_earlier_service_is_a_backend(
    opened: Open, script: Script, clips: dict[str, Path], earlier_service: str
) -> None:
    from sopilot.incidents.replay import replay

    runtime, client = opened(has_model=False, vlm_url=earlier_service, vlm_protocol="analyze_video")
    iid = send(client, clips["event"], domain="production")
    look(runtime, iid)
    found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["has_event"]) == ("DONE", True)
    assert found["analysis_json"]["protocol"] == "analyze_video"
    (event,) = data(client, f"/events?incident_iid={iid}")
    assert event["start_time"] == pytest.approx(4.6, abs=0.4)
    assert replay(found["analysis_json"]).is_same
    script.asked.clear()
    script.see = sees_red_in_words
    quiet = send(client, clips["quiet"], domain="production")
    look(runtime, quiet)
    last = data(client, f"/incidents/{quiet}")
    assert last["has_event"] is False
    assert [item["state"] for item in last["analysis_json"]["passes"]] == ["run"] * 3
    assert [item["window_count"] for item in last["analysis_json"]["passes"]] == [8, 16, 6]


def sees_red_in_words(asked: Any) -> Any:
    """Like sees_red; a question without a schema is answered by JSON within words."""
    if asked.schema is not None:
        return sees_red(asked)
    return 'I see: {"has_event": false, "description": "as usual", "risk_score": 0.1}'


def test_an_earlier_service_that_tells_of_times_beyond_the_video_is_an_error(
    opened: Open, clips: dict[str, Path]
) -> None:
    from fastapi import FastAPI

    service = FastAPI()

    @service.post("/analyze_video")
    def analyze() -> dict[str, Any]:
        event = {
            "interval_start_sec": 3.0, "interval_end_sec": 90.0, "highlight_start_sec": 3.0,
            "highlight_end_sec": 4.0, "event_type": "FALL", "description": "x",
        }  # fmt: skip
        return {
            "status": "OK", "inferred_domain": "other", "has_event": True, "events": [event],
            "timeline": [], "metadata": {"duration_sec": 12, "num_frames": 1, "num_windows": 1},
        }  # fmt: skip

    with serving(service) as other:
        runtime, client = opened(
            has_model=False,
            vlm_url=str(other.base_url),
            vlm_protocol="analyze_video",
            vlm_attempts=1,
        )
        iid = send(client, clips["quiet"])
        look(runtime, iid)
        found = data(client, f"/incidents/{iid}")
    assert (found["status"], found["error_code"]) == ("ERROR", "MODEL_REPLY_INVALID")
    assert "90.00 s" in found["error"]


def test_the_same_file_as_a_video_of_its_own_outlives_the_incident(
    opened_on_both: Open, clips: dict[str, Path]
) -> None:
    runtime, client = opened_on_both(has_model=False)
    iid = send(client, clips["quiet"])
    look(runtime, iid)
    with clips["quiet"].open("rb") as stream:
        added = client.post(
            "/videos?async=true",
            files={"file": ("quiet.mp4", stream, "video/mp4")},
            data={"role": "audit"},
        ).json()
    assert added["duplicate"] is False
    work(runtime, 3)
    assert client.delete(f"/api/v1/incidents/{iid}").status_code == 204
    assert client.get(f"/videos/{added['video_id']}/file").status_code == 200
