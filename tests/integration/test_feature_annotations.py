"""What scoring and incidents know is found by words, and goes when it is no longer so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from httpx import Client
from incident_parts import sees_red, write_scene
from service_parts import add, work
from sqlalchemy import select, text
from test_incidents import Open, look, opener, send
from typer.testing import CliRunner
from vlm_server import Script

from sopilot import worker
from sopilot.cli.app import app
from sopilot.core.records import Actor, Role, Step
from sopilot.core.timespan import TimeSpan
from sopilot.incidents import annotate as incidents
from sopilot.incidents.queries import get_incident
from sopilot.jobs.records import JobState
from sopilot.library.annotations import (
    Annotation,
    Source,
    TextFilter,
    list_annotations,
    search_texts,
)
from sopilot.runtime import Runtime
from sopilot.sop import annotate as sop
from sopilot.sop import queries, tasks
from sopilot.sop.evaluate import ScoreOrder, submit
from sopilot.sop.forget import delete_video
from sopilot.sop.rescore import rescore_task
from sopilot.sop.schemas import ScoreResult
from sopilot.store.tables import annotation_rows, annotation_sets, scores

BY = Actor("token:admin", "admin")
TASK = "pilot_task"
STEPS = (
    Step(0, "取外し", "Remove the cover", TimeSpan(0.0, 5.0)),
    Step(1, "清掃", "Clean the filter", TimeSpan(5.0, 10.0), is_critical=True),
    Step(2, None, None, TimeSpan(10.0, 15.0)),
)


def annotations(runtime: Runtime, video_id: int, source: Source) -> list[Annotation]:
    with runtime.database.read() as connection:
        return list_annotations(connection, video_id, source=source)


def found(runtime: Runtime, query: str) -> list[tuple[int, list[float]]]:
    """Videos and spans of the hits."""
    with runtime.database.snapshot() as connection:
        hits = search_texts(connection, query, TextFilter(), 50)
    return [(hit.annotation.video_id, hit.annotation.span.as_list()) for hit in hits]


def define(runtime: Runtime, *steps: Step) -> None:
    with runtime.database.write() as connection:
        tasks.replace_steps(connection, runtime.settings, TASK, steps, BY)


def score(runtime: Runtime) -> ScoreResult:
    with runtime.database.write() as connection:
        row = submit(runtime, connection, ScoreOrder((1,), 2), BY)
    assert work(runtime, row.job_id).state is JobState.COMPLETED
    with runtime.database.read() as connection:
        stored = connection.execute(select(scores.c.result).where(scores.c.id == row.id)).scalar()
    return ScoreResult.model_validate(stored)


def forget(runtime: Runtime, video_id: int) -> None:
    with runtime.database.write() as connection:
        delete_video(runtime, connection, video_id, BY, is_forced=True)


def test_named_steps_are_found_on_the_reference_gold(
    runtime: Runtime, clips: dict[str, Path]
) -> None:
    define(runtime, *STEPS)
    assert found(runtime, "cleaning filters") == found(runtime, "清掃") == [(1, [5.0, 10.0])]
    [_, clean] = annotations(runtime, 1, Source.SOP)
    assert (clean.label, clean.detail) == (
        "Clean the filter",
        {"step_index": 1, "is_critical": True},
    )
    define(runtime, STEPS[0])
    assert found(runtime, "clean") == []
    # With the reference gone, the next gold is it, then nobody.
    other = add(runtime, clips["gold"], Role.GOLD, is_forced=True)
    work(runtime, other.job.id)
    assert found(runtime, "cover") == [(1, [0.0, 5.0])]
    forget(runtime, 1)
    assert found(runtime, "cover") == [(other.video.id, [0.0, 5.0])]
    forget(runtime, other.video.id)
    assert found(runtime, "cover") == []
    # Steps that wait for their gold are found as soon as it is ready.
    last = add(runtime, clips["gold"], Role.GOLD, is_forced=True)
    work(runtime, last.job.id)
    assert found(runtime, "cover") == [(last.video.id, [0.0, 5.0])]


def test_deviations_are_found_on_the_trainees_video(runtime: Runtime) -> None:
    result = score(runtime)
    assert result.deviations
    told = annotations(runtime, 2, Source.SOP)
    assert sorted((one.label, one.span.as_list()) for one in told) == sorted(
        (item.type, list(item.trainee_timecode)) for item in result.deviations
    )
    first = result.deviations[0]
    assert (2, list(first.trainee_timecode)) in found(runtime, first.comment_en)
    assert (2, list(first.trainee_timecode)) in found(runtime, first.comment_ja)
    assert (2, list(first.trainee_timecode)) in found(runtime, first.type)


def test_deviations_follow_a_rescore_and_go_with_the_score(runtime: Runtime) -> None:
    score(runtime)
    before = annotations(runtime, 2, Source.SOP)
    with runtime.database.write() as connection:
        changes = {"deviation_policy": {"order_swap": "critical"}}
        tasks.change_profile(connection, runtime.settings, TASK, changes, BY)
    assert rescore_task(runtime, TASK, BY).results_changed == 1
    after = annotations(runtime, 2, Source.SOP)
    assert [one.span for one in after] == [one.span for one in before]
    severities = {one.label: one.detail["severity"] for one in after}
    assert severities["order_swap"] == "critical"
    forget(runtime, 1)  # the gold: the trainee's video stays, without a score
    assert annotations(runtime, 2, Source.SOP) == []


def test_an_older_installation_is_brought_up_by_one_call(runtime: Runtime) -> None:
    define(runtime, *STEPS)
    score(runtime)

    def rows() -> list[object]:
        with runtime.database.read() as connection:
            chosen = select(annotation_rows.c.uid, annotation_rows.c.detail)
            return [tuple(row) for row in connection.execute(chosen.order_by("uid"))]

    before = rows()
    assert sop.annotate_all(runtime) == 1
    assert rows() == before
    with runtime.database.write() as connection:
        connection.execute(text("DELETE FROM annotations"))
    assert sop.annotate_all(runtime) == 1
    assert rows() == before


def test_the_command_writes_texts_beside_a_service(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(runtime, *STEPS)
    score(runtime)
    with runtime.database.write() as connection:
        for table in ("annotations", "annotation_sets"):
            connection.execute(text(f"DELETE FROM {table}"))
    monkeypatch.setenv("SOPILOT_DATABASE_URL", runtime.settings.resolved_database_url)
    folder = str(runtime.settings.data_dir)
    done = CliRunner().invoke(app, ["texts", "rebuild", "--data-dir", folder])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"scores": 1, "incidents": 0, "reindexed": 0}
    assert (1, [5.0, 10.0]) in found(runtime, "cleaning filters")


def test_a_worker_renews_texts_of_another_analyzer(runtime: Runtime) -> None:
    define(runtime, *STEPS)
    with runtime.database.write() as connection:
        connection.execute(annotation_sets.update().values(analyzer="terms-0"))
        connection.execute(annotation_rows.update().values(tokens="t000000637261"))
    assert found(runtime, "cover") == []
    worker.run_standalone(runtime.settings, burst=True)
    assert found(runtime, "cover") == [(1, [0.0, 5.0])]


@pytest.fixture
def opened_on_both(tmp_path: Path, database_url: str) -> Iterator[Open]:
    with ExitStack() as stack:
        yield opener(stack, tmp_path, database_url, Script(sees_red, wants_schema=True))


def analysed(runtime: Runtime, client: Client, path: Path) -> tuple[int, int]:
    """(incident, video) of a file that was looked through."""
    iid = send(client, path, domain="production")
    look(runtime, iid)
    with runtime.database.read() as connection:
        return iid, get_incident(connection, iid).video_id


def test_captions_and_events_of_an_incident(opened_on_both: Open, tmp_path: Path) -> None:
    path = write_scene(tmp_path / "event.mp4", [(4.6, 7.3)])
    runtime, client = opened_on_both()
    iid, video_id = analysed(runtime, client, path)
    windows = client.get(f"/api/v1/timelines?incident_iid={iid}").json()["data"]
    captions = annotations(runtime, video_id, Source.CAPTION)
    assert [(one.text, one.language, one.detail["method"]) for one in captions] == [
        (line["caption"], "en", "vlm") for line in windows
    ]
    [event] = annotations(runtime, video_id, Source.INCIDENT)
    assert event.label == "FALLING_LOAD"
    assert event.detail["incident_id"] == iid
    assert (video_id, event.span.as_list()) in found(runtime, "falling load")
    assert len(found(runtime, "squares standing")) > 1
    before = [*captions, event]
    assert incidents.annotate_all(runtime) == 1
    sources = (Source.CAPTION, Source.INCIDENT)
    assert [one for source in sources for one in annotations(runtime, video_id, source)] == before
    client.post(f"/api/v1/incidents/{iid}/analyze")  # what was found is dropped until then
    assert found(runtime, "falling load square") == []
    look(runtime, iid)
    assert len(annotations(runtime, video_id, Source.CAPTION)) == len(captions)
    assert client.delete(f"/api/v1/incidents/{iid}").status_code == 204
    assert found(runtime, "falling load square") == []
    with runtime.database.read() as connection:
        assert connection.execute(select(annotation_rows.c.id)).all() == []
        assert queries.task_ids(connection)
