"""What an incident costs besides its model: pictures, signals, the work around the questions; and
what is sent to the model per video minute.

The model is played by a function that answers at once, so that only our own work is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from benchmarks.decode import decode_only
from benchmarks.footage import LENGTH_SEC, sample_720p
from benchmarks.harness import Options, Row, absolute, against, interleave, one_core
from sopilot.core.config import load_settings
from sopilot.core.records import Actor
from sopilot.incidents import case as cases
from sopilot.incidents import queries
from sopilot.incidents.analyze import analyse
from sopilot.incidents.submit import Order, submit_file
from sopilot.jobs.loop import run_until_finished
from sopilot.library import queries as library
from sopilot.runtime import Runtime, close_runtime, open_runtime
from sopilot.sop.tasks import task_opener
from sopilot.vlm.client import Picture, Question, Reply
from sopilot.worker import kinds_of

TARGET = 1.6
_FLOOR = "decode only (PyAV)"


@dataclass(slots=True)
class _Model:
    """Answers every question at once. sees_at: windows from this index on show an event."""

    sees_at: int | None
    model: str = "none"
    request_counts: dict[int, int] = field(default_factory=dict)
    picture_counts: dict[int, int] = field(default_factory=dict)
    bytes_sent: int = 0
    stage: int = 0

    def ask_for(self, question: Question) -> tuple[BaseModel, Reply]:
        assert question.schema is not None
        pictures = [part for part in question.parts if isinstance(part, Picture)]
        self.request_counts[self.stage] = self.request_counts.get(self.stage, 0) + 1
        self.picture_counts[self.stage] = self.picture_counts.get(self.stage, 0) + len(pictures)
        self.bytes_sent += sum(len(picture.jpeg) for picture in pictures)
        schema = question.schema.model_json_schema()
        found = question.schema.model_validate(self._answer(schema))
        return found, Reply("{}", self.model, "stop", None, None, 1, 0.0)

    def _answer(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        fields = schema["properties"]
        if "has_event" in fields:
            return {"has_event": False, "description": "", "risk_score": 0.0}
        index = int(fields["window"]["minimum"])
        is_seen = self.sees_at is not None and self.sees_at <= index <= self.sees_at + 1
        ids = schema["$defs"]["Answers"]["required"]
        answers = {name: is_seen and name == ids[0] for name in ids}
        return {"window": index, "caption": "", "answers": answers, "risk_score": 0.5}


def rows(options: Options) -> Iterator[Row]:
    """Own work against decoding, with an event in the first pass and with none at all; then what
    the three passes send."""
    path = sample_720p(options.folder)
    seen, quiet, counted = _Model(20), _Model(None), _Model(None)
    with one_core():
        floor, found, empty = interleave(
            [
                lambda: decode_only(path),
                lambda: _whole(path, seen),
                lambda: _whole(path, quiet),
            ],
            options.rounds,
        )
        yield against(_row("incident, event in the first pass", target=TARGET), found, floor)
        yield against(_row("incident, all three passes"), empty, floor)
        _whole(path, counted)
    minutes = LENGTH_SEC / 60.0
    for stage in (1, 2, 3):
        for name, counts in (
            ("requests", counted.request_counts),
            ("pictures", counted.picture_counts),
        ):
            row = Row("incidents", f"{name} a minute, pass {stage}", "")
            yield absolute(row, [counts[stage] / minutes], "")


@contextmanager
def _installation() -> Iterator[Runtime]:
    """A new one for every incident: a second would find what ingest made of the same bytes."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = open_runtime(
            load_settings(data_dir=Path(folder), vlm_url="http://127.0.0.1:9/v1")
        )
        try:
            yield runtime
        finally:
            close_runtime(runtime)


def _whole(path: Path, model: _Model) -> None:
    """An incident as the worker does it, from the upload on: ingest in its child, then analysis."""
    with _installation() as runtime:
        row = submit_file(
            runtime,
            path,
            Order(domain="traffic", language="en"),
            open_task=task_opener(runtime.settings),
            by=Actor("bench", "admin"),
        )
        with runtime.database.read() as connection:
            video = library.get_video(connection, row.video_id)
        assert video.ingest_job_id is not None
        run_until_finished(runtime.database, kinds_of(runtime), video.ingest_job_id, _still)
        _analyse(runtime, row.id, model)


def _analyse(runtime: Runtime, incident_id: int, model: _Model) -> None:
    def on_stage(stage: int, _model: str, _prompt: str | None) -> None:
        model.stage = stage

    with tempfile.TemporaryDirectory() as work:
        case = cases.open_case(runtime, incident_id, Path(work), _still)
        found = analyse(runtime.settings, case, model, on_stage, _still)  # type: ignore[arg-type]
        found = cases.with_keyframes(case, found)
    with runtime.database.write() as connection:
        queries.store_found(
            connection,
            incident_id,
            found,
            duration_sec=case.duration_sec,
            frame_count=case.frame_count,
        )


def _still(_share: float) -> None:
    """The Progress of nobody."""


def _row(name: str, target: float | None = None) -> Row:
    return Row("incidents", name, _FLOOR, target=target)
