"""Search of similar moments: written by ingest, found over HTTP, rebuilt from what is stored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Client
from service_parts import (
    Made,
    add,
    analyse_once,
    open_test_runtime,
    put_made,
    work,
    write_procedure,
)
from test_api_service import serving

from sopilot.api.app import create_app
from sopilot.core.records import Role
from sopilot.library import moments
from sopilot.library import queries as library
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.derived import find_derived


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {
        "gold": write_procedure(folder / "gold.mp4", (0, 1, 2)),
        "swapped": write_procedure(folder / "swapped.mp4", (1, 0, 2)),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, clips: dict[str, Path]) -> list[Made]:
    folder = tmp_path_factory.mktemp("made")
    return analyse_once(folder, [(clips["gold"], Role.GOLD), (clips["swapped"], Role.TRAINEE)])


@pytest.fixture
def runtime(
    tmp_path: Path, database_url: str, clips: dict[str, Path], made: list[Made]
) -> Iterator[Runtime]:
    """Gold 1 and trainee 2 are ready."""
    opened = open_test_runtime(tmp_path, database_url)
    put_made(opened, made)
    work(opened, add(opened, clips["gold"], Role.GOLD).job.id)
    work(opened, add(opened, clips["swapped"]).job.id)
    yield opened
    close_runtime(opened)


@pytest.fixture
def client(runtime: Runtime) -> Iterator[Client]:
    with serving(create_app(runtime=runtime, with_workers=False)) as opened:
        yield opened


def found(client: Client, **query: Any) -> Any:
    response = client.get("/search", params=query)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_same_step_of_another_video_comes_first(client: Client) -> None:
    """The gold does 0 1 2, the trainee 1 0 2, four seconds each."""
    answer = found(client, video_id=1, clip_index=2, k=50)
    other = next(item for item in answer["results"] if item["video_id"] == 2)
    assert 4.0 - 1.6 <= other["start_sec"] <= 8.0


def test_the_clip_itself_is_not_among_the_results(client: Client) -> None:
    items = found(client, video_id=1, clip_idx=3, k=50)["items"]
    assert items
    assert (1, 3) not in {(item["video_id"], item["clip_idx"]) for item in items}


def test_both_forms_of_the_question_get_both_forms_of_the_answer(client: Client) -> None:
    new, old = (found(client, video_id=2, k=4, **{name: 1}) for name in ("clip_index", "clip_idx"))
    assert new == old
    assert new["results"] == new["items"]
    assert (new["query_video_id"], new["query_clip_index"], new["query_clip_idx"]) == (2, 1, 1)
    item = new["results"][0]
    assert {"role", "is_gold", "clip_idx", "clip_index", "task_id", "similarity"} <= item.keys()
    assert item["is_gold"] == (item["role"] == "gold")
    ranks = [entry["similarity"] for entry in new["results"]]
    assert ranks == sorted(ranks, reverse=True)


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"video_id": 99, "clip_index": 0}, 404, "VIDEO_NOT_FOUND"),
        ({"video_id": 1, "clip_index": 9999}, 422, "VALIDATION_ERROR"),
        ({"video_id": 1, "clip_index": 0, "clip_idx": 1}, 422, "VALIDATION_ERROR"),
        ({"video_id": 1, "clip_index": 0, "k": 0}, 422, "VALIDATION_ERROR"),
        ({"video_id": 1, "clip_index": 0, "k": 51}, 422, "VALIDATION_ERROR"),
        ({"video_id": 1, "clip_index": -1}, 422, "VALIDATION_ERROR"),
        ({"video_id": 1, "clip_index": 0, "task_id": "other"}, 409, "TASK_MISMATCH"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    client: Client, query: dict[str, Any], status: int, code: str
) -> None:
    response = client.get("/search", params=query)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


def test_a_video_in_work_is_refused_and_shown_nowhere(client: Client, runtime: Runtime) -> None:
    with runtime.database.write() as connection:
        library.mark_processing(connection, 2)
    response = client.get("/search", params={"video_id": 2, "clip_index": 0})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "VIDEO_NOT_READY")
    items = found(client, video_id=1, clip_index=0, k=50)["items"]
    assert {item["video_id"] for item in items} == {1}
    assert len(items) > 5


def test_gold_and_trainee_lie_in_one_collection_once_each(runtime: Runtime) -> None:
    with runtime.database.read() as connection:
        clips = sum(video.clip_count or 0 for video, _ in library.list_ready(connection))
    (collection,) = runtime.vectors.collections()
    assert runtime.vectors.count(collection) == clips


def test_a_forgotten_video_is_not_found_any_more(client: Client, runtime: Runtime) -> None:
    moments.forget_video(runtime, 2)
    items = found(client, video_id=1, clip_index=0, k=50)["items"]
    assert {item["video_id"] for item in items} == {1}


def test_a_deleted_video_is_not_found_any_more(client: Client) -> None:
    assert client.delete("/videos/2", params={"force": True}).status_code == 200
    items = found(client, video_id=1, clip_index=0, k=50)["items"]
    assert {item["video_id"] for item in items} == {1}


def test_the_index_is_built_again_from_what_is_stored(client: Client, runtime: Runtime) -> None:
    before = found(client, video_id=1, clip_index=4, k=50)
    shutil.rmtree(runtime.blobs.root / "vectors")
    assert found(client, video_id=1, clip_index=4, k=50)["items"] == []
    assert len(moments.rebuild(runtime)) == 1
    assert found(client, video_id=1, clip_index=4, k=50) == before


def test_ingesting_again_adds_nothing(runtime: Runtime, clips: dict[str, Path]) -> None:
    (collection,) = runtime.vectors.collections()
    before = runtime.vectors.count(collection)
    with runtime.database.read() as connection:
        for video, task in library.list_ready(connection):
            row = find_derived(connection, video.sha256, "features", video.producer or "")
            assert row is not None
            path = runtime.blobs.local_path("derived", row.blob_sha256)
            moments.index_video(runtime, video, task, path)
    assert runtime.vectors.count(collection) == before
