"""Errors at the HTTP boundary: one table class -> status, one envelope for every failure.

`{"error": {"code", "message", "details"}, "detail": message}`: `error` is the documented
form (docs/errors.md), `detail` is where clients of the older product look for the message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from sopilot.core import errors
from sopilot.core.errors import SopilotError
from sopilot.core.log import get_logger
from sopilot.core.places import details_without_places, without_places

STATUS: Mapping[type[SopilotError], int] = {
    SopilotError: 500,
    errors.InputError: 422,
    errors.BadUpload: 400,
    errors.FileTooLarge: 413,
    errors.BatchRefused: 422,
    errors.BadSteps: 422,
    errors.BadTranscript: 422,
    errors.BadSettings: 500,
    errors.InsufficientClips: 422,
    errors.QualityGateFailed: 422,
    errors.TaskMismatch: 409,
    errors.ProducerMismatch: 409,
    errors.TaskNotAllowed: 409,
    errors.NotFound: 404,
    errors.VideoNotFound: 404,
    errors.ScoreNotFound: 404,
    errors.TaskNotFound: 404,
    errors.JobNotFound: 404,
    errors.BlobNotFound: 404,
    errors.IncidentNotFound: 404,
    errors.EventNotFound: 404,
    errors.DefinitionNotFound: 404,
    errors.QuestionNotFound: 404,
    errors.TooEarly: 425,
    errors.MediaTypeRefused: 415,
    errors.Conflict: 409,
    errors.VideoNotReady: 409,
    errors.VideoNotGold: 409,
    errors.JobFinished: 409,
    errors.LeaseLost: 409,
    errors.DataFolderInUse: 409,
    errors.Unauthorized: 401,
    errors.AuthNotConfigured: 503,
    errors.SigningKeyMissing: 503,
    errors.Forbidden: 403,
    errors.RateLimited: 429,
    errors.MediaError: 400,
    errors.ProbeError: 400,
    errors.DecodeError: 400,
    errors.NoFrames: 400,
    errors.NoSound: 400,
    errors.ModelError: 500,
    errors.ModelUnavailable: 503,
    errors.ModelRefused: 502,
    errors.ModelReplyError: 502,
    errors.ReportError: 500,
    errors.StoreError: 503,
    errors.DiskFull: 507,
    errors.SchemaTooNew: 500,
    errors.BackupDamaged: 500,
    errors.WorkerLost: 503,
    errors.PortInUse: 500,
    errors.JobCancelled: 409,
}

RETRY_AFTER_SEC = 5
"""Told to clients with a 503 that may pass; the shortest back-off of the job engine."""

_HTTP_CODES: Mapping[int, str] = {
    400: "BAD_REQUEST",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    413: "FILE_TOO_LARGE",
    416: "RANGE_NOT_SATISFIABLE",
    422: "VALIDATION_ERROR",
}

_log = get_logger(__name__)


def status_of(error: type[SopilotError]) -> int:
    """The HTTP status of an error class: its own row, else its nearest ancestor's."""
    return next(STATUS[base] for base in error.__mro__ if base in STATUS)


def envelope(
    status: int,
    code: str,
    message: str,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """The one body of every failure."""
    error = {"code": code, "message": message, "details": jsonable_encoder(details or {})}
    body = _clean({"status": "ERROR", "error": error, "detail": message})
    return JSONResponse(body, status_code=status, headers=dict(headers or {}))


def _clean(value: Any) -> Any:
    """The value with lone surrogates, which JSON can carry but UTF-8 cannot, replaced."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_clean(item) for item in value]
    return value


def _sopilot_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SopilotError)
    if isinstance(error, errors.RateLimited):
        return rate_limited(error)
    status = status_of(type(error))
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer, Basic"
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SEC)
    if status >= 500:
        _log.error("request.failed", code=error.code, message=error.message, exc_info=error)
    data_dir = request.app.state.settings.data_dir
    message = without_places(error.message, data_dir)
    details = details_without_places(error.details, data_dir)
    return envelope(status, error.code, message, details, headers)


def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    problems = [
        {
            "field": ".".join(str(part) for part in item["loc"]),
            "problem": item["msg"],
            "value": item.get("input"),
        }
        for item in error.errors()
    ]
    first = problems[0] if problems else {"field": "request", "problem": "is not valid"}
    message = f"{first['field']}: {first['problem']}; correct the request, see /docs"
    return envelope(422, errors.InputError.code, message, {"errors": _short(problems)})


def _short(problems: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Problems with values cut, so that a refused body is not sent back whole."""
    return [{**item, "value": str(item["value"])[:200]} for item in problems[:20]]


def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = _HTTP_CODES.get(error.status_code, "SERVICE_ERROR")
    message = str(error.detail)
    if error.status_code == 404:
        message = f"nothing is served at {request.url.path}; see /docs for the routes"
    elif error.status_code == 405:
        message = f"{request.method} is not allowed at {request.url.path}; see /docs"
    return envelope(error.status_code, code, message, headers=error.headers)


def unexpected() -> JSONResponse:
    """The answer to a failure that nobody foresaw; the log has the trace, the client does not."""
    message = "an unexpected failure; the server's log has the trace under this X-Request-ID"
    return envelope(500, SopilotError.code, message)


def too_large_message(limit_bytes: int) -> str:
    """Why a body that is no upload was refused."""
    return (
        f"the request body has more than {limit_bytes} bytes; send a smaller one (a video goes to "
        "/videos or /gold)"
    )


def too_large(limit_bytes: int) -> JSONResponse:
    """The answer to a body that is no upload and exceeds the limit."""
    return envelope(413, errors.FileTooLarge.code, too_large_message(limit_bytes))


def unusable_address() -> JSONResponse:
    """The answer to a path or query with a NUL character, which no database stores."""
    message = "the address holds a NUL character (%00), which no name has; leave it out"
    return envelope(422, errors.InputError.code, message)


def rate_limited(error: errors.RateLimited) -> JSONResponse:
    """The answer to an address that asks too much."""
    headers = {"Retry-After": str(error.details["retry_after_sec"])}
    return envelope(429, error.code, error.message, error.details, headers)


def interrupted() -> JSONResponse:
    """The answer to a request that the server's end cut short; what was stored stays stored."""
    message = "the server is stopping; send the request again, or look at the job, in a moment"
    headers = {"Retry-After": str(RETRY_AFTER_SEC)}
    return envelope(503, errors.WorkerLost.code, message, headers=headers)


def install_error_handlers(app: FastAPI) -> None:
    """Give the application the one envelope for every failure."""
    app.add_exception_handler(SopilotError, _sopilot_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_exception)
