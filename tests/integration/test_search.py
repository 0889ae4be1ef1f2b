"""Search of similar moments: written by ingest, found over HTTP, rebuilt from what is stored."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
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
from sopilot.library import ingest, moments
from sopilot.library import queries as library
from sopilot.runtime import Runtime, close_runtime
from sopilot.store.derived import find_derived


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    return {
        "gold": write_procedure(folder / "gold.mp4", (0, 1, 2)),
        "swapped": write_procedure(folder / "swapped.mp4", (1, 0, 2)),
        "added": write_procedure(folder / "added.mp4", (0, 2, 1)),
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
    assert found(client, video_id=1, clip_index=4, k=50) == before
    assert len(moments.rebuild(runtime)) == 1
    assert found(client, video_id=1, clip_index=4, k=50) == before


def test_vectors_of_another_dimension_are_replaced(
    client: Client, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A release that gives other vectors searches neither a mix nor nothing."""
    before = found(client, video_id=1, clip_index=4, k=50)
    (now,) = runtime.vectors.collections()
    monkeypatch.setattr(moments, "MOST_NUMBERS", 256)
    shutil.rmtree(runtime.blobs.root / "vectors")
    moments.rebuild(runtime)
    (older,) = runtime.vectors.collections()
    assert (now.dim, older.dim) == (512, 256)
    monkeypatch.undo()
    assert found(client, video_id=1, clip_index=4, k=50) == before
    assert runtime.vectors.collections() == (now,)


def test_an_upload_after_an_update_leaves_no_older_video_out(
    client: Client, runtime: Runtime, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moments, "MOST_NUMBERS", 256)
    shutil.rmtree(runtime.blobs.root / "vectors")
    moments.rebuild(runtime)
    monkeypatch.undo()
    work(runtime, add(runtime, clips["added"]).job.id)
    items = found(client, video_id=1, clip_index=4, k=50)["items"]
    assert {item["video_id"] for item in items} == {1, 2, 3}
    assert [collection.dim for collection in runtime.vectors.collections()] == [512]


def test_a_video_of_another_kind_that_comes_during_a_rebuild_is_kept(
    client: Client, runtime: Runtime, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = moments._all_points

    def slow(*arguments: Any) -> Iterator[Any]:
        yield from staging(*arguments)
        if len(runtime.vectors.collections()) == 1:
            monkeypatch.setattr(moments, "MOST_NUMBERS", 256)
            work(runtime, add(runtime, clips["added"]).job.id)

    monkeypatch.setattr(moments, "_all_points", slow)
    monkeypatch.setattr(moments, "ensure", lambda *_: None)
    moments.rebuild(runtime)
    counts = {c.dim: runtime.vectors.count(c) for c in runtime.vectors.collections()}
    monkeypatch.undo()
    assert counts.keys() == {512, 256}
    assert counts[256] > 0


def test_a_staged_index_is_not_searched_and_loses_nothing_that_is_added(
    client: Client, runtime: Runtime, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = found(client, video_id=1, clip_index=4, k=50)
    staging = moments._all_points
    meanwhile = []

    def slow(*arguments: Any) -> Iterator[Any]:
        for number, item in enumerate(staging(*arguments)):
            if number == 1:
                meanwhile.append(found(client, video_id=1, clip_index=4, k=50))
                work(runtime, add(runtime, clips["added"]).job.id)
                assert client.delete("/videos/2").status_code == 200
                meanwhile.append(found(client, video_id=1, clip_index=4, k=50))
            yield item

    monkeypatch.setattr(moments, "_all_points", slow)
    moments.rebuild(runtime)
    assert meanwhile[0] == before
    assert {item["video_id"] for item in meanwhile[1]["items"]} == {1, 3}
    assert found(client, video_id=1, clip_index=4, k=50) == meanwhile[1]


@pytest.mark.parametrize("ends", ["before the snapshot", "after the switch"])
def test_a_video_that_becomes_ready_after_a_rebuild_has_listed_them_is_kept(
    client: Client,
    runtime: Runtime,
    clips: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
    ends: str,
) -> None:
    """Its points were written before the new index began, its row said ready later."""
    listed, marked = library.list_ready, library.mark_ready
    late: list[tuple[Any, ...]] = []

    def list_then_add(connection: Any) -> Any:
        found_ready = listed(connection)
        connection.rollback()
        monkeypatch.setattr(library, "list_ready", listed)
        if ends == "after the switch":
            monkeypatch.setattr(
                ingest.queries, "mark_ready", lambda _, *rest, **named: late.append((rest, named))
            )
        work(runtime, add(runtime, clips["added"]).job.id)
        return found_ready

    monkeypatch.setattr(library, "list_ready", list_then_add)
    moments.rebuild(runtime)
    for rest, named in late:
        with runtime.database.write() as connection:
            marked(connection, *rest, **named)
    assert len(late) == (ends == "after the switch")
    items = found(client, video_id=1, clip_index=4, k=50)["items"]
    assert {item["video_id"] for item in items} == {1, 2, 3}


def test_a_broken_index_is_mended_by_a_rebuild(client: Client, runtime: Runtime) -> None:
    before = found(client, video_id=1, clip_index=4, k=50)
    (path,) = (runtime.blobs.root / "vectors").glob("*/points-*")
    path.write_bytes(b"torn")
    stale = path.parent.with_name(f"{'0' * 16}-512")
    shutil.copytree(path.parent, stale)
    moments.rebuild(runtime)
    assert found(client, video_id=1, clip_index=4, k=50) == before
    assert not stale.exists()


_REBUILDING = """
import sys
from sopilot.core.config import load_settings
from sopilot.library import moments
from sopilot.runtime import open_runtime
runtime = open_runtime(load_settings())
print("ready", flush=True)
while True:
    moments.rebuild(runtime)
"""


@pytest.mark.parametrize("seed", range(4))
def test_a_killed_rebuild_leaves_an_index_that_answers_as_before(
    client: Client, runtime: Runtime, seed: int
) -> None:
    before = found(client, video_id=1, clip_index=4, k=50)
    child = subprocess.Popen(
        [sys.executable, "-c", _REBUILDING],
        stdout=subprocess.PIPE,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "SOPILOT_DATA_DIR": str(runtime.settings.data_dir),
            "SOPILOT_DATABASE_URL": runtime.settings.resolved_database_url,
        },
    )
    assert child.stdout is not None
    assert child.stdout.readline() == b"ready\n"
    time.sleep(0.02 + random.Random(seed).random() * 0.2)
    child.kill()
    child.wait()
    child.stdout.close()
    assert found(client, video_id=1, clip_index=4, k=50) == before
    moments.rebuild(runtime)
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
