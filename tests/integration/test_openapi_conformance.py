"""The service keeps what its OpenAPI document says, whatever is sent: no 5xx, no undocumented
status, no body of another shape.

Requests are generated from the document of a started server with data in it, so a new route is
covered as soon as it is documented. `make test` draws a seeded sample, `make soak` many more.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from httpx import Client
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from service_parts import Made, add, open_test_runtime, put_made
from test_api_service import KEY, serving

from sopilot.api.app import create_app
from sopilot.core.config import load_settings
from sopilot.core.records import Role
from sopilot.jobs.loop import run_worker
from sopilot.worker import kinds_of

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
IDS = st.sampled_from(["1", "2", "3", "op-1"])
"""What exists; most generated names do not."""
LAST = ("DELETE",)


def operations() -> list[Any]:
    """Every documented operation, those that take data away last."""
    schema = schemathesis.openapi.from_dict(create_app(load_settings()).openapi())
    found = [result.ok() for result in schema.get_all_operations()]
    return sorted(found, key=lambda item: item.method.upper() in LAST)


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def client(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    clips: dict[str, Path],
    made: list[Made],
) -> Iterator[Client]:
    """A server with golds in two tasks, a trainee, scores, a review, steps and a training."""
    is_sqlite = request.param == "sqlite"
    url = None if is_sqlite else request.getfixturevalue("postgres").emptied()
    folder = tmp_path_factory.mktemp("conformance")
    runtime = open_test_runtime(
        folder, url, api_key="secret", audit_signing_key="sign", ingest_mode="async"
    )
    put_made(runtime, made)
    for name, role, task in (
        ("gold", Role.GOLD, "pilot_task"),
        ("swapped", Role.TRAINEE, "pilot_task"),
        ("gold", Role.GOLD, "other"),
    ):
        add(runtime, clips[name], role, task_id=task)
    stop = threading.Event()
    worker = threading.Thread(
        target=run_worker, args=(runtime.database, kinds_of(runtime), stop), daemon=True
    )
    with serving(create_app(runtime=runtime, with_workers=False)) as opened:
        worker.start()
        _fill(opened)
        yield opened
        stop.set()
        worker.join()


def _fill(client: Client) -> None:
    _await(client, "/videos", lambda body: all(v["status"] == "ready" for v in body["items"]))
    order = {"gold_video_id": 1, "trainee_video_id": 2}
    client.post("/score", json=order).raise_for_status()
    _await(client, "/score/1", lambda body: body["status"] == "completed")
    client.put("/score/1/review", json={"verdict": "pass", "note": "合格"}).raise_for_status()
    client.post("/score/ensemble", json={"gold_video_ids": [1], "trainee_video_id": 2})
    client.post("/train/nightly").raise_for_status()
    steps = [{"step_index": 0, "name_ja": "取外し"}, {"step_index": 1, "name_en": "Clean"}]
    client.put("/tasks/steps", json={"steps": steps}).raise_for_status()


def _await(client: Client, path: str, is_so: Callable[[Any], bool]) -> None:
    while not is_so(client.get(path).json()):
        time.sleep(0.1)


def converse(client: Client, operation: Any, examples: int) -> None:
    """Send requests that the document allows and ones that it does not; check every answer."""
    kinds = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    cases = st.one_of([operation.as_strategy(generation_mode=kind) for kind in kinds])

    @seed(20260226)
    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, known=st.none() | IDS)
    def send(case: Any, known: str | None) -> None:
        if known is not None:
            for name in case.path_parameters:
                case.path_parameters[name] = known
        response = case.call(base_url=str(client.base_url), headers=KEY, timeout=60)
        case.validate_response(response, checks=CHECKS)
        if response.status_code >= 400:
            body = response.json()
            assert set(body) == {"status", "error", "detail"}
            assert body["detail"] == body["error"]["message"]
            assert body["error"]["code"]

    send()


@pytest.mark.parametrize("operation", operations(), ids=lambda item: item.label)
def test_the_document_is_kept(client: Client, operation: Any) -> None:
    converse(client, operation, 5)


@pytest.mark.soak
@pytest.mark.parametrize("operation", operations(), ids=lambda item: item.label)
def test_the_document_is_kept_for_long(client: Client, operation: Any) -> None:
    converse(client, operation, 400)
