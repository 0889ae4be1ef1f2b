"""The table error -> status, and the one envelope."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sopilot.api.errors import STATUS, status_of
from sopilot.api.schemas import ingest_failure
from sopilot.core import errors
from sopilot.core.errors import SopilotError, error_from_record, error_tree


def test_every_error_class_has_its_own_row() -> None:
    own = [kind for kind in error_tree() if kind.__module__ == "sopilot.core.errors"]
    assert [kind.__name__ for kind in own if kind not in STATUS] == []


def test_a_code_means_one_status() -> None:
    statuses: dict[str, set[int]] = {}
    for kind in STATUS:
        statuses.setdefault(kind.code, set()).add(status_of(kind))
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_a_class_without_a_row_takes_its_ancestors_status() -> None:
    class Special(errors.VideoNotReady):
        pass

    assert status_of(Special) == 409


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.FileTooLarge, 413),
        (errors.QualityGateFailed, 422),
        (errors.TaskNotAllowed, 409),
        (errors.ProbeError, 400),
        (errors.StoreError, 503),
        (errors.Unauthorized, 401),
        (errors.Forbidden, 403),
        (errors.VideoNotFound, 404),
    ],
)
def test_the_contracts_statuses(kind: type[SopilotError], status: int) -> None:
    assert status_of(kind) == status


def test_a_stored_error_becomes_the_class_of_its_code() -> None:
    error = error_from_record("QUALITY_GATE_FAILED", "too dark", {"quality": {}})
    assert type(error) is errors.QualityGateFailed
    assert (error.message, error.details) == ("too dark", {"quality": {}})


def test_an_unknown_code_still_gives_an_error() -> None:
    assert type(error_from_record("FROM_THE_FUTURE", "?", {})) is SopilotError


def test_what_the_decoder_wrote_is_not_sent_to_the_client() -> None:
    details = {"exit_code": -11, "stderr": 'File "/srv/sopilot/decode.py"'}
    video: Any = SimpleNamespace(id=7, status="failed")
    job: Any = SimpleNamespace(
        uid="u", error_code="UNDECODABLE_VIDEO", error_message="crashed", error_details=details
    )
    error = ingest_failure(video, job)
    assert (error.code, error.message) == ("UNDECODABLE_VIDEO", "crashed")
    assert (error.details["exit_code"], error.details["video_id"]) == (-11, 7)
    assert "/srv" not in repr(error.details)
