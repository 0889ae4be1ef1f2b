"""JSON logs: one object per line with the documented names."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from sopilot.core.log import configure_logging, get_logger


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("INFO", "json")
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capture: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capture.readouterr().err.splitlines()]


def test_a_line_has_the_documented_names(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    with structlog.contextvars.bound_contextvars(request_id="r1", job_id=7):
        get_logger("sopilot.x").info("score.stored", score=81.5, duration_ms=12)
    [line] = lines(capsys)
    assert {"ts", "level", "logger", "msg", "request_id", "job_id", "score"} <= set(line)
    assert (line["msg"], line["level"], line["request_id"]) == ("score.stored", "info", "r1")


def test_a_trace_stays_on_the_line_as_exc(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    try:
        raise ValueError("two\nlines")
    except ValueError:
        get_logger("sopilot.x").exception("job.crashed")
    [line] = lines(capsys)
    assert "ValueError: two\nlines" in str(line["exc"])
    assert "exception" not in line


def test_other_libraries_log_in_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("INFO", "json")
    logging.getLogger("uvicorn.error").error("text with\na break %s", "in it")
    [line] = lines(capsys)
    assert (line["logger"], line["msg"]) == ("uvicorn.error", "text with\na break in it")
